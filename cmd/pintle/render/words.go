// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"regexp"

	"github.com/pintle-dev/pintle/reconcile"
)

// Digests and commit ids are cut to this many hexadecimal digits for people.
const shortLength = 12

var longDigest = regexp.MustCompile(`(sha256:[0-9a-f]{12})[0-9a-f]{52}`)

// selection is a tag and a digest as people read them, or a dash.
func selection(selected *reconcile.TagDigest) string {
	switch {
	case selected == nil:
		return "-"
	case selected.Digest == "":
		return selected.Tag
	case selected.Tag == "":
		return shortDigests(selected.Digest)
	default:
		return selected.Tag + "@" + shortDigests(selected.Digest)
	}
}

// shortDigests cuts each whole digest in a text to its first digits.
func shortDigests(text string) string {
	return longDigest.ReplaceAllString(text, "$1")
}

func shortID(id string) string {
	return id[:min(len(id), shortLength)]
}

// place is "file:line", or the file alone where there is no line.
func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// count is a number with its noun: "1 field", "2 fields".
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "policy":
		return fmt.Sprintf("%d policies", n)
	default:
		return fmt.Sprintf("%d %ss", n, noun)
	}
}
