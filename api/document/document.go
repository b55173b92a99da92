// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// What one file may hold at most. Beyond, it is a problem.
const (
	maxSize      = 4 << 20 // bytes
	maxDepth     = 100     // mappings and sequences within each other
	maxDocuments = 10_000
	maxValues    = 10_000 // and keys, of one document
	maxProblems  = 20     // of one document; the first ones tell enough
)

// DefaultNamespace is the namespace of a document that names none.
const DefaultNamespace = "default"

// Document is a valid document of group pintle.dev, with defaults applied. Exactly one
// of Policy and Repository is set.
type Document struct {
	// File as the caller named it.
	File string
	// Line of the document's first key, from 1.
	Line int
	// Policy is set for an ImagePolicy. Its namespace is never empty.
	Policy *v1alpha1.ImagePolicy
	// Repository is set for a ManifestRepository. It must not configure anything: who
	// commits to a repository does not decide where Pintle writes.
	Repository *v1alpha1.ManifestRepository

	node   *yaml.Node
	offset int // lines before what node counts from
}

// LineOf returns the line of a field, such as "spec.select.semver.range", for those who
// find more wrong with a document: the line of its key, or of the nearest parent that
// the document has.
func (d Document) LineOf(path string) int { return d.offset + lineOf(d.node, path) }

// Problem is something wrong with a document, or with a file that may hold one.
type Problem struct {
	File string
	// Line of the offending field, from 1.
	Line int
	// Policy is the "<namespace>/<name>" of the ImagePolicy that is invalid, so that
	// markers which name it can be told from markers that name nothing; empty where it
	// is not known.
	Policy string
	// Message is one line: the object, the field, what is wrong and what to do.
	Message string
}

// MayMatter tells cheaply whether a file can hold a document of group pintle.dev.
func MayMatter(content []byte) bool {
	return bytes.Contains(content, []byte(v1alpha1.Group+"/"))
}

// Find returns the documents of group pintle.dev in a YAML file, in their order, and
// what is wrong. A document with a problem is not returned; the others are. Documents
// of other groups are not looked at. A file that does not parse is a problem only where
// the part that does not parse mentions pintle.dev/. Find may be called concurrently.
func (v *Validator) Find(file string, content []byte) ([]Document, []Problem) {
	if !MayMatter(content) {
		return nil, nil
	}
	s := &search{validator: v, file: file, budget: len(content)}
	if len(content) > maxSize {
		s.report(1, "is larger than 4 MiB: put policies into a file of their own")
		return nil, s.problems
	}
	for _, c := range split(content) {
		if MayMatter(c.text) && !s.chunk(c) {
			break
		}
	}
	return s.documents, s.problems
}

// chunk is a part of a file that begins at its start or at a document marker.
type chunk struct {
	text []byte
	line int // lines before it
}

// split cuts a file before each line that begins with a document marker. YAML allows no
// such line inside any scalar, so a part that is no YAML does not spoil the others, and
// parts of other groups need no parsing.
func split(content []byte) []chunk {
	var chunks []chunk
	current := chunk{text: content}
	rest, start, line := content, 0, 0
	for len(rest) > 0 {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			end = len(rest)
		}
		at := len(content) - len(rest)
		if at > start && isMarker(rest[:end]) {
			current.text = content[start:at]
			chunks = append(chunks, current)
			start, current = at, chunk{line: line}
		}
		rest = rest[end:]
		line++
	}
	current.text = content[start:]
	return append(chunks, current)
}

// isMarker tells whether a line, with its end, begins a document.
func isMarker(line []byte) bool {
	after, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(after) == 0 || strings.IndexByte(" \t\r\n", after[0]) >= 0)
}
