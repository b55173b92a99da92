// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Safe shows text on one line of a terminal: control characters, line breaks,
// characters that change the direction of text and bytes that are no UTF-8
// are written as Go escapes, such as \x1b.
func Safe(text string) string {
	return safe(text, "")
}

// safeLine is Safe for a line of a file, where tabs are usual and harmless.
func safeLine(line string) string {
	return safe(line, "\t")
}

func safe(text, keep string) string {
	if isSafe(text, keep) {
		return text
	}
	var shown strings.Builder
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&shown, `\x%02x`, text[0])
		case strconv.IsPrint(r) || strings.ContainsRune(keep, r):
			shown.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			shown.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return shown.String()
}

func isSafe(text, keep string) bool {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return false
		}
		if !strconv.IsPrint(r) && !strings.ContainsRune(keep, r) {
			return false
		}
	}
	return true
}
