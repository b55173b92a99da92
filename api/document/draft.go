// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const tooManyValues = "holds too many values, those counted that aliases (*) stand for: make it smaller"

// draft is a document on its way from YAML to a typed object.
type draft struct {
	node *yaml.Node
	kind string
	// key is "<namespace>/<name>" as soon as it is known.
	key string
	// left is how many values may still be read; below zero, one too many was there.
	left     int
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
// are findings.
func (d *draft) convert(node *yaml.Node, want *shape, path string, depth int) any {
	node = resolve(node)
	if d.left--; d.left < 0 {
		return nil
	}
	if depth > maxDepth {
		d.add("", d.node.Line, fmt.Sprintf("nests deeper than %d levels", maxDepth))
		return nil
	}
	switch node.Kind {
	case yaml.MappingNode:
		if !d.expect(node, want, path, "object") {
			return nil
		}
		return d.mapping(node, want, path, depth)
	case yaml.SequenceNode:
		if !d.expect(node, want, path, "array") {
			return nil
		}
		var items *shape
		if want != nil {
			items = want.items
		}
		list := make([]any, 0, len(node.Content))
		for i, item := range node.Content {
			if d.left < 0 {
				break
			}
			list = append(list, d.convert(item, items, path+"["+strconv.Itoa(i)+"]", depth+1))
		}
		return list
	default:
		return d.scalar(node, want, path)
	}
}

func (d *draft) mapping(node *yaml.Node, want *shape, path string, depth int) any {
	object := make(map[string]any, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content) && d.left >= 0; i += 2 {
		key := resolve(node.Content[i])
		d.left--
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			d.add(path, key.Line, "has a key that is no plain name, or << to merge another mapping: write its fields out")
			continue
		}
		if _, twice := object[key.Value]; twice {
			d.add(join(path, key.Value), key.Line, "stands here a second time: remove one of the two")
			continue
		}
		child, known := want.member(key.Value)
		if !known {
			d.add(join(path, key.Value), key.Line, "is no field: "+advise(key.Value, want.names))
			continue
		}
		object[key.Value] = d.convert(node.Content[i+1], child, join(path, key.Value), depth+1)
	}
	return object
}

// scalar decodes a scalar by its resolved tag.
func (d *draft) scalar(node *yaml.Node, want *shape, path string) any {
	switch node.ShortTag() {
	case "!!null":
		return nil // the API server drops it, so that a default applies
	case "!!str", "!!timestamp":
		return d.keep(node, want, path, "string", node.Value)
	case "!!bool":
		return d.keep(node, want, path, "boolean", strings.EqualFold(node.Value, "true"))
	case "!!int":
		var number int64
		if node.Decode(&number) == nil {
			return d.keep(node, want, path, "integer", number)
		}
		fallthrough // beyond 64 bits
	case "!!float":
		var number float64
		if node.Decode(&number) == nil {
			return d.keep(node, want, path, "number", number)
		}
	}
	d.addAt(path, fmt.Sprintf("cannot read the value with the YAML tag %s: remove the tag", quote(node.ShortTag())))
	return nil
}

// keep returns a value if its type fits, and nil if not.
func (d *draft) keep(node *yaml.Node, want *shape, path, got string, v any) any {
	if !d.expect(node, want, path, got) {
		return nil
	}
	return v
}

// expect tells whether a value of a JSON type fits, and reports it if not.
func (d *draft) expect(node *yaml.Node, want *shape, path, got string) bool {
	if want == nil || want.jsonType == "" || want.jsonType == got || want.jsonType == "number" && got == "integer" {
		return true
	}
	switch {
	case want.jsonType == "string" && node.Kind == yaml.ScalarNode:
		d.addAt(path, fmt.Sprintf(`must be text: put it in quotes, as in "%s"`, clip(node.Value)))
	case want.jsonType == "string":
		d.addAt(path, "must be text")
	case want.jsonType == "boolean":
		d.addAt(path, "must be true or false")
	case want.jsonType == "integer":
		d.addAt(path, "must be a whole number")
	case want.jsonType == "array":
		d.addAt(path, "must be a list: begin each item with -")
	default:
		d.addAt(path, "must be a mapping of keys to values")
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
