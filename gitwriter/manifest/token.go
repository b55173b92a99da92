// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// style is how a scalar is written.
type style int

const (
	plain style = iota
	single
	double
	block // literal or folded
)

// token is where a scalar stands in the bytes of its file.
type token struct {
	// start and end bound what an edit replaces: a plain scalar, what stands
	// between quotes, or the one line of text of a block scalar.
	start, end int
	// header is the end of a block scalar's first line, where a comment may
	// stand; for the others it is the same as start.
	header int
	// stop is the first byte behind the scalar, closing quote and all.
	stop  int
	style style
	// before and after are the white space that a block scalar's value has
	// around the text.
	before, after string
}

// refusal is why a scalar can't be edited; empty if it can.
type refusal string

// Why the bytes of a scalar are not edited.
const (
	refuseEmpty    refusal = "there is no value to replace; write one first, quoted if it is to be empty"
	refuseLines    refusal = "it is a block scalar of more than one line; write the value on one line"
	refuseUnlike   refusal = "its bytes are not what the YAML parser reads; write the value plain or in quotes, on one line"
	refuseAlias    refusal = "it is an alias of a value that stands elsewhere; write the value here, or mark the value that it refers to"
	refuseAnchored refusal = "aliases elsewhere in the file refer to it and would change with it; write the value out in each place"
	refuseTwice    refusal = "its key stands twice in the same mapping; remove one"
	refusePath     refusal = "another value of the file has the same path, so a key stands twice; remove one"
	refuseLongKey  refusal = "it stands under a key that is too long to name"
)

// token finds the bytes of a scalar. Even where it refuses, stop is set as far
// as it is known, so that comments behind the scalar are told from its text.
func (t *tree) token(leaf int) (token, refusal) {
	n := t.nodes[leaf]
	if n.Kind == yaml.AliasNode {
		end := n.at + 1 + len(n.Value)
		return token{start: n.at, end: end, header: n.at, stop: end}, refuseAlias
	}
	at := t.skipProperties(n.at, n.Node)
	switch {
	case n.Style&yaml.SingleQuotedStyle != 0:
		return t.quoted(at, '\'')
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return t.quoted(at, '"')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return t.block(at, n.Value)
	default:
		return t.plain(at, n.Value)
	}
}

// skipProperties gives the offset of the value behind an anchor and a tag, which
// may stand on another line, with comments between.
func (t *tree) skipProperties(at int, n *yaml.Node) int {
	for at < len(t.content) && (t.content[at] == '&' || t.content[at] == '!') {
		for at < len(t.content) && !blank(t.content[at]) && breakAt(t.content, at) == 0 && strings.IndexByte(",[]{}", t.content[at]) < 0 {
			at++
		}
		if n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
			continue // nothing follows
		}
		_, at = t.skipSpace(at)
		for at < len(t.content) && t.content[at] == '#' {
			_, at = t.lines.bounds(t.content, at)
			_, at = t.skipSpace(at)
		}
	}
	return at
}

// quoted finds the end of a quoted scalar that begins at an offset.
func (t *tree) quoted(at int, quote byte) (token, refusal) {
	tok := token{start: at + 1, header: at + 1, style: single}
	if quote == '"' {
		tok.style = double
	}
	if at >= len(t.content) || t.content[at] != quote {
		return token{start: at, end: at, header: at, stop: at}, refuseUnlike
	}
	for i := at + 1; i < len(t.content); i++ {
		switch {
		case t.content[i] == '\\' && quote == '"':
			i++
		case t.content[i] == quote && quote == '\'' && i+1 < len(t.content) && t.content[i+1] == quote:
			i++
		case t.content[i] == quote:
			tok.end, tok.stop = i, i+1
			return tok, ""
		}
	}
	return token{start: at, end: at, header: at, stop: len(t.content)}, refuseUnlike
}

// plain finds the end of a plain scalar, which may be folded over lines.
func (t *tree) plain(at int, value string) (token, refusal) {
	tok := token{start: at, end: at, header: at, stop: at}
	if value == "" {
		return tok, refuseEmpty
	}
	end, ok := t.folded(at, value)
	if !ok {
		return tok, refuseUnlike
	}
	tok.end, tok.stop = end, end
	return tok, ""
}

// folded follows a value through the bytes of a plain scalar, in which one line
// break stands for a space and more of them for one break less.
func (t *tree) folded(at int, value string) (end int, ok bool) {
	for v := 0; v < len(value); {
		if at < len(t.content) && breakAt(t.content, at) == 0 && t.content[at] == value[v] && (!blank(value[v]) || !t.breaksAfterBlanks(at)) {
			at, v = at+1, v+1
			continue
		}
		breaks, next := t.skipSpace(at)
		want := strings.Repeat("\n", max(breaks-1, 0))
		if breaks == 1 {
			want = " "
		}
		if breaks == 0 || !strings.HasPrefix(value[v:], want) {
			return at, false
		}
		at, v = next, v+len(want)
	}
	return at, true
}

// breaksAfterBlanks says whether only blanks stand between an offset and the
// end of its line.
func (t *tree) breaksAfterBlanks(at int) bool {
	for at < len(t.content) && blank(t.content[at]) {
		at++
	}
	return at < len(t.content) && breakAt(t.content, at) > 0
}

// skipSpace counts the line breaks from an offset to the next text.
func (t *tree) skipSpace(at int) (breaks, next int) {
	for at < len(t.content) {
		if size := breakAt(t.content, at); size > 0 {
			breaks++
			at += size
		} else if blank(t.content[at]) {
			at++
		} else {
			break
		}
	}
	return breaks, at
}

// block finds the text of a literal or folded scalar. at is its indicator.
func (t *tree) block(at int, value string) (token, refusal) {
	_, header := t.lines.bounds(t.content, at)
	tok := token{start: header, end: header, header: header, stop: header, style: block}
	text := strings.Trim(value, " \t\n")
	if text == "" {
		return tok, refuseEmpty
	}
	_, first := t.skipSpace(header)
	lineStart, _ := t.lines.bounds(t.content, first)
	tok.stop = t.blockEnd(lineStart, first-lineStart-leadingSpaces(value))
	if !bytes.HasPrefix(t.content[first:], []byte(text)) || strings.ContainsAny(text, "\n\u0085\u2028\u2029") {
		return tok, refuseLines
	}
	tok.start, tok.end = first, first+len(text)
	cut := strings.Index(value, text)
	tok.before, tok.after = value[:cut], value[cut+len(text):]
	return tok, ""
}

// leadingSpaces counts what the first line with text in it begins with beyond
// the indentation.
func leadingSpaces(value string) int {
	trimmed := strings.TrimLeft(value, " \t\n")
	head := value[:len(value)-len(trimmed)]
	return len(head) - 1 - strings.LastIndexByte(head, '\n')
}

// blockEnd gives the start of the first line that has less than the given
// indentation and is not blank.
func (t *tree) blockEnd(at, indent int) int {
	for at < len(t.content) {
		text := at
		for text < len(t.content) && t.content[text] == ' ' {
			text++
		}
		if text < len(t.content) && breakAt(t.content, text) == 0 && text-at < indent {
			return at
		}
		_, end := t.lines.bounds(t.content, at)
		if end >= len(t.content) {
			return len(t.content)
		}
		at = end + breakAt(t.content, end)
	}
	return at
}

func blank(c byte) bool {
	return c == ' ' || c == '\t'
}
