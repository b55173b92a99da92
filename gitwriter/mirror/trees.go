// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"cmp"
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

const (
	// maxPastBytes bounds what whole trees of the past may take, as far as that can be
	// told before they are here.
	maxPastBytes = 8 << 20
	// bytesPerCommit is what the trees that one commit changes may take.
	bytesPerCommit = 32 << 10
)

// NeedTrees makes sure that the trees of commits are here, in one request, as far as
// they are unlike the head's and not too many. Those of next come along where there is
// a request and room. What is left out, Diff and Past fetch level by level.
func (m *Mirror) NeedTrees(ctx context.Context, commits, next []*Commit) error {
	missing, bytes := m.lacking(commits)
	if !m.canAsk() || len(missing) == 0 || !affordable(missing, bytes) {
		return nil
	}
	if more, bytes := m.lacking(slices.Concat(commits, next)); affordable(more, bytes) {
		missing = more
	}
	if m.past.size > maxPastBytes {
		m.past = newObjects()
	}
	req := m.newRequest(missing...)
	// The head counts as shallow, or else all that it came from would be left out. What
	// the head's trees hold is left out only where the pack may be thin. Go-git hides
	// whether servers offer that; those that filter do.
	req.Haves, req.Shallows, req.Depth = []plumbing.Hash{m.head}, []plumbing.Hash{m.head}, packp.DepthCommits(1)
	m.mustSet(req, capability.Shallow)
	_ = req.Capabilities.Set(capability.ThinPack)
	m.filter(req, packp.FilterBlobNone())
	if err := m.fetch(ctx, req, m.past); ctx.Err() != nil {
		return err
	}
	return nil // Where the server refuses such a request, there still are the levels.
}

func affordable(wants []plumbing.Hash, bytes int) bool {
	return len(wants) <= maxWants && bytes <= maxPastBytes
}

// lacking are the commits whose trees are not here, one for each tree, and what these may
// take: what changed since then, up to the next one of them or to the head, and no
// more than all that there is.
func (m *Mirror) lacking(commits []*Commit) (missing []plumbing.Hash, bytes int) {
	seen := map[plumbing.Hash]bool{}
	later := len(m.log.ordered)
	for _, c := range slices.SortedFunc(slices.Values(commits), func(a, b *Commit) int { return cmp.Compare(b.Index, a.Index) }) {
		if seen[c.Tree] || m.Has(c.Tree) {
			continue
		}
		seen[c.Tree] = true
		missing = append(missing, c.Hash)
		bytes += min((later-c.Index)*bytesPerCommit, m.treeBytes())
		later = c.Index
	}
	return missing, bytes
}

// treeBytes is what all trees of the head take. It is worked out once, since it changes
// slowly.
func (m *Mirror) treeBytes() int {
	if m.wholeTree == 0 && len(m.log.ordered) > 0 {
		m.wholeTree = 1 + m.weigh(m.log.ordered[len(m.log.ordered)-1].Tree, map[plumbing.Hash]bool{})
	}
	return m.wholeTree
}

// weigh is what a tree takes and those below it, each once.
func (m *Mirror) weigh(tree plumbing.Hash, seen map[plumbing.Hash]bool) int {
	content, ok := m.store.content(plumbing.TreeObject, tree)
	if !ok || seen[tree] {
		return 0
	}
	seen[tree] = true
	bytes := len(content)
	for e, err := range rawEntries(content) {
		if err != nil {
			break
		}
		if _, isFolder := e.kind(); isFolder {
			bytes += m.weigh(plumbing.Hash(e.id), seen)
		}
	}
	return bytes
}
