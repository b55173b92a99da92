// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

func newPlan(p *program) *cobra.Command {
	var o options
	var exitCode bool
	command := &cobra.Command{
		Use:   "plan --repo R",
		Short: "Show what sync would write, and why; write nothing",
		Example: `  pintle plan --repo https://git.example.com/acme/fleet.git
  pintle plan --repo . --exit-code`,
		Args: arguments(cobra.NoArgs, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			stop := p.progress("Planning")
			report, err := use(command.Context(), &o, (*reconcile.Engine).Plan)
			stop()
			if err != nil {
				return err
			}
			if err := p.printReport(report, o.output, render.Plan); err != nil {
				return err
			}
			if err := reportStatus(report); err != nil {
				return err
			}
			if exitCode && len(report.Commits) > 0 {
				return statusError(statusDue)
			}
			return nil
		},
	}
	o.bind(command)
	command.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 4 when something is due and all is well otherwise")
	return command
}
