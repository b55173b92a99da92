// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

const onePolicy = "one argument, the NAMESPACE/NAME of a policy"

// policyName is the argument of a command for one policy.
func policyName(args []string) (string, error) {
	name := args[0]
	if namespace, short, found := strings.Cut(name, "/"); !found || namespace == "" || short == "" || strings.Contains(short, "/") {
		return "", usageError{fmt.Errorf("%q is no NAMESPACE/NAME of a policy", name)}
	}
	return name, nil
}

func newExplain(p *program) *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:     "explain NAMESPACE/NAME --repo R",
		Short:   "Show every candidate of a policy with its rank or why it was dropped, and the verdict of every field",
		Example: `  pintle explain prod/podinfo --repo https://git.example.com/acme/fleet.git`,
		Args:    arguments(cobra.ExactArgs(1), onePolicy),
		RunE: func(command *cobra.Command, args []string) error {
			name, err := policyName(args)
			if err != nil {
				return err
			}
			stop := p.progress("Reading")
			explanation, err := use(command.Context(), &o, func(engine *reconcile.Engine, ctx context.Context) (*reconcile.Explanation, error) {
				return engine.Explain(ctx, name)
			})
			stop()
			if err != nil {
				return err
			}
			if err := p.printExplanation(explanation, o.output); err != nil {
				return err
			}
			if len(explanation.Problems) > 0 || wantsMending(explanation.Policy.Reason) {
				return statusError(statusProblems)
			}
			return nil
		},
	}
	o.bind(command)
	return command
}

func (p *program) printExplanation(explanation *reconcile.Explanation, format output) error {
	if format.json {
		return render.JSON(p.stdout, explanation)
	}
	return render.Explanation(p.stdout, explanation, p.style())
}
