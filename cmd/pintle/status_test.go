// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/reconcile"
)

func TestReportStatus(t *testing.T) {
	with := func(reasons ...reconcile.Reason) *reconcile.Report {
		report := &reconcile.Report{}
		for _, reason := range reasons {
			report.Policies = append(report.Policies, reconcile.Policy{Reason: reason})
		}
		return report
	}
	tests := map[string]struct {
		report *reconcile.Report
		want   int
	}{
		"nothing":   {with(), 0},
		"all well":  {with(reconcile.UpToDate, reconcile.Updated, reconcile.Due, reconcile.NoField), 0},
		"waiting":   {with(reconcile.RolledBack, reconcile.ManuallySet, reconcile.DowngradeRefused, reconcile.Suspended, reconcile.TooYoung), 0},
		"no match":  {with(reconcile.UpToDate, reconcile.NoMatch), statusProblems},
		"failed":    {with(reconcile.Failed), statusProblems},
		"a problem": {&reconcile.Report{Problems: []reconcile.Problem{{Message: "x"}}}, statusProblems},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := exitStatus(&bytes.Buffer{}, "pintle", reportStatus(test.report)); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
		})
	}
}

func TestExitStatus(t *testing.T) {
	tests := map[string]struct {
		err  error
		want int
		says string
	}{
		"well":     {nil, 0, ""},
		"failed":   {errors.New("cannot read\x1b[31m x"), statusFailed, "pintle: cannot read\\x1b[31m x\n"},
		"usage":    {fmt.Errorf("bad: %w", usageError{errors.New("no flag")}), statusUsage, "pintle: bad: no flag\nSee `pintle plan --help`.\n"},
		"said":     {statusError(statusDue), statusDue, ""},
		"two ends": {errors.Join(errors.New("one"), errors.New("two")), statusFailed, "pintle: one\ntwo\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			if got := exitStatus(&stderr, "pintle plan", test.err); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
			if stderr.String() != test.says {
				t.Errorf("says %q, want %q", stderr.String(), test.says)
			}
		})
	}
}

func TestWrongUsage(t *testing.T) {
	tests := map[string][]string{
		"a command is missing":           {},
		"did you mean plan":              {"plam"},
		"no command":                     {"frobnicate"},
		"unknown flag: --frob":           {"plan", "--repo", "x", "--frob"},
		"--repo is missing":              {"plan"},
		"plan takes no arguments":        {"plan", "x", "--repo", "y"},
		"sync takes no arguments":        {"sync", "x"},
		"explain takes one argument":     {"explain", "--repo", "x"},
		"is no NAMESPACE/NAME":           {"explain", "podinfo", "--repo", "x"},
		`"a/b/c" is no NAMESPACE/NAME`:   {"explain", "a/b/c", "--repo", "x"},
		"lint takes one argument":        {"lint"},
		`"yaml" is no format`:            {"plan", "--repo", "x", "-o", "yaml"},
		"flag needs an argument":         {"sync", "--repo"},
		"version takes no arguments":     {"version", "x"},
		"demo takes no arguments":        {"demo", "x"},
		"invalid argument \"maybe\" for": {"sync", "--watch=maybe"},
	}
	for says, args := range tests {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), args, &stdout, &stderr); got != statusUsage {
				t.Errorf("status %d, want %d", got, statusUsage)
			}
			if !strings.Contains(stderr.String(), says) {
				t.Errorf("says %q, want %q", stderr.String(), says)
			}
			if stdout.Len() > 0 {
				t.Errorf("writes to standard output: %q", stdout.String())
			}
		})
	}
}

func TestHelpVersionAndCompletion(t *testing.T) {
	tests := map[string][]string{
		"Exit status:":        {"--help"},
		"--exit-code":         {"plan", "--help"},
		"--git-password-file": {"help", "sync"},
		"pintle ":             {"version"},
		"bash completion":     {"completion", "bash"},
		"compdef":             {"completion", "zsh"},
		"fish completion":     {"completion", "fish"},
	}
	for says, args := range tests {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), args, &stdout, &stderr); got != 0 {
				t.Errorf("status %d: %s", got, stderr.String())
			}
			if !strings.Contains(stdout.String(), says) {
				t.Errorf("prints %q, want %q", stdout.String(), says)
			}
		})
	}
}
