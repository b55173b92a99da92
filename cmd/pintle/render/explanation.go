// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pintle-dev/pintle/reconcile"
)

// Explanation writes every candidate with its rank or the reason it was
// dropped, every field with its verdict, and what is vetoed.
func Explanation(w io.Writer, explanation *reconcile.Explanation, style Style) error {
	var out strings.Builder
	policy := explanation.Policy
	name := policy.Namespace + "/" + policy.Name
	fmt.Fprintf(&out, "%s follows %s by %s\n", style.paint(bold, Safe(name)), Safe(policy.Image), Safe(explanation.Rule))
	fmt.Fprintf(&out, "Selected: %s\n", Safe(selection(policy.Selected)))
	verdict := reasonCell(policy.Reason)
	fmt.Fprintf(&out, "Verdict:  %s", style.paint(verdict.color, verdict.text))
	if policy.Message != "" {
		out.WriteString(": " + Safe(policy.Message))
	}
	out.WriteString("\n\n")

	writeCandidates(&out, explanation.Candidates, style)
	writeFields(&out, policy, style)
	writeVetoes(&out, explanation.Vetoes, style)
	writeProblems(&out, explanation.Problems, style)
	return flush(w, &out)
}

func writeCandidates(out *strings.Builder, candidates []reconcile.Candidate, style Style) {
	if len(candidates) == 0 {
		out.WriteString("No candidates.\n\n")
		return
	}
	list := table{header: []string{"RANK", "TAG", "DROPPED BECAUSE"}}
	for _, candidate := range candidates {
		rank := "-"
		if candidate.Rank > 0 {
			rank = strconv.Itoa(candidate.Rank)
		}
		list.add(cell{rank, ""}, cell{candidate.Tag, ""}, cell{candidate.Dropped, ""})
	}
	list.write(out, style)
	out.WriteString("\n")
}

func writeFields(out *strings.Builder, policy reconcile.Policy, style Style) {
	if len(policy.Fields) == 0 {
		out.WriteString("No field is bound to this policy: put a marker on an image, or declare a target.\n\n")
		return
	}
	list := table{header: []string{"FIELD", "HOLDS", "REASON", "WHY"}}
	for _, field := range policy.Fields {
		list.add(fieldCells(policy, field)...)
	}
	list.write(out, style)
	out.WriteString("\n")
}

func writeVetoes(out *strings.Builder, vetoes []reconcile.Veto, style Style) {
	if len(vetoes) == 0 {
		return
	}
	list := table{header: []string{"VETOED", "UNDONE BY", "AUTHOR", "WHEN"}}
	for _, veto := range vetoes {
		list.add(cell{selection(&veto.TagDigest), ""}, cell{shortID(veto.By), ""}, cell{veto.Author, ""}, cell{veto.When, ""})
	}
	list.write(out, style)
	out.WriteString("\n")
}
