// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
)

// run executes the command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot(&program{stdout: stdout, stderr: stderr}, calledAs(os.Args[0]))
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("stopped by a signal")
	}
	return exitStatus(stderr, command.CommandPath(), err)
}

// program is what every command shares: where it prints.
type program struct{ stdout, stderr io.Writer }

// style is for standard output: in colour at a terminal, unless the reader asks
// for none (https://no-color.org).
func (p *program) style() render.Style {
	return render.Style{Color: isTerminal(p.stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// progress shows on standard error that slow work goes on, at a terminal only.
func (p *program) progress(doing string) (stop func()) {
	if !isTerminal(p.stderr) {
		return func() {}
	}
	return render.Progress(p.stderr, doing)
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// calledAs is what the user types for the program. kubectl runs a plugin by its file.
func calledAs(file string) string {
	if strings.TrimSuffix(filepath.Base(file), ".exe") == "kubectl-pintle" {
		return "kubectl pintle"
	}
	return "pintle"
}

func newRoot(p *program, name string) *cobra.Command {
	root := &cobra.Command{
		Use:         "pintle",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Short:       "Keep manifests in Git pinned to the right container images",
		Long: `Pintle follows container images in registries and keeps the manifests in Git
pinned to the right one. Git is the only thing it writes, and undoing one of
its commits is a decision that it respects.

Exit status: 0 all well; 1 failed, nothing written; 2 wrong usage; 3 done, but
with problems listed or a policy at NoMatch or Failed.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE: func(root *cobra.Command, _ []string) error {
			return usageError{errors.New("a command is missing\n\n" + root.UsageString())}
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newPlan(p), newSync(p), newExplain(p), newLint(p), newHistory(p), newRollback(p), newResume(p), newRefresh(p), newController(p), newDemo(p), newVersion(p))
	for _, command := range root.Commands() {
		command.Example = strings.ReplaceAll(command.Example, "  pintle ", "  "+name+" ")
	}
	return root
}

// knownCommand takes the place of cobra's own check, to make an unknown command
// wrong usage.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	message := fmt.Sprintf("there is no command %q", args[0])
	if similar := root.SuggestionsFor(args[0]); len(similar) > 0 {
		message += ": did you mean " + strings.Join(similar, " or ") + "?"
	}
	return usageError{errors.New(message)}
}

// arguments makes a wrong number of arguments wrong usage, and says what is
// wanted.
func arguments(check cobra.PositionalArgs, wanted string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) != nil {
			return usageError{fmt.Errorf("%s takes %s", cmd.Name(), wanted)}
		}
		return nil
	}
}
