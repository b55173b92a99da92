// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/controller"
	"github.com/pintle-dev/pintle/registry"
)

const (
	// defaultQuiet is how long a repository gathers changes after a push.
	defaultQuiet = 5 * time.Second
	// shutdown is how long a push that is under way may take after a signal; the
	// install's terminationGracePeriodSeconds is a little longer.
	shutdown = 50 * time.Second
)

type controllerOptions struct {
	controller.Options

	cluster       clusterFlags
	share         shareFlags
	metrics       string
	probes        string
	election      bool
	electionSpace string
	listening     listening
	perSecond     float64
	registries    registryFlags
}

func newController(p *program) *cobra.Command {
	var o controllerOptions
	command := &cobra.Command{
		Use:   "controller",
		Short: "Follow the ImagePolicy and ManifestRepository objects of a cluster",
		Long: `Follow the ImagePolicy and ManifestRepository objects of a cluster, with the same
engine as sync. It writes Git, and the status of these objects; nothing else.

It runs until a signal, and then finishes the push that is under way.`,
		Example: `  kubectl apply -k https://github.com/pintle-dev/pintle/config/default
  pintle controller --context kind-kind --suspend   # from outside, to look only`,
		Args: arguments(cobra.NoArgs, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			return runController(command.Context(), o, p.stderr)
		},
	}
	flags := command.Flags()
	o.cluster.bind(flags)
	o.share.bind(flags)
	flags.StringVar(&o.metrics, "metrics-bind-address", ":8080", "address to serve metrics on; 0 for none")
	flags.StringVar(&o.probes, "health-probe-bind-address", ":8081", "address to serve /healthz and /readyz on; 0 for none")
	flags.BoolVar(&o.election, "leader-elect", false, "work only while holding the lease of the share in the own namespace: pintle, or pintle-HASH with --namespaces or --selector")
	flags.StringVar(&o.electionSpace, "leader-election-namespace", "", "namespace of the lease (default: the own one, in a cluster)")
	flags.StringArrayVar(&o.PlainHTTP, "plain-http", nil, "registry or Git server `HOST[:PORT]` that speaks HTTP without TLS (repeatable)")
	o.listening.bind(flags)
	bindRegistryQPS(flags, &o.perSecond)
	o.registries.bind(flags)
	flags.DurationVar(&o.Quiet, "quiet-period", defaultQuiet, "how long a repository gathers changes after a push; at most 30s")
	flags.StringVar(&o.CacheDir, "cache-dir", "", "`folder` to keep in, for the next start, what was read of repositories")
	flags.BoolVar(&o.Suspend, "suspend", false, "write nothing to Git: decide, and say in the status what waits")
	return command
}

func runController(ctx context.Context, o controllerOptions, log io.Writer) error {
	if o.Quiet < 0 || o.Quiet > controller.LongestWait {
		return usageError{fmt.Errorf("--quiet-period must be between 0s and %s", controller.LongestWait)}
	}
	if err := o.listening.check(true); err != nil {
		return err
	}
	if o.perSecond <= 0 {
		return usageError{errors.New("--registry-qps must be above 0")}
	}
	own, err := o.share.share()
	if err != nil {
		return err
	}
	asking, err := o.registries.asking()
	if err != nil {
		return err
	}
	o.Asking = asking
	config, err := o.cluster.config()
	if err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	logger := logr.FromSlogHandler(slog.NewJSONHandler(log, nil))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger) // of client-go
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Logger: logger, Cache: own.cache,
		Metrics:                metricsserver.Options{BindAddress: o.metrics},
		HealthProbeBindAddress: o.probes,
		LeaderElection:         o.election, LeaderElectionID: own.lease, LeaderElectionNamespace: o.electionSpace, LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout: new(shutdown),
	})
	if err != nil {
		return fmt.Errorf("cannot set up the controller: %w", err)
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return fmt.Errorf("cannot set up the controller: %w", err)
		}
	}
	o.Metrics, o.Limits = metrics.Registry, registry.NewLimits(o.perSecond)
	if err := o.listening.add(mgr, &o.Options); err != nil {
		return err
	}
	if err := controller.Add(mgr, o.Options); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("cannot run the controller: %w", err)
	}
	return nil
}

// newScheme has Kubernetes' own types and ours.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("cannot register types: %w", err)
		}
	}
	return scheme, nil
}
