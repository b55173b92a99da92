// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// options are the flags of every command that reads a repository.
type options struct {
	repo, branch, policies string
	plainHTTP              []string
	perSecond              float64
	registries             registryFlags
	cacheDir               string
	warn                   func(error)
	git                    gitFlags
	commits                commitFlags
	output                 output
	cluster                clusterFlags
	allNamespaces          bool
}

const (
	repoUsage      = "Git repository: a URL, a bare repository, or a clean checkout"
	plainHTTPUsage = "registry `HOST[:PORT]` that speaks HTTP without TLS (repeatable)"
)

func (o *options) bind(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&o.repo, "repo", "", repoUsage+" (required)")
	flags.StringVar(&o.branch, "branch", "", "branch to read and write (default: the repository's default branch)")
	flags.StringVar(&o.policies, "policies", "", "file or folder with the policies (default: those in the repository)")
	flags.StringArrayVar(&o.plainHTTP, "plain-http", nil, plainHTTPUsage)
	bindRegistryQPS(flags, &o.perSecond)
	o.registries.bind(flags)
	o.warn = func(err error) { _, _ = fmt.Fprintln(command.ErrOrStderr(), "Warning:", err) }
	flags.StringVar(&o.cacheDir, "cache-dir", "", "`folder` to keep in, for the next run, what was read of the repository, when digests were first seen (for spec.minimumAge) and what never changes of images")
	o.git.bind(flags)
	o.commits.bindTrusted(flags)
	o.output.bind(flags)
}

func bindRegistryQPS(flags *pflag.FlagSet, perSecond *float64) {
	flags.Float64Var(perSecond, "registry-qps", registry.DefaultPerSecond, "requests a second to each registry at most")
}

// asking is how registries are asked.
func (o *options) asking() (registry.Options, error) {
	if o.perSecond <= 0 {
		return registry.Options{}, usageError{errors.New("--registry-qps must be above 0")}
	}
	asking, err := o.registries.asking()
	if err != nil {
		return asking, err
	}
	asking.PlainHTTP, asking.Limits = o.plainHTTP, registry.NewLimits(o.perSecond)
	if o.cacheDir == "" {
		return asking, nil
	}
	asking.Cache, err = registry.OpenCache(o.cacheDir)
	return asking, err
}

// bindBoth is bind for a command that works on a cluster too.
func (o *options) bindBoth(command *cobra.Command) {
	o.bind(command)
	flags := command.Flags()
	o.cluster.bind(flags)
	o.cluster.bindNamespace(flags)
	flags.Lookup("repo").Usage = repoUsage + " (default: those of the cluster)"
	flags.Lookup("plain-http").Usage = plainHTTPUsage + "; in a cluster also a Git server"
}

// asksCluster tells whether a command is about a cluster: without --repo. Flags that
// say nothing there, or nothing of a repository, are wrong usage.
func (o *options) asksCluster(flags *pflag.FlagSet) (bool, error) {
	if flags.Changed("repo") && o.repo == "" {
		// A variable of a script may be empty, and does not mean some cluster.
		return false, usageError{errors.New("--repo is empty: give the URL or the path of a Git repository, or leave it out to ask a cluster")}
	}
	wrong, why := []string{"branch", "policies", "author", "grouping", "message-template"}, "--%s is for a repository, with --repo: a cluster's objects say it themselves"
	if o.repo != "" {
		wrong, why = []string{"kubeconfig", "context", "namespace", "all-namespaces"}, "--%s is for a cluster, and --repo for a repository without one: give one of the two"
	}
	for _, name := range wrong {
		if flags.Changed(name) {
			return false, usageError{fmt.Errorf(why, name)}
		}
	}
	return o.repo == "", nil
}

// connect reaches the cluster of the kubeconfig.
func (o *options) connect(flags *pflag.FlagSet) (*cluster, error) {
	c, err := o.cluster.connect()
	named := flags.Changed("kubeconfig") || flags.Changed("context")
	if wrong := (usageError{}); !named && errors.As(err, &wrong) {
		return nil, usageError{fmt.Errorf("--repo is missing, and there is no kubeconfig that can be used: give the URL or the path of a Git repository with --repo, or a cluster with --kubeconfig or KUBECONFIG: %w", err)}
	}
	return c, err
}

// config checks the flags and finds the credentials.
func (o *options) config(ctx context.Context) (reconcile.Config, error) {
	if o.repo == "" {
		return reconcile.Config{}, usageError{errors.New("--repo is missing: give the URL or the path of a Git repository; in a cluster, `pintle controller` syncs")}
	}
	asking, err := o.asking()
	if err != nil {
		return reconcile.Config{}, err
	}
	repo, auth, err := gitAuth(ctx, o.repo, o.git)
	if err != nil {
		return reconcile.Config{}, err
	}
	commits, err := o.commits.commits()
	if err != nil {
		return reconcile.Config{}, err
	}
	return reconcile.Config{
		Repo:         repo,
		Branch:       o.branch,
		PoliciesPath: o.policies,
		Git:          auth,
		Registry:     asking,
		Commits:      commits,
		CacheDir:     o.cacheDir,
		Warn:         o.warn,
	}, nil
}

// use opens an engine and does one thing with it.
func use[T any](ctx context.Context, o *options, do func(*reconcile.Engine, context.Context) (T, error)) (result T, err error) {
	config, err := o.config(ctx)
	if err != nil {
		return result, err
	}
	defer func() {
		if closed := config.Registry.Cache.Close(); err == nil {
			err = closed
		}
	}()
	engine, err := reconcile.Open(config)
	if err != nil {
		return result, err
	}
	defer func() {
		if closed := engine.Close(); err == nil {
			err = closed
		}
	}()
	return do(engine, ctx)
}

// output is the value of -o.
type output struct{ json bool }

func (o *output) bind(flags *pflag.FlagSet) {
	flags.VarP(o, "output", "o", "`json` for programs (default: text for people)")
}

func (o *output) String() string {
	if o.json {
		return "json"
	}
	return ""
}

// Set is part of pflag.Value.
func (o *output) Set(format string) error {
	if format != "json" {
		return fmt.Errorf("%q is no format: json is the only one", format)
	}
	o.json = true
	return nil
}

// Type is part of pflag.Value.
func (o *output) Type() string { return "format" }
