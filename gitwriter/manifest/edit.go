// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"
	"sort"

	"go.yaml.in/yaml/v3"
)

// Edit gives the content with the new values in its fields, and every other
// byte as it was. The fields must come from Scan of this content. Quotes are
// added where a plain value would not be a string; nothing else is rewritten.
//
// The result is parsed again: the fields must hold their new values as strings,
// and every other node, comments included, must be equal to what it was. If not,
// or if one of the fields can't be edited, nothing changes and the error is an
// *EditError.
func Edit(content []byte, changes []Change) ([]byte, error) {
	if len(changes) == 0 {
		return content, nil
	}
	before, err := parse(content)
	if err != nil {
		return nil, refused(changes[0], fmt.Sprintf("it can't be read as YAML: %v", err))
	}
	splices, err := before.splices(changes)
	if err != nil {
		return nil, err
	}
	edited := apply(content, splices)
	after, err := parse(edited)
	if err != nil {
		return nil, refused(changes[0], fmt.Sprintf("with the new value it can't be read as YAML: %v", err))
	}
	if err := verify(before, after, splices); err != nil {
		return nil, err
	}
	return edited, nil
}

// refused makes the error of a change.
func refused(c Change, reason string) *EditError {
	return &EditError{File: c.Field.File, Line: c.Field.Line, Reason: reason}
}

// splice is a change with the bytes that it writes.
type splice struct {
	Change

	text string
}

// splices checks the changes against the content and puts them in its order.
// The same change twice counts once.
func (t *tree) splices(changes []Change) ([]splice, error) {
	var splices []splice
	for _, c := range changes {
		f := c.Field
		if f.Refusal != "" {
			return nil, refused(c, f.Refusal)
		}
		if !t.holds(f) {
			return nil, refused(c, "the field was found in other content; scan this one")
		}
		text, reason := encode(c.New, f.token.style, t.nodes[f.node].Style&yaml.TaggedStyle != 0)
		if reason != "" {
			return nil, refused(c, string(reason))
		}
		splices = append(splices, splice{c, text})
	}
	sort.SliceStable(splices, func(i, j int) bool { return splices[i].Field.token.start < splices[j].Field.token.start })
	splices = slices.CompactFunc(splices, func(a, b splice) bool {
		return a.Field.node == b.Field.node && a.New == b.New
	})
	for i := 1; i < len(splices); i++ {
		if splices[i].Field.token.start < splices[i-1].Field.token.stop {
			return nil, refused(splices[i].Change, "two changes want different values of it")
		}
	}
	return splices, nil
}

// holds says whether the content has a field where Scan found it.
func (t *tree) holds(f Field) bool {
	if f.node < 0 || f.node >= len(t.nodes) || t.nodes[f.node].Kind != yaml.ScalarNode {
		return false
	}
	tok, reason := t.token(f.node)
	return reason == "" && tok == f.token && decoded(t.nodes[f.node].Node) == f.token.before+f.Value+f.token.after
}

// apply writes the splices, which stand in the order of the content.
func apply(content []byte, splices []splice) []byte {
	size := len(content)
	for _, s := range splices {
		size += len(s.text)
	}
	edited := make([]byte, 0, size)
	from := 0
	for _, s := range splices {
		edited = append(edited, content[from:s.Field.token.start]...)
		edited = append(edited, s.text...)
		from = s.Field.token.end
	}
	return append(edited, content[from:]...)
}
