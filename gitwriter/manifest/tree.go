// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// tree is a parsed file, its nodes in the order in which they stand there.
type tree struct {
	content []byte
	lines   lines
	nodes   []node
	leaves  []int               // the nodes that are scalars or aliases
	docs    []int               // the nodes that are documents
	aliased map[*yaml.Node]bool // what aliases refer to

	ids   []string               // of documents, see key.go
	names map[int]map[string]int // of list items, see key.go
}

// node is a YAML node with what the parser does not say about it.
type node struct {
	*yaml.Node

	at     int  // offset of its first byte: an anchor, a tag or the value
	parent int  // -1 for a document
	index  int  // its place among the children of its parent
	next   int  // the first node behind it and all that it contains
	doc    int  // which document, from 0
	key    bool // it is a mapping key, or inside one
	flow   bool // it stands inside [] or {}
}

// syntaxError says why a file can't be read as YAML.
type syntaxError struct {
	line   int // from 1; 0 if unknown
	reason string
}

func (e *syntaxError) Error() string {
	if e.line == 0 {
		return e.reason
	}
	return fmt.Sprintf("line %d: %s", e.line, e.reason)
}

// parse reads all documents of a file. The error is a *syntaxError.
func parse(content []byte) (*tree, error) {
	if len(content) > maxSize {
		return nil, &syntaxError{reason: fmt.Sprintf("it has %d bytes, more than the %d that are read", len(content), maxSize)}
	}
	if crowded(content) {
		return nil, &syntaxError{reason: fmt.Sprintf("it has more than %d lines, keys and items, which is more than are read", maxCrowd)}
	}
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return nil, &syntaxError{reason: "it is UTF-16; save it as UTF-8"}
	}
	if at := notUTF8(content); at >= 0 {
		return nil, &syntaxError{line: 1 + bytes.Count(content[:at], []byte("\n")), reason: "it is not UTF-8"}
	}
	t := &tree{content: content, lines: findLines(content), aliased: map[*yaml.Node]bool{}}
	t.nodes = make([]node, 0, min(4*len(t.lines.starts), usualNodes))
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		doc, err := decode(decoder)
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if syntax, ok := errors.AsType[*syntaxError](err); ok && syntax.line > 0 {
			syntax.line = t.lines.human(t.lines.starts[min(syntax.line, len(t.lines.starts))-1])
		}
		if err != nil {
			return nil, err
		}
		if err := t.add(doc, -1, 0, 0, false, false); err != nil {
			return nil, err
		}
		if weigh(doc, map[*yaml.Node]int{}) > maxExpanded {
			return nil, &syntaxError{line: t.lines.human(t.offset(doc)), reason: fmt.Sprintf("its aliases stand for more than %d values, as in an attack on whoever reads it", maxExpanded)}
		}
	}
}

// notUTF8 gives the offset of the first byte that is no UTF-8, or -1.
func notUTF8(content []byte) int {
	if utf8.Valid(content) {
		return -1
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(content[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
}

// yamlLine is how the parser names the line in its messages.
var yamlLine = regexp.MustCompile(`^line (\d+): `)

// lineBefore are the messages in which the parser (yaml/v3 3.0.6, decode.go,
// fail) names the line before the one that it means: it counts from 0 there.
var lineBefore = regexp.MustCompile(`^did not find expected (node content|key|'-' indicator|',' or|<document start>)|^found (undefined|incompatible|duplicate) `)

// decode reads one document. The parser panics on a few inputs that it should
// refuse; for the caller that is the same.
func decode(decoder *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &syntaxError{reason: "the YAML parser gives up on it"}
		}
	}()
	doc = &yaml.Node{}
	err = decoder.Decode(doc)
	if err == nil || errors.Is(err, io.EOF) {
		return doc, err
	}
	reason := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := yamlLine.FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		reason = reason[len(m[0]):]
		if lineBefore.MatchString(reason) {
			line++
		}
	}
	return nil, &syntaxError{line: line, reason: reason}
}

// add puts a node and all that it contains into the tree.
func (t *tree) add(n *yaml.Node, parent, index, depth int, key, flow bool) error {
	if depth > maxDepth {
		return &syntaxError{line: t.lines.human(t.offset(n)), reason: fmt.Sprintf("it is nested more than %d deep", maxDepth)}
	}
	i := len(t.nodes)
	switch n.Kind {
	case yaml.DocumentNode:
		t.docs = append(t.docs, i)
	case yaml.AliasNode:
		t.aliased[n.Alias] = true
		t.leaves = append(t.leaves, i)
	case yaml.ScalarNode:
		t.leaves = append(t.leaves, i)
	case yaml.SequenceNode, yaml.MappingNode: // found from their documents
	}
	t.nodes = append(t.nodes, node{
		Node: n, at: t.offset(n), parent: parent, index: index, doc: len(t.docs) - 1, key: key, flow: flow,
	})
	flow = flow || n.Style&yaml.FlowStyle != 0
	for c, child := range n.Content {
		isKey := key || n.Kind == yaml.MappingNode && c%2 == 0
		if err := t.add(child, i, c, depth+1, isKey, flow); err != nil {
			return err
		}
	}
	t.nodes[i].next = len(t.nodes)
	return nil
}

// offset gives the offset of a node's first byte.
func (t *tree) offset(n *yaml.Node) int {
	return t.lines.offset(t.content, n.Line-1, n.Column-1)
}

// value gives the value of a mapping's key, or -1.
func (t *tree) value(mapping int, key string) int {
	if mapping < 0 || t.nodes[mapping].Kind != yaml.MappingNode {
		return -1
	}
	for k := mapping + 1; k < t.nodes[mapping].next; {
		v := t.nodes[k].next
		if t.nodes[k].Kind == yaml.ScalarNode && t.nodes[k].Value == key {
			return v
		}
		k = t.nodes[v].next
	}
	return -1
}

// text gives the value of a mapping's key if it is a scalar with text in it.
func (t *tree) text(mapping int, key string) string {
	v := t.value(mapping, key)
	if v < 0 || t.nodes[v].Kind != yaml.ScalarNode || t.nodes[v].Tag == "!!null" {
		return ""
	}
	return t.nodes[v].Value
}

// items gives the items of a sequence; none if it is no sequence.
func (t *tree) items(sequence int) []int {
	if sequence < 0 || t.nodes[sequence].Kind != yaml.SequenceNode {
		return nil
	}
	var items []int
	for i := sequence + 1; i < t.nodes[sequence].next; i = t.nodes[i].next {
		items = append(items, i)
	}
	return items
}
