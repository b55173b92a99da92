// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// markerKey is what every marker contains. It is the key that Flux uses.
const markerKey = "$imagepolicy"

// markerLike is how somebody begins who wants to write a marker.
var markerLike = regexp.MustCompile(`\{\s*["']?\$imagepolicy`)

// policyName is a namespace or a name as Kubernetes allows it (RFC 1123).
var policyName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

const markerForm = `a marker reads # {"$imagepolicy": "NAMESPACE:NAME"}, with :tag, :name or :digest behind the name for that part alone`

// marker is a comment that binds a scalar to a policy.
type marker struct {
	policy string
	part   Part
}

// parseMarker reads the text of a comment, without its #.
func parseMarker(text string) (marker, error) {
	if len(text) > maxComment {
		return marker{}, fmt.Errorf("it is longer than %d bytes", maxComment)
	}
	value, err := markerValue(text)
	if err != nil {
		return marker{}, err
	}
	words := strings.Split(value, ":")
	if len(words) < 2 || len(words) > 3 || !policyName.MatchString(words[0]) || !policyName.MatchString(words[1]) {
		return marker{}, fmt.Errorf("%q names no policy", value)
	}
	m := marker{policy: words[0] + "/" + words[1]}
	if len(words) == 2 {
		return m, nil
	}
	switch words[2] {
	case "tag":
		m.part = Tag
	case "name":
		m.part = Name
	case "digest":
		m.part = Digest
	default:
		return marker{}, fmt.Errorf("%q is no part of a reference", words[2])
	}
	return m, nil
}

// markerValue reads a JSON object with the one key of a marker.
func markerValue(text string) (string, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	var tokens []json.Token
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", fmt.Errorf("it is not JSON")
		}
		tokens = append(tokens, token)
	}
	if len(tokens) != 4 || tokens[0] != json.Delim('{') || tokens[1] != markerKey || tokens[3] != json.Delim('}') {
		return "", fmt.Errorf("it is not one object with the one key %s", markerKey)
	}
	value, ok := tokens[2].(string)
	if !ok {
		return "", fmt.Errorf("its value is not a string")
	}
	return value, nil
}

// markers follows every marker of the file.
func (s *scan) markers() {
	var near nearest
	for from := 0; ; {
		at := bytes.Index(s.content[from:], []byte(markerKey))
		if at < 0 || s.full() {
			return
		}
		at += from
		start, end := s.lines.bounds(s.content, at)
		s.marker(&near, at, start, end)
		from = end
	}
}

// nearest keeps the bytes of the scalar in front of a marker, so that a long
// one with many markers in its text is measured once.
type nearest struct {
	known bool
	leaf  int // index into tree.leaves, -1 for none
	token token
}

// before gives the last scalar that begins at or in front of an offset.
func (n *nearest) before(t *tree, at int) (leaf int, tok token) {
	leaf = sort.Search(len(t.leaves), func(i int) bool { return t.nodes[t.leaves[i]].at > at }) - 1
	if !n.known || n.leaf != leaf {
		*n = nearest{known: true, leaf: leaf}
		if leaf >= 0 {
			n.token, _ = t.token(t.leaves[leaf])
		}
	}
	return leaf, n.token
}

// marker follows one marker, at an offset of the line from start to end.
func (s *scan) marker(near *nearest, at, start, end int) {
	last, tok := near.before(s.tree, at)
	inHeader := tok.style == block && at < tok.header
	if at < tok.stop && !inHeader {
		if looksLikeComment(s.content[start:end]) {
			s.problem(at, "a marker inside a string, or in front of its value, binds nothing; it must be a comment behind a value, on the same line")
		}
		return
	}
	from := max(start, tok.stop)
	if inHeader {
		from = max(start, s.nodes[s.leaves[last]].at)
	}
	hash := bytes.IndexByte(s.content[from:end], '#')
	if hash < 0 || from+hash > at {
		return
	}
	front := bytes.TrimSpace(s.content[start : from+hash])
	comment := strings.TrimSpace(string(s.content[from+hash+1 : end]))
	if !markerLike.MatchString(comment) || len(front) == 0 && !strings.HasPrefix(comment, "{") {
		return // prose, or a line of YAML that is commented out
	}
	m, err := parseMarker(comment)
	if err != nil {
		s.problem(at, fmt.Sprintf("this marker is not followed, because %v; %s", err, markerForm))
		return
	}
	s.bindMarked(at, m, front, s.valuesOnLine(last, start, inHeader))
}

// looksLikeComment says whether a line of text ends like one with a marker.
func looksLikeComment(line []byte) bool {
	hash := bytes.IndexByte(line, '#')
	return hash >= 0 && markerLike.Match(line[hash:])
}

// valuesOnLine gives the scalars that end on the line in front of a marker and
// are no keys, the last one first.
func (s *scan) valuesOnLine(last, start int, inHeader bool) []int {
	var values []int
	for i := last; i >= 0 && last-i < maxLineNodes; i-- {
		leaf := s.leaves[i]
		tok, _ := s.token(leaf)
		if tok.stop <= start && s.nodes[leaf].at < start {
			break
		}
		n := s.nodes[leaf]
		absent := n.flow && n.Kind == yaml.ScalarNode && tok.start == tok.stop // {key} has no value
		if !n.key && !absent && (tok.style != block || inHeader && i == last) {
			values = append(values, leaf)
		}
	}
	return values
}

// bindMarked binds the one value of the line that a marker can belong to. front
// is what stands in front of the marker.
func (s *scan) bindMarked(at int, m marker, front []byte, values []int) {
	leaf, ok := s.choose(values, m.part)
	switch {
	case len(values) == 0 && bytes.Contains(front, []byte("{{")):
		s.problem(at, fmt.Sprintf("the marker of %s stands behind a template, which is no YAML value; mark the values that go into the template", m.policy))
	case len(values) == 0:
		s.problem(at, fmt.Sprintf("the marker of %s stands behind no value; put it behind the value, on the same line", m.policy))
	case !ok:
		s.problem(at, fmt.Sprintf("the marker of %s stands behind several values; write the value that it is for on a line of its own", m.policy))
	case s.scalar(leaf) == nil:
		s.problem(at, fmt.Sprintf("the marker of %s stands behind an alias of something that is no scalar", m.policy))
	default:
		s.bind(leaf, Field{Policy: m.policy, Part: m.part, Source: SourceMarker})
	}
}

// partKeys are the keys under which the parts of a reference usually stand. They
// decide between several values on one line.
var partKeys = map[Part][]string{
	Whole:  {"image"},
	Name:   {"repository", "newName", "image"},
	Tag:    {"tag", "newTag"},
	Digest: {"digest"},
}

// choose picks the value that a marker is for: the only one on the line, or the
// only one whose key says that it holds this part.
func (s *scan) choose(values []int, part Part) (int, bool) {
	var named []int
	for _, leaf := range values {
		for _, key := range partKeys[part] {
			if s.keyOf(leaf) == key {
				named = append(named, leaf)
			}
		}
	}
	switch {
	case len(values) == 1:
		return values[0], true
	case len(named) == 1:
		return named[0], true
	}
	return 0, false
}
