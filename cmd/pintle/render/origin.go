// SPDX-License-Identifier: Apache-2.0

package render

import (
	"io"
	"strings"
)

// Origin writes of which repository of a cluster the text below is. another is true
// where one came before it.
func Origin(w io.Writer, name, address string, notices []string, another bool, style Style) error {
	var out strings.Builder
	if another {
		out.WriteString("\n")
	}
	out.WriteString(style.Heading("ManifestRepository "+Safe(name)) + " " + Safe(address) + "\n")
	if len(notices) == 0 {
		out.WriteString("\n")
	}
	writeNotices(&out, notices, style)
	return flush(w, &out)
}
