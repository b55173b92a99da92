// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"iter"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// someGarbage may lie about without being looked for.
	someGarbage = 256 << 10
	// dearGarbage may, where getting one object back takes the whole repository.
	dearGarbage = 64 << 20
)

// Sweep lets go of what is needed neither at the head nor to compare root, the tree of
// an earlier one, with the next: trees and files of the past, commits whose text is in
// the log, and drafts, those that were pushed and those that were not. Of the files,
// those in blobs stay. What is needed again is fetched again. Nothing is done while
// there can't be much to let go of, so that an update does not pay for the repository's
// size.
func (m *Mirror) Sweep(root plumbing.Hash, blobs iter.Seq[plumbing.Hash]) {
	if m.caps == nil || m.head.IsZero() || m.store.size <= m.sweepAbove() {
		return
	}
	head, err := m.HeadCommit()
	if err != nil {
		return // The next fetch says what is wrong.
	}
	if m.log.size > 0 {
		m.extendLog() // or else the texts that came with fetches would be fetched again
	}
	kept := newObjects()
	kept.take(m.store, m.head)
	for id := range blobs {
		kept.take(m.store, id)
	}
	m.keepTrees(kept, head.TreeHash)
	m.keepTrees(kept, root)
	m.store, m.kept = kept, kept.size
}

// sweepAbove is the size at which there is a sweep.
func (m *Mirror) sweepAbove() int64 {
	if m.canAsk() {
		return m.kept + m.kept/2 + someGarbage
	}
	return 2*m.kept + dearGarbage
}

// keepTrees keeps a tree and those below it.
func (m *Mirror) keepTrees(kept *objects, tree plumbing.Hash) {
	content, ok := m.store.content(plumbing.TreeObject, tree)
	if !ok || kept.has(tree) {
		return
	}
	kept.take(m.store, tree)
	for e, err := range rawEntries(content) {
		if err != nil {
			return
		}
		if _, isFolder := e.kind(); isFolder {
			m.keepTrees(kept, plumbing.Hash(e.id))
		}
	}
}
