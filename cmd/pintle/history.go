// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

func newHistory(p *program) *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:   "history NAMESPACE/NAME --repo R",
		Short: "List what a policy's fields held: when, why and by which commit, the newest first",
		Example: `  pintle history prod/podinfo --repo https://git.example.com/acme/fleet.git
  pintle history prod/podinfo --repo . -o json`,
		Args: arguments(cobra.ExactArgs(1), onePolicy),
		RunE: func(command *cobra.Command, args []string) error {
			name, err := policyName(args)
			if err != nil {
				return err
			}
			stop := p.progress("Reading")
			revisions, err := use(command.Context(), &o, func(engine *reconcile.Engine, ctx context.Context) ([]reconcile.Revision, error) {
				return engine.History(ctx, name)
			})
			stop()
			if err != nil {
				return err
			}
			if o.output.json {
				return render.JSON(p.stdout, revisions)
			}
			return render.History(p.stdout, revisions, p.style())
		},
	}
	o.bind(command)
	return command
}
