// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/cmd/pintle/render"
)

func newRefresh(p *program) *cobra.Command {
	var flags clusterFlags
	command := &cobra.Command{
		Use:   "refresh NAMESPACE/NAME...",
		Short: "Have the controller of a cluster look at the registry now, for some policies",
		Long: `Have the controller of a cluster look at the registry now, for some policies, and not
only when their schedules say. It asks for a look and nothing else: what is written
is decided as ever.`,
		Example: `  pintle refresh prod/podinfo prod/api`,
		Args:    arguments(cobra.MinimumNArgs(1), "the NAMESPACE/NAME of each policy"),
		RunE: func(command *cobra.Command, args []string) error {
			c, err := flags.connect()
			if err != nil {
				return err
			}
			return p.refresh(command.Context(), c, args)
		},
	}
	flags.bind(command.Flags())
	flags.bindNamespace(command.Flags())
	return command
}

// refresh goes on to the others where one can't be had.
func (p *program) refresh(ctx context.Context, c *cluster, args []string) error {
	var policies []types.NamespacedName
	for _, argument := range args {
		policy, err := c.policyKey(argument)
		if err != nil {
			return err
		}
		policies = append(policies, policy)
	}
	failed := false
	for _, policy := range policies {
		err := c.refresh(ctx, policy, time.Now())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			complain(p.stderr, "pintle: ", err)
			failed = true
			continue
		}
		if _, err := fmt.Fprintf(p.stdout, "imagepolicy.pintle.dev/%s refreshed\n", render.Safe(policy.Name)); err != nil {
			return fmt.Errorf("cannot write to standard output: %w", err)
		}
	}
	if failed {
		return statusError(statusFailed)
	}
	return nil
}

func (c *cluster) refresh(ctx context.Context, name types.NamespacedName, now time.Time) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{v1alpha1.RefreshAnnotation: now.Format(time.RFC3339Nano)},
	}})
	if err != nil {
		return fmt.Errorf("cannot refresh %s: %w", name, err)
	}
	policy := &v1alpha1.ImagePolicy{}
	policy.Namespace, policy.Name = name.Namespace, name.Name
	err = c.client.Patch(ctx, policy, client.RawPatch(types.MergePatchType, patch))
	if apierrors.IsNotFound(err) {
		return c.unknownPolicy(ctx, "refresh", name)
	}
	if err != nil {
		return fmt.Errorf("cannot refresh %s: %w", name, err)
	}
	return nil
}
