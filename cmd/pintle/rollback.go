// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

func newRollback(p *program) *cobra.Command {
	var rollback reconcile.RollbackOptions
	command := p.order("Rolling back", &cobra.Command{
		Use:   "rollback NAMESPACE/NAME --repo R [--to REVISION|TAG|DIGEST]",
		Short: "Go back to an earlier revision, and keep what it replaces from being written again",
		Long: `Go back to an earlier revision by a commit on top. What it replaces is vetoed, so
that it is not written again; newer images are. Without --to it goes to the newest
revision below the current one that is not vetoed, so that twice walks back two.
A suspended policy is rolled back too; one with a pin is not.`,
		Example: `  pintle rollback prod/podinfo --repo https://git.example.com/acme/fleet.git
  pintle rollback prod/podinfo --repo . --to 6.7.0 --dry-run`,
	}, func(engine *reconcile.Engine, ctx context.Context, name string) (*reconcile.Report, error) {
		return engine.Rollback(ctx, name, rollback)
	}, &rollback.DryRun)
	flags := command.Flags()
	flags.StringVar(&rollback.To, "to", "", "a `REVISION|TAG|DIGEST` that the history lists, or the beginning of a digest (default: the revision below)")
	flags.BoolVar(&rollback.DryRun, "dry-run", false, "show what would be written; write nothing")
	flags.BoolVar(&rollback.Force, "force", false, "write also what the registry does not have any more")
	return command
}

func newResume(p *program) *cobra.Command {
	return p.order("Resuming", &cobra.Command{
		Use:   "resume NAMESPACE/NAME --repo R",
		Short: "End a hold: lift the policy's vetoes, and write what it selects",
		Long: `End a hold: write what the policy selects, and lift its vetoes by the entry that is
written. If nothing can be written, nothing is lifted.`,
		Example: `  pintle resume prod/podinfo --repo https://git.example.com/acme/fleet.git`,
	}, (*reconcile.Engine).Resume, new(bool))
}

// order completes a command that writes to one policy.
func (p *program) order(doing string, command *cobra.Command, do func(*reconcile.Engine, context.Context, string) (*reconcile.Report, error), dryRun *bool) *cobra.Command {
	var o options
	command.Args = arguments(cobra.ExactArgs(1), onePolicy)
	command.RunE = func(command *cobra.Command, args []string) error {
		name, err := policyName(args)
		if err != nil {
			return err
		}
		stop := p.progress(doing)
		report, err := use(command.Context(), &o, func(engine *reconcile.Engine, ctx context.Context) (*reconcile.Report, error) {
			return do(engine, ctx, name)
		})
		stop()
		if err != nil {
			return err
		}
		show := render.Sync
		if *dryRun {
			show = render.Plan
		}
		if err := p.printReport(report, o.output, show); err != nil {
			return err
		}
		return reportStatus(report)
	}
	o.bind(command)
	return command
}
