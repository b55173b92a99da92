// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

// Exit statuses, as docs/commands.md lists them.
const (
	statusFailed = 1
	statusUsage  = 2
	// statusProblems: done, and something in the report wants mending.
	statusProblems = 3
	// statusDue is for `plan --exit-code`.
	statusDue = 4
)

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// statusError ends the program with a status when all has been said already.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// exitStatus prints an error for people and returns the status for it.
func exitStatus(stderr io.Writer, command string, err error) int {
	if err == nil {
		return 0
	}
	if status := statusError(0); errors.As(err, &status) {
		return int(status)
	}
	complain(stderr, "pintle: ", err)
	if wrong := (usageError{}); errors.As(err, &wrong) {
		_, _ = fmt.Fprintf(stderr, "See `%s --help`.\n", command)
		return statusUsage
	}
	return statusFailed
}

// complain writes an error that may quote a repository or a registry.
func complain(stderr io.Writer, before string, err error) {
	lines := strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
	for i, line := range lines {
		lines[i] = render.Safe(line)
	}
	_, _ = fmt.Fprintln(stderr, before+strings.Join(lines, "\n"))
}

// reportStatus is nil where all is well.
func reportStatus(report *reconcile.Report) error {
	if len(report.Problems) > 0 {
		return statusError(statusProblems)
	}
	for _, policy := range report.Policies {
		if wantsMending(policy.Reason) {
			return statusError(statusProblems)
		}
	}
	return nil
}

func wantsMending(reason reconcile.Reason) bool {
	return reason == reconcile.NoMatch || reason == reconcile.Failed
}
