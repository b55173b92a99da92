// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// bareKey is a key that needs no quotes in a path.
var bareKey = regexp.MustCompile(`^[A-Za-z0-9_$-]+$`)

// key says where a node stands in its file. See Field.Key.
func (t *tree) key(i int) (string, refusal) {
	var words []string
	size := 0
	for n := i; t.nodes[n].parent >= 0; n = t.nodes[n].parent {
		word, ok := t.step(n)
		size += len(word)
		if !ok || size > maxPath {
			return fmt.Sprintf("%s line %d column %d", t.document(i), t.nodes[i].Line, t.nodes[i].Column), refuseLongKey
		}
		words = append(words, word)
	}
	slices.Reverse(words)
	path := strings.TrimPrefix(strings.Join(words, ""), ".")
	if path == "" {
		return t.document(i), ""
	}
	return t.document(i) + ": " + path, ""
}

// step is a node's part of a path: ".key", "[name=app]" or "[0]".
func (t *tree) step(i int) (string, bool) {
	n := t.nodes[i]
	parent := t.nodes[n.parent]
	switch parent.Kind {
	case yaml.MappingNode:
		key := parent.Content[n.index-n.index%2]
		if key.Kind != yaml.ScalarNode || n.index%2 == 0 {
			return fmt.Sprintf("{%d}", n.index), true
		}
		if bareKey.MatchString(key.Value) {
			return "." + key.Value, len(key.Value) <= maxKey
		}
		return "[" + strconv.Quote(key.Value) + "]", len(key.Value) <= maxKey
	case yaml.SequenceNode:
		if name := t.itemName(i); name != "" && t.itemNames(n.parent)[name] == 1 {
			return "[" + name + "]", true
		}
		return fmt.Sprintf("[%d]", n.index), true
	default:
		return "", true // the root of a document
	}
}

// itemName is how a list item is told from the others: by its name, or as an
// object of a List.
func (t *tree) itemName(i int) string {
	if name := t.text(i, "name"); name != "" && len(name) <= maxKey {
		return "name=" + name
	}
	return t.object(i)
}

// itemNames counts how often each name stands in a list.
func (t *tree) itemNames(sequence int) map[string]int {
	if t.names == nil {
		t.names = map[int]map[string]int{}
	}
	if names, ok := t.names[sequence]; ok {
		return names
	}
	names := map[string]int{}
	for _, item := range t.items(sequence) {
		names[t.itemName(item)]++
	}
	t.names[sequence] = names
	return names
}

// object names a Kubernetes object: "apps/v1 Deployment prod/podinfo". It is
// empty where the mapping is none.
func (t *tree) object(i int) string {
	metadata := t.value(i, "metadata")
	kind, name := t.text(i, "kind"), t.text(metadata, "name")
	if kind == "" {
		return ""
	}
	if namespace := t.text(metadata, "namespace"); namespace != "" {
		name = namespace + "/" + name
	}
	words := strings.Join(strings.Fields(t.text(i, "apiVersion")+" "+kind+" "+name), " ")
	if len(words) > maxKey {
		return ""
	}
	return words
}

// document names the document of a node: as an object if it is one, with a
// number behind it from the second of that name on, else by its number.
func (t *tree) document(i int) string {
	if t.ids == nil {
		seen := map[string]int{}
		for d, doc := range t.docs {
			id := t.object(doc + 1)
			if id == "" {
				id = fmt.Sprintf("document %d", d+1)
			}
			if seen[id]++; seen[id] > 1 {
				id = fmt.Sprintf("%s #%d", id, seen[id])
			}
			t.ids = append(t.ids, id)
		}
	}
	return t.ids[t.nodes[i].doc]
}

// slot names the reference that a part of it belongs to: the policy and the
// mapping in which it stands; empty where it stands in none.
func (t *tree) slot(i int, policy string) string {
	parent := t.nodes[i].parent
	if parent < 0 || t.nodes[parent].Kind != yaml.MappingNode {
		return ""
	}
	key, _ := t.key(parent)
	return key + " of " + policy
}
