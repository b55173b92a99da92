// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

func newLint(p *program) *cobra.Command {
	var format output
	command := &cobra.Command{
		Use:   "lint PATH",
		Short: "Check the policies, markers and targets of a checkout, offline",
		Long: `Check the policies, markers and targets of a checkout, offline. It asks no
registry and no Git server, so it fits a pull request's checks.`,
		Example: `  pintle lint .`,
		Args:    arguments(cobra.ExactArgs(1), "one argument, the path of a checkout"),
		RunE: func(command *cobra.Command, args []string) error {
			report, err := reconcile.Lint(command.Context(), args[0])
			if err != nil {
				return err
			}
			if format.json {
				err = render.JSON(p.stdout, report)
			} else {
				err = render.Lint(p.stdout, report, p.style())
			}
			if err != nil {
				return err
			}
			if len(report.Problems) > 0 {
				return statusError(statusProblems)
			}
			return nil
		},
	}
	format.bind(command.Flags())
	return command
}
