// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// verify compares a file before and after an edit, node by node. The edited
// scalars must hold their new values as strings; all else must be the same.
func verify(before, after *tree, splices []splice) error {
	first := splices[0].Change
	if len(before.nodes) != len(after.nodes) {
		return refused(first, "with the new value the file would have another structure")
	}
	edited := make(map[int]splice, len(splices))
	for _, s := range splices {
		edited[s.Field.node] = s
	}
	for i := range before.nodes {
		old, now := before.nodes[i], after.nodes[i]
		s, ok := edited[i]
		switch {
		case !sameFrame(old, now):
			return refused(first, fmt.Sprintf("with the new value line %d of the file would mean something else", before.lines.human(old.at)))
		case !ok && !sameValue(old.Node, now.Node):
			return refused(first, fmt.Sprintf("with the new value line %d of the file would read otherwise", before.lines.human(old.at)))
		case ok && !holdsNew(s, old.Node, now.Node):
			return refused(s.Change, fmt.Sprintf("the new value %q can't be written there as a string", s.New))
		}
	}
	return nil
}

// sameFrame compares what no edit may change in any node: its kind and place,
// its anchor and its comments.
func sameFrame(a, b node) bool {
	return a.Kind == b.Kind && a.parent == b.parent && a.index == b.index && a.Anchor == b.Anchor &&
		a.HeadComment == b.HeadComment && a.LineComment == b.LineComment && a.FootComment == b.FootComment
}

// sameValue compares what only an edited scalar may change.
func sameValue(a, b *yaml.Node) bool {
	return a.Tag == b.Tag && a.Style == b.Style && a.Value == b.Value
}

// holdsNew says whether a scalar has the value of an edit, in the style that it
// had, or in quotes where it was plain.
func holdsNew(s splice, old, now *yaml.Node) bool {
	quoted := s.Field.token.style == plain && now.Style == old.Style|yaml.DoubleQuotedStyle
	return now.Tag == "!!str" && now.Value == s.Field.token.before+s.New+s.Field.token.after && (now.Style == old.Style || quoted)
}
