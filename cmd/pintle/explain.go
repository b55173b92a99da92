// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/controller"
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
		Use:   "explain NAMESPACE/NAME [--repo R]",
		Short: "Show every candidate of a policy with its rank or why it was dropped, and the verdict of every field",
		Example: `  pintle explain prod/podinfo --repo https://git.example.com/acme/fleet.git
  pintle explain prod/podinfo    # in the cluster of the kubeconfig`,
		Args: arguments(cobra.ExactArgs(1), onePolicy),
		RunE: func(command *cobra.Command, args []string) error {
			return perform(command, p, &o, args, job[*reconcile.Explanation]{
				doing: "Reading", op: "explain", purpose: controller.ToRead,
				do: func(ctx context.Context, engine *reconcile.Engine, policy string) (*reconcile.Explanation, error) {
					return engine.Explain(ctx, policy)
				},
				idle:   func(x *reconcile.Explanation) bool { return len(x.Policy.Fields) == 0 },
				people: render.Explanation,
				located: func(from origin, x *reconcile.Explanation) any {
					return struct {
						origin
						*reconcile.Explanation
					}{from, x}
				},
				status: func(x *reconcile.Explanation) error {
					if len(x.Problems) > 0 || wantsMending(x.Policy.Reason) {
						return statusError(statusProblems)
					}
					return nil
				},
			})
		},
	}
	o.bindBoth(command)
	return command
}
