// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"cmp"
	"slices"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
)

// Write says which parts of a whole reference are written.
type Write int

// What can be written of a whole reference.
const (
	WriteTagAndDigest Write = iota
	WriteDigest
	WriteTag
)

// Slot is one place that holds an image reference of a policy, in one scalar or
// in several that belong together.
type Slot struct {
	Policy string // <namespace>/<name>
	ID     ledger.SlotID
	Fields []manifest.Field
	// Value is what the slot says of the policy's image; Unknown where it holds
	// no reference to it.
	Value ledger.Value
	// Foreign is true where the slot holds another image than the policy's.
	Foreign bool
	// name is written in place of the one that is there, where it is set.
	name string
	// digest is what the slot has of one, of whatever image.
	digest string
}

// Slots puts fields together that form one reference. images maps policies to
// their image; fields of other policies are left out.
func Slots(fields []manifest.Field, images map[string]string) []Slot {
	var slots []Slot
	index := map[string]int{}
	for _, f := range fields {
		if _, ok := images[f.Policy]; !ok {
			continue
		}
		name := f.Policy + "\x00" + f.File + "\x00" + f.Slot
		i, ok := index[name]
		if !ok {
			i = len(slots)
			index[name] = i
			slots = append(slots, Slot{Policy: f.Policy, ID: ledger.SlotID{File: f.File, Key: f.Slot}})
		}
		slots[i].Fields = append(slots[i].Fields, f)
	}
	for i := range slots {
		slots[i].read(images[slots[i].Policy])
	}
	return slots
}

// read works out what the slot's fields say together.
func (s *Slot) read(image string) {
	var tag, digest string
	for _, f := range s.Fields {
		name := f.Image
		switch f.Part {
		case manifest.Whole:
			name, tag, digest = manifest.SplitReference(f.Value)
		case manifest.Name:
			name = f.Value
		case manifest.Tag:
			tag = f.Value
		case manifest.Digest:
			digest = f.Value
		}
		if name != "" && !manifest.SameImage(name, image) || f.Part == manifest.Whole && name == "" {
			s.Foreign = true
		}
	}
	s.Value, s.digest = ledger.Unknown, digest
	if !s.Foreign {
		s.Value = ledger.NewValue(tag, digest)
	}
}

// Refusal is why the slot can't be edited, with the line, or empty.
func (s *Slot) Refusal() string {
	for _, f := range s.Fields {
		if f.Refusal != "" {
			return f.Refusal
		}
	}
	return ""
}

// Restored is the slot as one that is to hold the image again that somebody
// replaced by another.
func (s *Slot) Restored(image string) Slot {
	restored := *s
	restored.Foreign = false
	restored.name = image
	return restored
}

// Want returns the changes that make the slot hold the tag and digest, as far as
// it has room for them, and what it holds then. A digest may come without a tag.
func (s *Slot) Want(tag, digest string, write Write) ([]manifest.Change, ledger.Value) {
	var changes []manifest.Change
	var hasTag, hasDigest bool
	for _, f := range s.Fields {
		text := f.Value
		switch f.Part {
		case manifest.Whole:
			name, _, _ := manifest.SplitReference(f.Value)
			text = cmp.Or(s.name, name)
			if write != WriteDigest && tag != "" {
				text += ":" + tag
				hasTag = true
			}
			if write != WriteTag || tag == "" {
				text += "@" + digest
				hasDigest = true
			}
		case manifest.Tag:
			text, hasTag = tag, true
		case manifest.Digest:
			text, hasDigest = digest, true
		case manifest.Name:
			text = cmp.Or(s.name, f.Value)
		}
		if text != f.Value {
			changes = append(changes, manifest.Change{Field: f, New: text})
		}
	}
	if !hasTag {
		tag = ""
	}
	if !hasDigest {
		digest = ""
	}
	return changes, ledger.NewValue(tag, digest)
}

// HasTag tells whether the slot has a scalar of its own for the tag.
func (s *Slot) HasTag() bool {
	return slices.ContainsFunc(s.Fields, func(f manifest.Field) bool { return f.Part == manifest.Tag })
}

// TagOnly tells whether a target bound a tag with no place for a digest beside
// it. A marker on a tag alone is what its author chose.
func (s *Slot) TagOnly() bool {
	return slices.ContainsFunc(s.Fields, func(f manifest.Field) bool { return f.Part == manifest.Tag && f.Source != manifest.SourceMarker }) &&
		!slices.ContainsFunc(s.Fields, func(f manifest.Field) bool { return f.Part == manifest.Digest })
}
