// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // kubectl's logins that are no programs
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// clusterFlags say which cluster, as kubectl's do.
type clusterFlags struct{ kubeconfig, context, namespace string }

func (c *clusterFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&c.kubeconfig, "kubeconfig", "", "file that says how to reach the cluster (default: KUBECONFIG, ~/.kube/config, or the cluster that this runs in)")
	flags.StringVar(&c.context, "context", "", "context of the kubeconfig (default: its current one)")
}

func (c *clusterFlags) bindNamespace(flags *pflag.FlagSet) {
	flags.StringVarP(&c.namespace, "namespace", "n", "", "namespace of what is named without one (default: the context's)")
}

// loader reads the kubeconfig as kubectl does.
func (c *clusterFlags) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.context}
	overrides.Context.Namespace = c.namespace
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

func (c *clusterFlags) config() (*rest.Config, error) {
	config, err := c.loader().ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot find out which cluster to use: %w", err)
	}
	config.QPS = -1 // The API server's own fairness bounds what is asked.
	config.UserAgent = "pintle"
	return config, nil
}

// cluster is an API server as the user of the kubeconfig may use it.
type cluster struct {
	client    client.Client
	namespace string // of what is named without one
}

// connect asks nothing yet.
func (c *clusterFlags) connect() (*cluster, error) {
	config, err := c.config()
	if err != nil {
		return nil, usageError{err}
	}
	namespace, _, err := c.loader().Namespace()
	if err != nil {
		return nil, usageError{fmt.Errorf("cannot find out which namespace to use: %w", err)}
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	// All that is asked for is known: nothing has to be discovered.
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{v1alpha1.KindImagePolicy, v1alpha1.KindManifestRepository} {
		mapper.Add(v1alpha1.GroupVersion().WithKind(kind), meta.RESTScopeNamespace)
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Namespace"), meta.RESTScopeRoot)
	api, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, usageError{fmt.Errorf("cannot use the kubeconfig: %w", err)}
	}
	return &cluster{explaining{api, config.Host}, namespace}, nil
}

// explaining is a client whose errors say what is wrong with the cluster. Those of
// registries and Git servers look like them, so they are told apart here.
type explaining struct {
	client.Client

	host string
}

// Get implements client.Reader.
func (e explaining) Get(ctx context.Context, name client.ObjectKey, object client.Object, options ...client.GetOption) error {
	return e.explain(ctx, e.Client.Get(ctx, name, object, options...))
}

// List implements client.Reader.
func (e explaining) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return e.explain(ctx, e.Client.List(ctx, list, options...))
}

// Patch implements client.Writer.
func (e explaining) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	return e.explain(ctx, e.Client.Patch(ctx, object, patch, options...))
}

func (e explaining) explain(ctx context.Context, err error) error {
	unreachable, isURL := errors.AsType[*url.Error](err)
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse):
		return fmt.Errorf("the cluster at %s does not know Pintle's kinds: install them with `kubectl apply -k https://github.com/pintle-dev/pintle/config/default`", e.host)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the cluster at %s does not take the login of the kubeconfig: %w", e.host, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("the cluster does not let you: %w", err)
	case isURL:
		return fmt.Errorf("cannot reach the cluster at %s: %w", e.host, unreachable.Err)
	}
	return err
}
