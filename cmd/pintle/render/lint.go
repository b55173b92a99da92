// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/pintle-dev/pintle/reconcile"
)

// Lint writes one line per problem, as compilers do, so that editors and forges
// can jump to its place, and a closing line that counts.
func Lint(w io.Writer, report *reconcile.LintReport, style Style) error {
	var out strings.Builder
	for _, problem := range report.Problems {
		out.WriteString(ProblemLine(problem) + "\n")
	}
	verdict, color := "no problems", green
	if n := len(report.Problems); n > 0 {
		verdict, color = count(n, "problem"), red
	}
	fmt.Fprintf(&out, "%s, %s, %s: %s\n", count(report.Files, "file"), count(report.Policies, "policy"), count(report.Fields, "field"), style.paint(color, verdict))
	return flush(w, &out)
}
