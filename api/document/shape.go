// SPDX-License-Identifier: Apache-2.0

package document

import (
	"maps"
	"slices"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// shape is what a schema says of a value's type and keys. It is made once for a kind, as
// a schema's own nodes are costly to walk. A nil shape allows all.
type shape struct {
	jsonType   string // "" for any
	properties map[string]*shape
	names      []string // of properties, sorted
	open       bool     // other keys are allowed, with values of shape additional
	additional *shape
	items      *shape
}

func newShape(s *structural.Structural) *shape {
	if s == nil {
		return nil
	}
	made := &shape{jsonType: s.Type, open: s.XPreserveUnknownFields, items: newShape(s.Items)}
	if s.AdditionalProperties != nil {
		made.open, made.additional = true, newShape(s.AdditionalProperties.Structural)
	}
	made.properties = make(map[string]*shape, len(s.Properties))
	for name, property := range s.Properties {
		made.properties[name] = newShape(&property)
	}
	made.names = slices.Sorted(maps.Keys(made.properties))
	return made
}

// newObjectShape is the shape of a whole object. It has the fields of metadata, which
// definitions leave to the API server, so that a typo such as namspace does not go
// unseen; and it allows anything as status, which is ignored.
func newObjectShape(s *structural.Structural) *shape {
	text := &shape{jsonType: "string"}
	texts := &shape{jsonType: "object", open: true, additional: text}
	metadata := &shape{jsonType: "object", properties: map[string]*shape{
		"name": text, "namespace": text, "generateName": text, "labels": texts, "annotations": texts,
		// what an API server adds; of no meaning here
		"uid": nil, "resourceVersion": nil, "generation": nil, "selfLink": nil,
		"creationTimestamp": nil, "deletionTimestamp": nil, "deletionGracePeriodSeconds": nil,
		"ownerReferences": nil, "finalizers": nil, "managedFields": nil,
	}}
	metadata.names = slices.Sorted(maps.Keys(metadata.properties))
	object := newShape(s)
	object.properties["metadata"] = metadata
	object.properties["status"] = nil
	return object
}

// member returns the shape of a key's value, and whether the key may be there.
func (s *shape) member(key string) (*shape, bool) {
	if s == nil {
		return nil, true
	}
	if child, ok := s.properties[key]; ok {
		return child, true
	}
	return s.additional, s.open
}
