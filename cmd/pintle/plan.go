// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

func newPlan(p *program) *cobra.Command {
	var o options
	var exitCode bool
	command := &cobra.Command{
		Use:   "plan [--repo R]",
		Short: "Show what sync or the controller would write, and why; write nothing",
		Long: `Show what sync would write to a repository, and why; write nothing. Without --repo:
what the controller would write to the ManifestRepositories of a namespace.`,
		Example: `  pintle plan --repo https://git.example.com/acme/fleet.git
  pintle plan --repo . --exit-code
  pintle plan --namespace prod    # in the cluster of the kubeconfig`,
		Args: arguments(cobra.NoArgs, "no arguments"),
		RunE: func(command *cobra.Command, args []string) error {
			return perform(command, p, &o, args, job[*reconcile.Report]{
				doing: "Planning", op: "plan", purpose: controller.ToRead,
				do: func(ctx context.Context, engine *reconcile.Engine, _ string) (*reconcile.Report, error) {
					return engine.Plan(ctx)
				},
				people: render.Plan, located: locatedReport,
				status: func(report *reconcile.Report) error {
					if err := reportStatus(report); err != nil {
						return err
					}
					if exitCode && len(report.Commits) > 0 {
						return statusError(statusDue)
					}
					return nil
				},
			})
		},
	}
	o.bindBoth(command)
	o.commits.bindGrouping(command.Flags())
	o.commits.bindTemplate(command.Flags())
	command.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "all ManifestRepositories of the cluster")
	command.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 4 when something is due and all is well otherwise")
	return command
}
