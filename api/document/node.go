// SPDX-License-Identifier: Apache-2.0

package document

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// resolve follows an alias to what it stands for. An alias never stands for an alias.
func resolve(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// value returns the value of a key in a mapping, nil where there is none.
func value(mapping *yaml.Node, key string) *yaml.Node {
	if i := index(mapping, key); i >= 0 {
		return mapping.Content[i+1]
	}
	return nil
}

// index returns where a key stands in a mapping's content, -1 where it does not.
func index(mapping *yaml.Node, key string) int {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if name := resolve(mapping.Content[i]); name.Kind == yaml.ScalarNode && name.Value == key {
			return i
		}
	}
	return -1
}

// scalar returns the text of a key's value, empty where it is no scalar.
func scalar(mapping *yaml.Node, key string) string {
	v := resolve(value(mapping, key))
	if v == nil || v.Kind != yaml.ScalarNode {
		return ""
	}
	return v.Value
}

// lineOf returns the line of the field at a path such as "spec.targets[0].kustomize":
// of its key, or of the item in a sequence. Where the document has no such field, it is
// the line of the nearest parent that it has.
func lineOf(node *yaml.Node, path string) int {
	line := node.Line
	for _, step := range steps(path) {
		node = resolve(node)
		var next *yaml.Node
		switch node.Kind {
		case yaml.MappingNode:
			i := index(node, step)
			if i < 0 {
				return line
			}
			line, next = node.Content[i].Line, node.Content[i+1]
		case yaml.SequenceNode:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(node.Content) {
				return line
			}
			next = node.Content[i]
			line = next.Line
		default:
			return line
		}
		node = next
	}
	return line
}

// steps cuts a path into keys and indices. A key in brackets may hold dots.
func steps(path string) []string {
	var all []string
	for len(path) > 0 {
		if inner, ok := strings.CutPrefix(path, "["); ok {
			key, rest, _ := strings.Cut(inner, "]")
			all = append(all, key)
			path = strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			return append(all, path)
		}
		all = append(all, path[:end])
		path = strings.TrimPrefix(path[end:], ".")
	}
	return all
}
