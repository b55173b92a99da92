// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/pintle-dev/pintle/reconcile"
)

// Plan writes what a sync would do: the diff, the commits, every policy with
// its reason, what is wrong, and a closing line that counts.
func Plan(w io.Writer, report *reconcile.Report, style Style) error {
	return write(w, report, planSummary(report), style)
}

// Sync writes what a sync did, in the same order as Plan.
func Sync(w io.Writer, report *reconcile.Report, style Style) error {
	return write(w, report, syncSummary(report), style)
}

func write(w io.Writer, report *reconcile.Report, summary string, style Style) error {
	var out strings.Builder
	if diff := Diffs(report.Diffs, style); diff != "" {
		out.WriteString(diff + "\n")
	}
	if len(report.Commits) > 0 {
		for _, commit := range report.Commits {
			out.WriteString(CommitLine(commit, style) + "\n")
		}
		out.WriteString("\n")
	}
	writePolicies(&out, report.Policies, style)
	writeVerdicts(&out, report.Policies, style)
	writeProblems(&out, report.Problems, style)
	writeNotices(&out, report.Notices, style)
	out.WriteString(style.paint(bold, Safe(summary)) + "\n")
	return flush(w, &out)
}

func flush(w io.Writer, out *strings.Builder) error {
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}

// CommitLine is a commit on one line: its short id where it was made, its
// subject, and how many fields it moves.
func CommitLine(commit reconcile.Commit, style Style) string {
	id := "would commit"
	if commit.SHA != "" {
		id = shortID(commit.SHA)
	}
	return style.paint(yellow, id) + " " + Safe(commit.Subject) + fmt.Sprintf(" (%s)", count(len(commit.Changes), "field"))
}

func writePolicies(out *strings.Builder, policies []reconcile.Policy, style Style) {
	if len(policies) == 0 {
		return
	}
	list := table{header: []string{"POLICY", "IMAGE", "SELECTED", "FIELDS", "REASON", "MESSAGE"}}
	for _, policy := range policies {
		list.add(
			cell{policy.Namespace + "/" + policy.Name, ""},
			cell{policy.Image, ""},
			cell{selection(policy.Selected), ""},
			cell{strconv.Itoa(len(policy.Fields)), ""},
			reasonCell(policy.Reason),
			cell{policy.Message, ""},
		)
	}
	list.write(out, style)
	out.WriteString("\n")
}

// writeVerdicts lists the fields that stay as they are although they do not
// hold the selection: the policy's one reason cannot tell them apart.
func writeVerdicts(out *strings.Builder, policies []reconcile.Policy, style Style) {
	list := table{header: []string{"FIELD LEFT AS IT IS", "POLICY", "HOLDS", "REASON", "WHY"}}
	for _, policy := range policies {
		for _, field := range policy.Fields {
			switch field.Reason {
			case reconcile.UpToDate, reconcile.Updated, reconcile.Due:
			default:
				name := cell{policy.Namespace + "/" + policy.Name, ""}
				list.add(slices.Insert(fieldCells(policy, field), 1, name)...)
			}
		}
	}
	if len(list.rows) == 0 {
		return
	}
	list.write(out, style)
	out.WriteString("\n")
}

// fieldCells leaves out a message that the policy's line has told already.
func fieldCells(policy reconcile.Policy, field reconcile.Field) []cell {
	why := field.Message
	if why == policy.Message {
		why = ""
	}
	return []cell{
		{place(field.File, field.Line), ""},
		{shortDigests(field.Value), ""},
		reasonCell(field.Reason),
		{why, ""},
	}
}

func writeProblems(out *strings.Builder, problems []reconcile.Problem, style Style) {
	if len(problems) == 0 {
		return
	}
	out.WriteString(style.paint(red, count(len(problems), "problem")+":") + "\n")
	for _, problem := range problems {
		out.WriteString("  " + ProblemLine(problem) + "\n")
	}
	out.WriteString("\n")
}

func writeNotices(out *strings.Builder, notices []string, style Style) {
	if len(notices) == 0 {
		return
	}
	for _, notice := range notices {
		out.WriteString(style.paint(yellow, "Notice:") + " " + Safe(notice) + "\n")
	}
	out.WriteString("\n")
}

// ProblemLine is a problem on one line, behind its place where it has one.
func ProblemLine(problem reconcile.Problem) string {
	if problem.File == "" {
		return Safe(problem.Message)
	}
	return Safe(place(problem.File, problem.Line)) + ": " + Safe(problem.Message)
}

func planSummary(report *reconcile.Report) string {
	at := fmt.Sprintf("%s at %s", report.Branch, shortID(report.Head))
	if len(report.Commits) == 0 {
		return "Nothing is due on " + at + "."
	}
	due := tally(report)
	return fmt.Sprintf("Due on %s, in %s: %s.", at, count(len(report.Commits), "commit"), due.words("to move", "to gain"))
}

func syncSummary(report *reconcile.Report) string {
	if len(report.Commits) == 0 {
		return fmt.Sprintf("Nothing was due on %s at %s.", report.Branch, shortID(report.Head))
	}
	commits, done := count(len(report.Commits), "commit"), tally(report).words("moved", "gained")
	if report.Checkout {
		return fmt.Sprintf("Added %s to %s of this checkout: %s. Nothing was pushed; `git push` does it.", commits, report.Branch, done)
	}
	return fmt.Sprintf("Pushed %s to %s: %s.", commits, report.Branch, done)
}

// tallies are numbers of changes: those that move a field to another version
// or digest, and those that only add a digest to the version that is there.
type tallies struct{ moved, repinned int }

func tally(report *reconcile.Report) tallies {
	var sum tallies
	for _, commit := range report.Commits {
		for _, change := range commit.Changes {
			if change.Repinned {
				sum.repinned++
			} else {
				sum.moved++
			}
		}
	}
	return sum
}

// words counts the two kinds apart: the second surprises people, because no
// version changes and workloads restart all the same.
func (t tallies) words(move, gain string) string {
	var parts []string
	if t.moved > 0 {
		parts = append(parts, count(t.moved, "field")+" "+move)
	}
	if t.repinned > 0 {
		parts = append(parts, fmt.Sprintf("%s %s only a digest; this restarts workloads", count(t.repinned, "field"), gain))
	}
	return strings.Join(parts, ", ")
}
