// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// job is what a command does with an engine, and how it shows what comes of it: of
// one repository that --repo names, or of those of a cluster.
type job[T any] struct {
	doing string // as a line that shows the wait says it
	// op is as "cannot <op> <policy>" reads it, where the job is about one policy.
	op string
	// purpose is what a repository of a cluster must be fit for.
	purpose controller.Purpose
	// several is an error where it can't be done in more than one; or nil.
	several func() error
	do      func(ctx context.Context, engine *reconcile.Engine, policy string) (T, error)
	// idle tells that a repository has nothing of the policy.
	idle   func(T) bool
	people func(io.Writer, T, render.Style) error
	// located is what JSON has for a result in a repository of a cluster.
	located func(origin, T) any
	// status is an error where the result wants an exit status of its own.
	status func(T) error
}

// origin tells in JSON what a result is of.
type origin struct {
	// Repository is the <namespace>/<name> of a ManifestRepository.
	Repository string   `json:"repository"`
	Notices    []string `json:"notices"`
}

// perform does a job. args are the command's: a policy, or nothing.
func perform[T any](command *cobra.Command, p *program, o *options, args []string, j job[T]) error {
	ctx := command.Context()
	inCluster, err := o.asksCluster(command.Flags())
	if err != nil {
		return err
	}
	if inCluster {
		c, err := o.connect(command.Flags())
		if err != nil {
			return err
		}
		return performInCluster(ctx, p, o, c, args, j)
	}
	policy := ""
	if len(args) > 0 {
		if policy, err = policyName(args); err != nil {
			return err
		}
	}
	stop := p.progress(j.doing)
	result, err := use(ctx, o, func(engine *reconcile.Engine, ctx context.Context) (T, error) {
		return j.do(ctx, engine, policy)
	})
	stop()
	if err != nil {
		return err
	}
	if o.output.json {
		err = render.JSON(p.stdout, result)
	} else {
		err = j.people(p.stdout, result, p.style())
	}
	if err != nil {
		return err
	}
	return j.status(result)
}

// locatedReport is a report of a repository of a cluster.
func locatedReport(from origin, report *reconcile.Report) any {
	return struct {
		origin
		*reconcile.Report
	}{from, report}
}
