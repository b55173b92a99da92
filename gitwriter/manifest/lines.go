// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"sort"
	"unicode/utf8"
)

const byteOrderMark = "\ufeff"

// lines knows where the lines of a file begin, as the YAML parser counts them
// and as people do.
type lines struct {
	starts []int // offset of each line; NEL, LS and PS end a line for the parser
	odd    []int // offsets behind those breaks that are none for people
	cursor struct{ line, column, at int }
}

func findLines(content []byte) lines {
	l := lines{starts: make([]int, 1, 1+bytes.Count(content, []byte("\n")))}
	if bytes.HasPrefix(content, []byte(byteOrderMark)) {
		l.starts[0] = len(byteOrderMark) // it takes no column
		l.cursor.at = l.starts[0]
	}
	for i := 0; i < len(content); i++ {
		size := breakAt(content, i)
		if size == 0 {
			continue
		}
		i += size - 1
		l.starts = append(l.starts, i+1)
		if content[i] != '\n' {
			l.odd = append(l.odd, i+1)
		}
	}
	return l
}

// breakAt gives the length of the line break at i, 0 if there is none. CRLF is
// one break.
func breakAt(content []byte, i int) int {
	switch content[i] {
	case '\n':
		return 1
	case '\r':
		if i+1 < len(content) && content[i+1] == '\n' {
			return 2
		}
		return 1
	case 0xC2: // U+0085
		if i+1 < len(content) && content[i+1] == 0x85 {
			return 2
		}
	case 0xE2: // U+2028, U+2029
		if i+2 < len(content) && content[i+1] == 0x80 && (content[i+2] == 0xA8 || content[i+2] == 0xA9) {
			return 3
		}
	}
	return 0
}

// offset gives the offset of a line and column of the parser, both from 0. It
// is cheap when called in the order of the file.
func (l *lines) offset(content []byte, line, column int) int {
	if line < 0 || line >= len(l.starts) {
		return len(content)
	}
	c := &l.cursor
	if c.line != line || c.column > column || c.at < l.starts[line] {
		c.line, c.column, c.at = line, 0, l.starts[line]
	}
	for c.column < column && c.at < len(content) {
		_, size := utf8.DecodeRune(content[c.at:])
		c.at += size
		c.column++
	}
	return c.at
}

// bounds gives the line around an offset: its first byte, and its end without
// the break.
func (l *lines) bounds(content []byte, at int) (start, end int) {
	i := max(1, sort.SearchInts(l.starts, at+1))
	start = l.starts[i-1]
	if i == len(l.starts) {
		return start, len(content)
	}
	end = l.starts[i]
	for size := 3; size > 0; size-- {
		if end-size >= start && breakAt(content, end-size) == size {
			return start, end - size
		}
	}
	return start, end
}

// human gives the line of an offset as people and git count it, from 1.
func (l *lines) human(at int) int {
	return max(1, sort.SearchInts(l.starts, at+1)-sort.SearchInts(l.odd, at+1))
}
