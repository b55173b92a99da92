// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Version is a content that a file had in a run of commits. Blob is zero where
// there was no such file.
type Version struct {
	// Oldest is the last commit of the run in the order that was asked for.
	Oldest *Commit
	Blob   plumbing.Hash
}

// Trees are folders that were read, with their entries by name: asking for the
// past several times with the same Trees reads each folder once.
type Trees map[plumbing.Hash]map[string]object.TreeEntry

// Past returns the contents that files had in these commits, each run of equal
// ones once, fetching the missing trees level by level for all files at once.
func (m *Mirror) Past(ctx context.Context, trees Trees, commits []*Commit, files []string) (map[string][]Version, error) {
	roots := make([]Version, 0, len(commits))
	for _, c := range commits {
		roots = appendRun(roots, Version{c, c.Tree})
	}
	known := map[string][]Version{"": roots}
	for _, level := range levels(files) {
		var ids []plumbing.Hash
		for _, p := range level {
			for _, v := range known[parent(p)] {
				if trees[v.Blob] == nil {
					ids = append(ids, v.Blob)
				}
			}
		}
		if err := m.Need(ctx, ids); err != nil {
			return nil, err
		}
		for _, p := range level {
			var runs []Version
			for _, v := range known[parent(p)] {
				entries, err := m.named(trees, v.Blob)
				if err != nil {
					return nil, err
				}
				runs = appendRun(runs, Version{v.Oldest, entries[path.Base(p)].Hash})
			}
			known[p] = runs
		}
	}
	found := make(map[string][]Version, len(files))
	for _, f := range files {
		found[f] = known[f]
	}
	return found, nil
}

func appendRun(runs []Version, v Version) []Version {
	if len(runs) > 0 && runs[len(runs)-1].Blob == v.Blob {
		runs[len(runs)-1].Oldest = v.Oldest
		return runs
	}
	return append(runs, v)
}

// levels lists the files and all their folders by depth, each once.
func levels(files []string) [][]string {
	var byDepth [][]string
	seen := map[string]bool{"": true}
	for _, f := range files {
		for ; !seen[f]; f = parent(f) {
			seen[f] = true
			depth := strings.Count(f, "/")
			for len(byDepth) <= depth {
				byDepth = append(byDepth, nil)
			}
			byDepth[depth] = append(byDepth[depth], f)
		}
	}
	return byDepth
}

func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// named reads a tree once. What was no folder has no entries.
func (m *Mirror) named(trees Trees, id plumbing.Hash) (map[string]object.TreeEntry, error) {
	if entries, ok := trees[id]; ok {
		return entries, nil
	}
	entries := map[string]object.TreeEntry{}
	if o := m.store.Objects[id]; id.IsZero() || o != nil && o.Type() != plumbing.TreeObject {
		trees[id] = entries
		return entries, nil
	}
	t, err := m.Tree(id)
	if err != nil {
		return nil, err
	}
	for _, e := range t.Entries {
		if !fileID(e).IsZero() || !folderID(e).IsZero() {
			entries[e.Name] = e
		}
	}
	trees[id] = entries
	return entries, nil
}
