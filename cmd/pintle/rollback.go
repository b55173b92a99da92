// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// revisionNumber is a --to that means another image in each repository.
var revisionNumber = regexp.MustCompile(`^[0-9]+$`)

func newRollback(p *program) *cobra.Command {
	var o options
	var rollback reconcile.RollbackOptions
	command := &cobra.Command{
		Use:   "rollback NAMESPACE/NAME [--repo R] [--to REVISION|TAG|DIGEST]",
		Short: "Go back to an earlier revision, and keep what it replaces from being written again",
		Long: `Go back to an earlier revision by a commit on top. What it replaces is vetoed, so
that it is not written again; newer images are. Without --to it goes to the newest
revision below the current one that is not vetoed, so that twice walks back two.
A suspended policy is rolled back too; one with a pin is not.

Without --repo it goes through the ManifestRepositories of a cluster that have the
policy. It pushes with your own Git login, not with the controller's.`,
		Example: `  pintle rollback prod/podinfo --repo https://git.example.com/acme/fleet.git
  pintle rollback prod/podinfo --repo . --to 6.7.0 --dry-run
  pintle rollback prod/podinfo    # in the cluster of the kubeconfig`,
		Args: arguments(cobra.ExactArgs(1), onePolicy),
		RunE: func(command *cobra.Command, args []string) error {
			j := order("roll back", "Rolling back", controller.ToRollBack, func(ctx context.Context, engine *reconcile.Engine, policy string) (*reconcile.Report, error) {
				return engine.Rollback(ctx, policy, rollback)
			})
			if rollback.DryRun {
				j.people = render.Plan
			}
			if revisionNumber.MatchString(rollback.To) {
				j.several = func() error {
					return fmt.Errorf("cannot roll back %s to %s: it is in more than one repository, and each counts revisions of its own; name a tag, a digest, or TAG@DIGEST", args[0], rollback.To)
				}
			}
			return perform(command, p, &o, args, j)
		},
	}
	o.bindBoth(command)
	o.commits.bindTemplate(command.Flags())
	o.commits.bindMaking(command.Flags())
	flags := command.Flags()
	flags.StringVar(&rollback.To, "to", "", "a `REVISION|TAG|DIGEST` that the history lists, or the beginning of a digest (default: the revision below)")
	flags.BoolVar(&rollback.DryRun, "dry-run", false, "show what would be written; write nothing")
	flags.BoolVar(&rollback.Force, "force", false, "write also what the registry does not have any more")
	return command
}

func newResume(p *program) *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:   "resume NAMESPACE/NAME [--repo R]",
		Short: "End a hold: lift the policy's vetoes, and write what it selects",
		Long: `End a hold: write what the policy selects, and lift its vetoes by the entry that is
written. If nothing can be written, nothing is lifted.

Without --repo it goes through the ManifestRepositories of a cluster that have the
policy. It pushes with your own Git login, not with the controller's.`,
		Example: `  pintle resume prod/podinfo --repo https://git.example.com/acme/fleet.git
  pintle resume prod/podinfo    # in the cluster of the kubeconfig`,
		Args: arguments(cobra.ExactArgs(1), onePolicy),
		RunE: func(command *cobra.Command, args []string) error {
			return perform(command, p, &o, args, order("resume", "Resuming", controller.ToWrite, func(ctx context.Context, engine *reconcile.Engine, policy string) (*reconcile.Report, error) {
				return engine.Resume(ctx, policy)
			}))
		},
	}
	o.bindBoth(command)
	o.commits.bindTemplate(command.Flags())
	o.commits.bindMaking(command.Flags())
	return command
}

// order is a job that writes to one policy.
func order(op, doing string, purpose controller.Purpose, do func(context.Context, *reconcile.Engine, string) (*reconcile.Report, error)) job[*reconcile.Report] {
	return job[*reconcile.Report]{
		doing: doing, op: op, purpose: purpose, do: do,
		idle:   func(*reconcile.Report) bool { return false }, // it is refused
		people: render.Sync, located: locatedReport, status: reportStatus,
	}
}
