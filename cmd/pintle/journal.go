// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/reconcile"
)

// journal tells what happens while watch goes on: one line per commit on
// standard output, and on standard error what is wrong, once.
type journal struct {
	program *program
	format  output
	// reasons, lines and troubles hold what was told already.
	reasons  map[string]reconcile.Reason
	lines    map[string]bool
	troubles map[string]string
}

func newJournal(p *program, format output) *journal {
	return &journal{
		program:  p,
		format:   format,
		reasons:  map[string]reconcile.Reason{},
		lines:    map[string]bool{},
		troubles: map[string]string{},
	}
}

// report tells of a pass. With -o json it is one line with the whole report.
func (j *journal) report(report *reconcile.Report) error {
	if j.format.json {
		return render.JSONLine(j.program.stdout, report)
	}
	now := time.Now().UTC().Format(time.RFC3339)
	for _, commit := range report.Commits {
		if _, err := fmt.Fprintln(j.program.stdout, now, render.CommitLine(commit, j.program.style())); err != nil {
			return fmt.Errorf("cannot write to standard output: %w", err)
		}
	}
	for _, policy := range report.Policies {
		j.verdict(now, policy)
	}
	lines := map[string]bool{}
	for _, problem := range report.Problems {
		lines[render.ProblemLine(problem)] = true
	}
	for _, notice := range report.Notices {
		lines["Notice: "+render.Safe(notice)] = true
	}
	for _, line := range slices.Sorted(maps.Keys(lines)) {
		if !j.lines[line] {
			j.say(now, line)
		}
	}
	j.lines = lines
	return nil
}

// verdict tells when a policy begins to wait or to fail, or stops doing so.
func (j *journal) verdict(now string, policy reconcile.Policy) {
	name := policy.Namespace + "/" + policy.Name
	before, known := j.reasons[name]
	j.reasons[name] = policy.Reason
	if policy.Reason == before || (isQuiet(policy.Reason) && (!known || isQuiet(before))) {
		return
	}
	line := render.Safe(name) + " " + string(policy.Reason)
	if policy.Message != "" {
		line += ": " + render.Safe(policy.Message)
	}
	j.say(now, line)
}

func isQuiet(reason reconcile.Reason) bool {
	return reason == reconcile.UpToDate || reason == reconcile.Updated
}

// trouble tells of an error that ended no more than one pass, and of its end.
func (j *journal) trouble(doing string, err error) {
	before, now := j.troubles[doing], time.Now().UTC().Format(time.RFC3339)
	switch {
	case err == nil && before != "":
		j.say(now, doing+" works again")
		delete(j.troubles, doing)
	case err != nil && err.Error() != before:
		complain(j.program.stderr, now+" ", err)
		j.troubles[doing] = err.Error()
	}
}

func (j *journal) say(now, line string) {
	_, _ = fmt.Fprintln(j.program.stderr, now, line)
}
