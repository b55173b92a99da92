// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// search is one run through one file.
type search struct {
	validator *Validator
	file      string
	// budget is how many values and keys may still be read. A file without aliases has
	// fewer of them than bytes, so only aliases that multiply can use it up.
	budget int
	// found counts the documents of the group, valid or not.
	found     int
	documents []Document
	problems  []Problem
}

func (s *search) report(line int, message string) {
	s.problems = append(s.problems, Problem{File: s.file, Line: max(line, 1), Message: message})
}

// chunk reads one part of the file. It returns false when a limit of the whole file is
// reached.
func (s *search) chunk(c chunk) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(c.text, []byte("\ufeff"))))
	for {
		root, err := decode(decoder)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			line, reason := locate(err)
			line = min(line, bytes.Count(c.text, []byte("\n"))+1) // at its end, it may count one too many
			s.report(c.line+line, fmt.Sprintf("cannot look for policies: the document that begins at line %d is no YAML: %s", c.line+1, oneLine(reason)))
			return true
		}
		if len(root.Content) == 1 && !s.visit(root.Content[0], c.line, 0) {
			return false
		}
	}
}

// decode reads the next document. The library panics on some inputs that it can't
// parse; these are errors too.
func decode(decoder *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gives up: %v", r)
		}
	}()
	root = &yaml.Node{}
	return root, decoder.Decode(root)
}

// locate returns the line that an error of the YAML library names, from 1, and the rest
// of its text; line 1 where it names none. The library has no typed error for it, and
// the errors of its parser, unlike its scanner's, count lines from 0.
func locate(err error) (int, string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	match := regexp.MustCompile(`^line (\d+): ((did not find expected (?:key|node|'-'|',' or|<))?.*)`).FindStringSubmatch(text)
	if match == nil {
		return 1, text
	}
	line, err := strconv.Atoi(match[1])
	if err != nil {
		return 1, text
	}
	if match[3] != "" {
		line++
	}
	return line, match[2]
}

// visit looks at one document, or at the items of a list. Offset is the number of lines
// before the part of the file that was parsed.
func (s *search) visit(node *yaml.Node, offset, depth int) bool {
	node = resolve(node)
	if node == nil || node.Kind != yaml.MappingNode {
		return true
	}
	apiVersion, kind := scalar(node, "apiVersion"), scalar(node, "kind")
	group, version, _ := strings.Cut(apiVersion, "/")
	if isList(apiVersion, kind) {
		return s.list(node, offset, depth)
	}
	if group != v1alpha1.Group {
		return true
	}
	if s.found++; s.found > maxDocuments {
		s.report(offset+node.Line, fmt.Sprintf("holds more than %d documents of %s: spread them over several files", maxDocuments, v1alpha1.Group))
		return false
	}
	if version != v1alpha1.Version {
		s.report(offset+lineOf(node, "apiVersion"), fmt.Sprintf("apiVersion: %s is not known: write %s", quote(apiVersion), v1alpha1.GroupVersion()))
		return true
	}
	schema, ok := s.validator.kinds[kind]
	if !ok {
		s.report(offset+lineOf(node, "kind"), fmt.Sprintf("kind: %s is not known in %s: %s", quote(kind), v1alpha1.Group, advise(kind, s.validator.names())))
		return true
	}
	return s.document(schema, kind, node, offset)
}

// isList tells whether a document is a list of objects, as `kubectl get -o yaml` prints.
func isList(apiVersion, kind string) bool {
	if apiVersion == v1alpha1.GroupVersion().String() {
		return kind == v1alpha1.KindImagePolicy+"List" || kind == v1alpha1.KindManifestRepository+"List"
	}
	return apiVersion == "v1" && kind == "List"
}

func (s *search) list(node *yaml.Node, offset, depth int) bool {
	items := resolve(value(node, "items"))
	if items == nil || items.Kind != yaml.SequenceNode {
		return true
	}
	if depth == 3 {
		s.report(offset+items.Line, "cannot look for policies: lists within lists within lists: write the documents one after the other")
		return true
	}
	for _, item := range items.Content {
		if s.budget--; s.budget < 0 {
			s.report(offset+items.Line, tooManyValues)
			return false
		}
		if !s.visit(item, offset, depth+1) {
			return false
		}
	}
	return true
}

// document validates one document and keeps it, or what is wrong with it.
func (s *search) document(schema *kindSchema, kind string, node *yaml.Node, offset int) bool {
	limit := min(s.budget, maxValues)
	d := &draft{node: node, kind: kind, left: limit}
	policy, repository := schema.read(d)
	s.budget -= limit - d.left
	for _, f := range d.findings {
		p := Problem{File: s.file, Line: offset + f.line, Message: d.name() + ": " + f.message}
		if kind == v1alpha1.KindImagePolicy {
			p.Policy = d.key
		}
		s.problems = append(s.problems, p)
	}
	if len(d.findings) == 0 {
		s.documents = append(s.documents, Document{
			File: s.file, Line: offset + node.Line, Policy: policy, Repository: repository, node: node, offset: offset,
		})
	}
	return s.budget >= 0
}
