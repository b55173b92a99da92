// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

func newSync(p *program) *cobra.Command {
	var o options
	var keepOn bool
	var listen listening
	command := &cobra.Command{
		Use:   "sync --repo R",
		Short: "Write what is due, and push it",
		Long: `Write what is due, and push it. In a clean checkout, the branch, index and files
are moved instead, and nothing is pushed.`,
		Example: `  pintle sync --repo https://git.example.com/acme/fleet.git
  pintle sync --repo https://git.example.com/acme/fleet.git --watch
  pintle sync --repo https://git.example.com/acme/fleet.git --watch --listen :8080 --events events.yaml`,
		Args: arguments(cobra.NoArgs, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := listen.check(keepOn); err != nil {
				return err
			}
			if keepOn {
				_, err := use(command.Context(), &o, func(engine *reconcile.Engine, ctx context.Context) (any, error) {
					return nil, listen.watch(ctx, engine, p, newJournal(p, o.output))
				})
				return err
			}
			stop := p.progress("Syncing")
			report, err := use(command.Context(), &o, (*reconcile.Engine).Sync)
			stop()
			if err != nil {
				return err
			}
			if err := p.printReport(report, o.output, render.Sync); err != nil {
				return err
			}
			return reportStatus(report)
		},
	}
	o.bind(command)
	o.commits.bindGrouping(command.Flags())
	o.commits.bindTemplate(command.Flags())
	o.commits.bindMaking(command.Flags())
	command.Flags().BoolVar(&keepOn, "watch", false, "keep going on each policy's schedule, until a signal")
	listen.bind(command.Flags())
	return command
}

// printReport writes the report in the form that was asked for.
func (p *program) printReport(report *reconcile.Report, format output, forPeople func(io.Writer, *reconcile.Report, render.Style) error) error {
	if format.json {
		return render.JSON(p.stdout, report)
	}
	return forPeople(p.stdout, report, p.style())
}
