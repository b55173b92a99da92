// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

const tooManyNodes = "has aliases (*) that multiply: write the document out"

// draft is a document on its way from YAML to a typed object.
type draft struct {
	node *yaml.Node
	kind string
	// key is "<namespace>/<name>" as soon as it is known.
	key      string
	budget   int
	findings []finding
}

// finding is one thing wrong with a document.
type finding struct {
	path    string
	line    int // within what was parsed
	message string
}

// name is how messages call the document.
func (d *draft) name() string {
	if d.key == "" {
		return d.kind
	}
	return d.kind + " " + d.key
}

// add keeps a finding, the first one for each field.
func (d *draft) add(path string, line int, message string) {
	known := slices.ContainsFunc(d.findings, func(f finding) bool { return f.path == path })
	if known || len(d.findings) >= maxProblems {
		return
	}
	if path != "" {
		message = path + ": " + message
	}
	d.findings = append(d.findings, finding{path: path, line: line, message: oneLine(message)})
}

// addAt is add with the line of the field itself, or of its nearest parent.
func (d *draft) addAt(path, message string) {
	d.add(path, lineOf(d.node, path), message)
}

// convert turns a node into what JSON would give: map[string]any, []any, string, bool,
// int64, float64 or nil. Fields that the schema does not have and values of another type
// are findings. A nil schema allows all.
func (d *draft) convert(node *yaml.Node, schema *structural.Structural, path string, depth int) any {
	node = resolve(node)
	if d.budget--; d.budget < 0 {
		d.add("", d.node.Line, tooManyNodes)
		return nil
	}
	if depth > maxDepth {
		d.add("", d.node.Line, fmt.Sprintf("nests deeper than %d levels", maxDepth))
		d.budget = min(d.budget, 0) // an alias within itself: read no more of it
		return nil
	}
	switch node.Kind {
	case yaml.MappingNode:
		if !d.expect(node, schema, path, "object") {
			return nil
		}
		return d.mapping(node, schema, path, depth)
	case yaml.SequenceNode:
		if !d.expect(node, schema, path, "array") {
			return nil
		}
		var items *structural.Structural
		if schema != nil {
			items = schema.Items
		}
		list := make([]any, 0, len(node.Content))
		for i, item := range node.Content {
			list = append(list, d.convert(item, items, path+"["+strconv.Itoa(i)+"]", depth+1))
		}
		return list
	default:
		return d.scalar(node, schema, path)
	}
}

func (d *draft) mapping(node *yaml.Node, schema *structural.Structural, path string, depth int) any {
	object := make(map[string]any, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := resolve(node.Content[i])
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			d.add(path, key.Line, "has a key that is no plain name, or << to merge another mapping: write its fields out")
			continue
		}
		if _, twice := object[key.Value]; twice {
			d.add(join(path, key.Value), key.Line, "stands here a second time: remove one of the two")
			continue
		}
		child, known := member(schema, key.Value)
		if !known {
			d.add(join(path, key.Value), key.Line, "is no field: "+advise(key.Value, slices.Sorted(maps.Keys(schema.Properties))))
			continue
		}
		object[key.Value] = d.convert(node.Content[i+1], child, join(path, key.Value), depth+1)
	}
	return object
}

// member returns the schema of a key, and whether the key may be there.
func member(schema *structural.Structural, key string) (*structural.Structural, bool) {
	if schema == nil {
		return nil, true
	}
	if child, ok := schema.Properties[key]; ok {
		return &child, true
	}
	if schema.AdditionalProperties != nil {
		return schema.AdditionalProperties.Structural, true
	}
	return nil, schema.XPreserveUnknownFields
}

// scalar decodes a scalar by its resolved tag.
func (d *draft) scalar(node *yaml.Node, schema *structural.Structural, path string) any {
	switch node.ShortTag() {
	case "!!null":
		return nil // the API server drops it, so that a default applies
	case "!!str", "!!timestamp":
		d.expect(node, schema, path, "string")
		return node.Value
	case "!!bool":
		d.expect(node, schema, path, "boolean")
		return node.Value == "true" || node.Value == "True" || node.Value == "TRUE"
	case "!!int":
		var number int64
		if node.Decode(&number) == nil {
			d.expect(node, schema, path, "integer")
			return number
		}
		fallthrough // beyond 64 bits
	case "!!float":
		var number float64
		if node.Decode(&number) == nil {
			d.expect(node, schema, path, "number")
			return number
		}
	}
	d.addAt(path, fmt.Sprintf("cannot read the value with the YAML tag %s: remove the tag", quote(node.ShortTag())))
	return nil
}

// expect tells whether a value of a JSON type fits the schema, and reports it if not.
func (d *draft) expect(node *yaml.Node, schema *structural.Structural, path, got string) bool {
	if schema == nil || schema.Type == "" || schema.Type == got || schema.Type == "number" && got == "integer" {
		return true
	}
	const must = "must be "
	switch {
	case schema.Type == "string" && node.Kind == yaml.ScalarNode:
		d.addAt(path, fmt.Sprintf(`must be text: put it in quotes, as in "%s"`, clip(node.Value)))
	case schema.Type == "string":
		d.addAt(path, must+"text")
	case schema.Type == "boolean":
		d.addAt(path, must+"true or false")
	case schema.Type == "integer":
		d.addAt(path, must+"a whole number")
	case schema.Type == "array":
		d.addAt(path, must+"a list: begin each item with -")
	default:
		d.addAt(path, must+"a mapping of keys to values")
	}
	return false
}

// join appends a key to a path. Keys that hold dots or brackets stand in brackets.
func join(path, key string) string {
	switch {
	case !isPlainKey(key):
		return path + "[" + clip(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

func isPlainKey(key string) bool {
	for _, r := range key {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return key != "" && len(key) <= maxQuoted
}
