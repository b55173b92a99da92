// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// IsManifest says whether a file can hold fields, by its name.
func IsManifest(file string) bool {
	return strings.HasSuffix(file, ".yaml") || strings.HasSuffix(file, ".yml") || path.Base(file) == "Kustomization"
}

// MayMatter says whether Scan can find anything in a file: it is a manifest,
// and it contains the word that markers have, or a target is about its path.
// It is cheap: it does not parse.
func MayMatter(file string, content []byte, targets []Target) bool {
	if !IsManifest(file) {
		return false
	}
	if bytes.Contains(content, []byte(markerKey)) {
		return true
	}
	for _, target := range targets {
		if target.matches(file) {
			return true
		}
	}
	return false
}

// Scan finds the fields of a file, in the order in which they stand there, and
// what its authors should know of. A file that can't be read is one Problem.
func Scan(file string, content []byte, targets []Target) ([]Field, []Problem) {
	var mine []Target
	for _, target := range targets {
		if target.matches(file) {
			mine = append(mine, target)
		}
	}
	marked := bytes.Index(content, []byte(markerKey))
	if marked < 0 && len(mine) == 0 {
		return nil, nil
	}
	t, err := parse(content)
	if err != nil {
		return nil, []Problem{unreadable(file, content, marked, err)}
	}
	s := &scan{tree: t, file: file, bound: map[int][]int{}, keys: map[int]map[string]int{}}
	if marked >= 0 {
		s.markers()
	}
	s.targets(mine)
	s.settle()
	return s.fields, s.problems
}

// unreadable reports a file that is no YAML, at the marker that is lost by it
// if the parser names no line.
func unreadable(file string, content []byte, marked int, err error) Problem {
	message := "this file is left alone, because it can't be read as YAML: "
	line := 0
	if syntax, ok := errors.AsType[*syntaxError](err); ok {
		line, message = syntax.line, message+syntax.reason
	}
	if marked >= 0 {
		at := 1 + bytes.Count(content[:marked], []byte("\n"))
		message += fmt.Sprintf("; the marker on line %d is not followed", at)
		if line == 0 {
			line = at
		}
	}
	return Problem{File: file, Line: line, Message: message}
}

// scan is the work on one file.
type scan struct {
	*tree

	file     string
	fields   []Field
	problems []Problem
	bound    map[int][]int          // node → the fields that hold it
	keys     map[int]map[string]int // mapping → how often it has each key
}

// full says that the file has more to bind or to report than is followed.
func (s *scan) full() bool {
	return len(s.fields) >= maxFields || len(s.problems) >= maxProblems
}

// problem reports something at an offset.
func (s *scan) problem(at int, message string) {
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, Problem{File: s.file, Line: s.lines.human(at), Message: message})
	}
}

// bind makes a field of a scalar. The caller says what binds it.
func (s *scan) bind(leaf int, f Field) {
	for _, other := range s.bound[leaf] {
		if known := &s.fields[other]; known.Policy == f.Policy {
			if known.Image == "" && known.Part != Whole {
				known.Image, known.Slot = f.Image, f.Slot
			}
			return // by marker and by target: once
		}
	}
	if s.full() {
		return
	}
	f.File, f.node = s.file, leaf
	var reason, keyReason refusal
	f.token, reason = s.token(leaf)
	f.Key, keyReason = s.key(leaf)
	f.Line = s.lines.human(f.token.start)
	f.Value = decoded(s.scalar(leaf))
	if f.token.style == block && reason == "" {
		f.Value = string(s.content[f.token.start:f.token.end])
	}
	f.Refusal = string(cmp.Or(s.refuse(leaf), reason, keyReason))
	s.bound[leaf] = append(s.bound[leaf], len(s.fields))
	s.fields = append(s.fields, f)
}

// decoded gives the value of a scalar; null is no value.
func decoded(n *yaml.Node) string {
	if n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// scalar gives the scalar that a leaf is or refers to; nil if it is none.
func (s *scan) scalar(leaf int) *yaml.Node {
	n := s.nodes[leaf].Node
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return nil
	}
	return n
}

// refuse says why a scalar can't be edited, whatever its bytes are.
func (s *scan) refuse(leaf int) refusal {
	n := s.nodes[leaf]
	switch {
	case n.Kind == yaml.AliasNode:
		return refuseAlias
	case s.aliased[n.Node]:
		return refuseAnchored
	case n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str":
		return refusal(fmt.Sprintf("its tag %.40q makes it something other than a string", n.Tag))
	case s.keyTwice(leaf):
		return refuseTwice
	default:
		return ""
	}
}

// keyTwice says whether the key of a value stands in its mapping again.
func (s *scan) keyTwice(leaf int) bool {
	mapping := s.nodes[leaf].parent
	if mapping < 0 || s.nodes[mapping].Kind != yaml.MappingNode {
		return false
	}
	counts, ok := s.keys[mapping]
	if !ok {
		counts = map[string]int{}
		for c := 0; c < len(s.nodes[mapping].Content); c += 2 {
			counts[s.nodes[mapping].Content[c].Value]++
		}
		s.keys[mapping] = counts
	}
	return counts[s.keyOf(leaf)] > 1
}

// keyOf gives the key under which a value stands in a mapping, else "".
func (s *scan) keyOf(leaf int) string {
	n := s.nodes[leaf]
	if n.parent < 0 || s.nodes[n.parent].Kind != yaml.MappingNode || n.index%2 == 0 {
		return ""
	}
	return s.nodes[n.parent].Content[n.index-1].Value
}

// settle puts the fields in order, refuses what two policies want, and tells
// which fields form one reference.
func (s *scan) settle() {
	if s.full() {
		s.problems = append(s.problems, Problem{File: s.file, Message: fmt.Sprintf("this file has %d fields or %d problems; what it has beyond that is not followed", maxFields, maxProblems)})
	}
	for _, fields := range s.bound {
		if len(fields) > 1 {
			s.contested(fields)
		}
	}
	s.collisions()
	s.slots()
	sort.SliceStable(s.fields, func(i, j int) bool { return s.fields[i].node < s.fields[j].node })
	sort.SliceStable(s.problems, func(i, j int) bool { return s.problems[i].Line < s.problems[j].Line })
}

// contested refuses a scalar that several policies want.
func (s *scan) contested(fields []int) {
	var policies []string
	for _, f := range fields {
		policies = append(policies, s.fields[f].Policy)
	}
	sort.Strings(policies)
	reason := "several policies want it: " + strings.Join(policies, ", ")
	for _, f := range fields {
		s.fields[f].Refusal = reason
	}
	s.problem(s.fields[fields[0]].token.start, "this field is left alone, because "+reason+"; leave one of them")
}

// collisions refuses fields with the same path: a key on the way to them stands
// twice, and nobody can tell them apart.
func (s *scan) collisions() {
	first := map[string]int{}
	for i := range s.fields {
		f := &s.fields[i]
		other, ok := first[f.Key]
		if !ok {
			first[f.Key] = i
			continue
		}
		if s.fields[other].node != f.node {
			for _, both := range []int{other, i} {
				s.fields[both].Refusal = cmp.Or(s.fields[both].Refusal, string(refusePath))
			}
		}
	}
}

// slots gives every field its slot. The parts of one policy in one mapping
// share theirs, unless a part stands there twice: then nobody can tell which
// tag belongs to which digest. What a slot's name says, its other parts know.
func (s *scan) slots() {
	type part struct {
		slot string
		part Part
	}
	count := map[part]int{}
	names := map[string]string{}
	for i := range s.fields {
		f := &s.fields[i]
		if f.Slot == "" && f.Part != Whole {
			f.Slot = s.slot(f.node, f.Policy)
		}
		count[part{f.Slot, f.Part}]++
		if f.Part == Name {
			names[f.Slot] = f.Value
		}
	}
	for i := range s.fields {
		f := &s.fields[i]
		alone := f.Part == Whole || f.Slot == ""
		for p := Name; p <= Digest; p++ {
			alone = alone || count[part{f.Slot, p}] > 1
		}
		if alone {
			f.Slot = f.Key
			continue
		}
		if f.Part != Name && f.Image == "" {
			f.Image = names[f.Slot]
		}
		if f.Part != Name && f.Image == "" && s.isEntry(s.nodes[f.node].parent) {
			f.Image = s.entryImage(s.nodes[f.node].parent)
		}
	}
}
