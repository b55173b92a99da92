// SPDX-License-Identifier: Apache-2.0

package manifest

import "go.yaml.in/yaml/v3"

// What a file may cost. Manifests that people write stay far below; a file
// above one of these is a Problem and is left alone.
const (
	maxSize      = 4 << 20   // bytes
	maxDepth     = 100       // collections inside each other
	maxCrowd     = 250_000   // lines, keys and items together; the parser takes about a KiB for each
	maxExpanded  = 1_000_000 // values of a document once its aliases are followed, as those who apply it do
	maxFields    = 10_000    // bound scalars of a file
	maxProblems  = 1_000     // reported of a file
	maxComment   = 1_024     // bytes of a marker
	maxKey       = 1_024     // bytes of a mapping key on the way to a field
	maxPath      = 4_096     // bytes of a Field's Key
	maxLineNodes = 64        // scalars on one line in front of a marker
	usualNodes   = 4_096     // room that is made before parsing; not a limit
)

// crowded says whether a content may hold more values than are read. It counts
// the bytes in front of which or behind which a value can stand, in strings and
// comments too, and does not parse: parsing is what costs.
func crowded(content []byte) bool {
	if len(content) <= maxCrowd {
		return false
	}
	count := 0
	for i, c := range content {
		switch c {
		case '\n', '\r', ',', '[', '{':
			count++
		case '-', '?', ':':
			if i+1 == len(content) || blank(content[i+1]) || breakAt(content, i+1) > 0 {
				count++
			}
		}
	}
	return count > maxCrowd
}

// weigh counts the values of a node as those do who follow its aliases, and
// stops counting beyond maxExpanded. weights holds what anchors weigh; an alias
// within its own anchor finds nothing there yet.
func weigh(n *yaml.Node, weights map[*yaml.Node]int) int {
	if n.Kind == yaml.AliasNode {
		return weights[n.Alias]
	}
	sum := 1
	for _, child := range n.Content {
		sum = min(sum+weigh(child, weights), maxExpanded+1)
	}
	if n.Anchor != "" {
		weights[n] = sum
	}
	return sum
}
