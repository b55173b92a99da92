// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// maxQuoted is how many characters of a value a message holds.
const maxQuoted = 64

// clip shortens what a message quotes.
func clip(text string) string {
	runes := []rune(text)
	if len(runes) <= maxQuoted {
		return text
	}
	return string(runes[:maxQuoted]) + "…"
}

func quote(text string) string { return strconv.Quote(clip(text)) }

func quoteValue(value any) string {
	if text, ok := value.(string); ok {
		return quote(text)
	}
	return clip(fmt.Sprint(value))
}

// oneLine makes sure that nothing in a message ends its line or moves a terminal.
func oneLine(message string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, message)
}

// advise says what may have been meant by a name that is not known.
func advise(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := edits(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "" && distance < len(best):
		return fmt.Sprintf("did you mean %s?", best)
	case len(known) == 0:
		return "nothing belongs here: remove it"
	default:
		return "known here are " + strings.Join(known, ", ")
	}
}

// edits counts the insertions, deletions, replacements and swaps of neighbours that turn
// one name into the other; 3 stands for three or more.
func edits(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return min(last[len(b)], 3)
}
