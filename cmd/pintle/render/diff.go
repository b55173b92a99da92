// SPDX-License-Identifier: Apache-2.0

package render

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pintle-dev/pintle/reconcile"
)

// contextLines is how many unchanged lines surround a change.
const contextLines = 3

// span is a run of lines that differs: lines [oldStart, oldEnd) became
// [newStart, newEnd), counted from 0.
type span struct{ oldStart, oldEnd, newStart, newEnd int }

// Diffs is the unified diff of all files, or "" where none changed.
func Diffs(files []reconcile.FileDiff, style Style) string {
	var out strings.Builder
	for _, file := range files {
		writeDiff(&out, file, style)
	}
	return out.String()
}

func writeDiff(out *strings.Builder, file reconcile.FileDiff, style Style) {
	if bytes.Equal(file.Old, file.New) {
		return
	}
	before, after := lines(file.Old), lines(file.New)
	path := Safe(file.Path)
	out.WriteString(style.paint(bold, "--- a/"+path) + "\n")
	out.WriteString(style.paint(bold, "+++ b/"+path) + "\n")
	for _, hunk := range hunks(changedSpans(before, after), len(before)) {
		writeHunk(out, before, after, hunk, style)
	}
}

func writeHunk(out *strings.Builder, before, after []string, hunk []span, style Style) {
	first, last := hunk[0], hunk[len(hunk)-1]
	oldFrom := max(first.oldStart-contextLines, 0)
	newFrom := first.newStart - (first.oldStart - oldFrom)
	oldTo := min(last.oldEnd+contextLines, len(before))
	newTo := last.newEnd + (oldTo - last.oldEnd)
	header := fmt.Sprintf("@@ -%s +%s @@", lineRange(oldFrom, oldTo), lineRange(newFrom, newTo))
	out.WriteString(style.paint(cyan, header) + "\n")

	at := oldFrom
	for _, change := range hunk {
		writeLines(out, " ", before[at:change.oldStart], "", style)
		writeLines(out, "-", before[change.oldStart:change.oldEnd], red, style)
		writeLines(out, "+", after[change.newStart:change.newEnd], green, style)
		at = change.oldEnd
	}
	writeLines(out, " ", before[at:oldTo], "", style)
}

func writeLines(out *strings.Builder, sign string, lines []string, color string, style Style) {
	for _, line := range lines {
		text, complete := strings.CutSuffix(line, "\n")
		// A file with CRLF has it on every line; showing it tells nothing.
		text = strings.TrimSuffix(text, "\r")
		out.WriteString(style.paint(color, sign+safeLine(text)) + "\n")
		if !complete {
			out.WriteString("\\ No newline at end of file\n")
		}
	}
}

// lineRange is a range of lines as a hunk's header writes it. An empty range
// names the line before it.
func lineRange(from, to int) string {
	switch to - from {
	case 0:
		return fmt.Sprintf("%d,0", from)
	case 1:
		return strconv.Itoa(from + 1)
	default:
		return fmt.Sprintf("%d,%d", from+1, to-from)
	}
}

// changedSpans compares line by line, which is exact for the edits that Pintle
// makes: a value gives way to another in its line. Where the number of lines
// differs, all between the common head and tail is one span.
func changedSpans(before, after []string) []span {
	if len(before) != len(after) {
		return []span{differingMiddle(before, after)}
	}
	var spans []span
	for i := range before {
		if before[i] == after[i] {
			continue
		}
		if n := len(spans); n > 0 && spans[n-1].oldEnd == i {
			spans[n-1].oldEnd++
			spans[n-1].newEnd++
			continue
		}
		spans = append(spans, span{i, i + 1, i, i + 1})
	}
	return spans
}

func differingMiddle(before, after []string) span {
	shortest := min(len(before), len(after))
	head := 0
	for head < shortest && before[head] == after[head] {
		head++
	}
	tail := 0
	for tail < shortest-head && before[len(before)-1-tail] == after[len(after)-1-tail] {
		tail++
	}
	return span{head, len(before) - tail, head, len(after) - tail}
}

// hunks joins spans whose context touches.
func hunks(spans []span, length int) [][]span {
	var groups [][]span
	for _, next := range spans {
		n := len(groups)
		if n > 0 {
			last := groups[n-1][len(groups[n-1])-1]
			if next.oldStart-contextLines <= min(last.oldEnd+contextLines, length) {
				groups[n-1] = append(groups[n-1], next)
				continue
			}
		}
		groups = append(groups, []span{next})
	}
	return groups
}

// lines splits after each line feed, which stays with its line.
func lines(content []byte) []string {
	return slices.DeleteFunc(strings.SplitAfter(string(content), "\n"), func(line string) bool { return line == "" })
}
