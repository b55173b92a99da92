// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// place is a ManifestRepository of a cluster, or why it could not be read there.
type place struct {
	name       types.NamespacedName
	repository *v1alpha1.ManifestRepository
	err        error
}

func placeOf(repository *v1alpha1.ManifestRepository) place {
	return place{name: client.ObjectKeyFromObject(repository), repository: repository}
}

// notices are what somebody may want to know besides what Git holds.
func (p place) notices(o *options) []string {
	notices := []string{}
	if p.repository.Spec.Suspend {
		notices = append(notices, "it is suspended (spec.suspend): nothing but a rollback is written to it")
	}
	if p.repository.Spec.Mode == v1alpha1.ModePullRequest {
		notices = append(notices, "the controller proposes by pull requests what is due (spec.mode)")
	}
	if why := controller.Refusal(p.repository, o.plainHTTP, controller.ToWrite); why != nil {
		notices = append(notices, "the controller writes nothing to it: "+why.Error())
	}
	if p.repository.Spec.Commit.Signing != nil && o.commits.signingKey == "" && o.commits.trustedKey == "" {
		notices = append(notices, "its commits are signed (spec.commit.signing), and are read here without a look at signatures: give the public keys with --trusted-keys")
	}
	return notices
}

// places are where a command works.
type places struct {
	all []place
	// policy is the <namespace>/<name> that it is about, or empty.
	policy string
	// guessed: they may have fields of the policy; whether they do, Git tells.
	guessed bool
	notice  string
}

// places finds the repositories of a policy, or without one those of a namespace, or
// of all namespaces.
func (c *cluster) places(ctx context.Context, op string, args []string, everywhere bool) (places, error) {
	if len(args) == 0 {
		return c.placesWithin(ctx, everywhere)
	}
	name, err := c.policyKey(args[0])
	if err != nil {
		return places{}, err
	}
	policy := &v1alpha1.ImagePolicy{}
	err = c.client.Get(ctx, name, policy)
	if apierrors.IsNotFound(err) {
		return places{}, c.unknownPolicy(ctx, op, name)
	}
	if err != nil {
		return places{}, fmt.Errorf("cannot %s %s: %w", op, name, err)
	}
	return c.placesOf(ctx, op, policy)
}

// policyKey reads [NAMESPACE/]NAME.
func (c *cluster) policyKey(argument string) (types.NamespacedName, error) {
	if argument != "" && !strings.Contains(argument, "/") {
		return types.NamespacedName{Namespace: c.namespace, Name: argument}, nil
	}
	name, err := policyName([]string{argument})
	if err != nil {
		return types.NamespacedName{}, err
	}
	namespace, short, _ := strings.Cut(name, "/")
	return types.NamespacedName{Namespace: namespace, Name: short}, nil
}

// unknownPolicy says which policies there are.
func (c *cluster) unknownPolicy(ctx context.Context, op string, name types.NamespacedName) error {
	var list v1alpha1.ImagePolicyList
	if err := c.client.List(ctx, &list, client.InNamespace(name.Namespace)); err != nil {
		return fmt.Errorf("cannot %s %s: there is no such policy", op, name)
	}
	const listed = 10
	var known []string
	for _, p := range list.Items[:min(len(list.Items), listed)] {
		known = append(known, p.Name)
	}
	if len(known) == 0 {
		return fmt.Errorf("cannot %s %s: there is no such policy; the namespace %s has none", op, name, name.Namespace)
	}
	return fmt.Errorf("cannot %s %s: there is no such policy; the namespace %s has %v", op, name, name.Namespace, known)
}

// placesOf are the repositories in which the controller found fields of a policy, or
// else all that admit it.
func (c *cluster) placesOf(ctx context.Context, op string, policy *v1alpha1.ImagePolicy) (places, error) {
	name := client.ObjectKeyFromObject(policy).String()
	found := places{policy: name}
	for _, current := range policy.Status.Current {
		p, ok := c.placeNamed(ctx, current.Repository, policy.Namespace)
		if ok {
			found.all = append(found.all, p)
		}
	}
	if len(found.all) > 0 {
		return found, nil
	}
	found.guessed = true
	repositories, err := controller.Grantors(ctx, c.client, policy.Namespace)
	if apierrors.IsForbidden(err) {
		found.notice = fmt.Sprintf("only the ManifestRepositories of the namespace %s are looked at: you may not list those of the others", policy.Namespace)
		repositories, err = controller.Grantors(ctx, c.client, policy.Namespace, client.InNamespace(policy.Namespace))
	}
	if err != nil {
		return places{}, fmt.Errorf("cannot %s %s: %w", op, name, err)
	}
	for _, r := range repositories {
		found.all = append(found.all, placeOf(r))
	}
	if len(found.all) == 0 {
		return places{}, fmt.Errorf("cannot %s %s: no ManifestRepository admits policies of the namespace %s: create one, or widen spec.policies of another", op, name, policy.Namespace)
	}
	return found, nil
}

// placeNamed gets a repository that a status names. It counts only if it is there and
// admits the policy's namespace.
func (c *cluster) placeNamed(ctx context.Context, named, namespace string) (place, bool) {
	space, short, _ := strings.Cut(named, "/")
	p := place{name: types.NamespacedName{Namespace: space, Name: short}, repository: &v1alpha1.ManifestRepository{}}
	err := c.client.Get(ctx, p.name, p.repository)
	if apierrors.IsNotFound(err) {
		return p, false
	}
	if err != nil {
		p.err = fmt.Errorf("cannot read the ManifestRepository: %w", err)
		return p, true
	}
	admitted, err := controller.Admits(ctx, c.client, p.repository, namespace)
	p.err = err
	return p, admitted || err != nil
}

func (c *cluster) placesWithin(ctx context.Context, everywhere bool) (places, error) {
	within, where := []client.ListOption{client.InNamespace(c.namespace)}, "in the namespace "+c.namespace+" (-A looks in all)"
	if everywhere {
		within, where = nil, "in the cluster"
	}
	var list v1alpha1.ManifestRepositoryList
	if err := c.client.List(ctx, &list, within...); err != nil {
		return places{}, fmt.Errorf("cannot list repositories: %w", err)
	}
	var found places
	for i := range list.Items {
		found.all = append(found.all, placeOf(&list.Items[i]))
	}
	if len(found.all) == 0 {
		return places{}, fmt.Errorf("there is no ManifestRepository %s", where)
	}
	return found, nil
}

// hosts are the Git servers, each once.
func (p places) hosts() []string {
	var hosts []string
	for _, one := range p.all {
		if one.err != nil {
			continue
		}
		if u, err := mirror.URL(one.repository.Spec.URL); err == nil {
			hosts = append(hosts, u.Scheme+"://"+u.Host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}
