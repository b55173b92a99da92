// SPDX-License-Identifier: Apache-2.0

package render

import (
	"io"
	"strconv"
	"strings"

	"github.com/pintle-dev/pintle/reconcile"
)

// History writes the revisions as a table, the newest first.
func History(w io.Writer, revisions []reconcile.Revision, style Style) error {
	var out strings.Builder
	if len(revisions) == 0 {
		out.WriteString("No field of this branch was ever bound to the policy.\n")
		return flush(w, &out)
	}
	list := table{header: []string{"REVISION", "IMAGE", "STATE", "CAUSE", "TIME", "COMMIT", "AUTHOR"}}
	for _, r := range revisions {
		number := "-"
		if r.Revision > 0 {
			number = strconv.Itoa(r.Revision)
		}
		image := "another image"
		if r.Tag != "" || r.Digest != "" {
			image = selection(&reconcile.TagDigest{Tag: r.Tag, Digest: r.Digest})
		}
		list.add(cell{number, ""}, cell{image, ""}, stateCell(r.State), cell{causeOf(r), ""}, cell{r.Time, ""}, cell{shortID(r.Commit), ""}, cell{r.Author, ""})
	}
	list.write(&out, style)
	return flush(w, &out)
}

// causeOf tells with a build what it was made of.
func causeOf(r reconcile.Revision) string {
	if r.Source == "" {
		return r.Cause
	}
	return r.Cause + " from " + shortID(r.Source)
}

// stateCell colours a state: green stands, yellow was undone.
func stateCell(state reconcile.State) cell {
	switch state {
	case reconcile.Current, reconcile.PinnedTo:
		return cell{string(state), green}
	case reconcile.Vetoed:
		return cell{string(state), yellow}
	case reconcile.Earlier:
		return cell{string(state), ""}
	}
	return cell{string(state), ""}
}
