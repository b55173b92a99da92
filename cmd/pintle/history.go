// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

func newHistory(p *program) *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:   "history NAMESPACE/NAME [--repo R]",
		Short: "List what a policy's fields held: when, why and by which commit, the newest first",
		Example: `  pintle history prod/podinfo --repo https://git.example.com/acme/fleet.git
  pintle history prod/podinfo --repo . -o json
  pintle history prod/podinfo    # in the cluster of the kubeconfig`,
		Args: arguments(cobra.ExactArgs(1), onePolicy),
		RunE: func(command *cobra.Command, args []string) error {
			return perform(command, p, &o, args, job[[]reconcile.Revision]{
				doing: "Reading", op: "list the history of", purpose: controller.ToRead,
				do: func(ctx context.Context, engine *reconcile.Engine, policy string) ([]reconcile.Revision, error) {
					return engine.History(ctx, policy)
				},
				idle:   func(revisions []reconcile.Revision) bool { return len(revisions) == 0 },
				people: render.History,
				located: func(from origin, revisions []reconcile.Revision) any {
					return struct {
						origin

						Revisions []reconcile.Revision `json:"revisions"`
					}{from, revisions}
				},
				status: func([]reconcile.Revision) error { return nil },
			})
		},
	}
	o.bindBoth(command)
	return command
}
