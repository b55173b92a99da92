// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/pintle-dev/pintle/cmd/pintle/demo"
)

func newDemo(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run a registry, a Git repository and the engine in one process, and tell the story",
		Long: `Run a registry and a Git repository on this machine, and tell the whole story: a
new tag is written, a revert is respected, a newer tag is written again. It
needs the git command, and no network, cluster or configuration.`,
		Args: arguments(cobra.NoArgs, "no arguments"),
		RunE: func(command *cobra.Command, _ []string) error {
			return demo.Tell(command.Context(), p.stdout, p.style())
		},
	}
}
