// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
)

// Past returns the blobs that files had in commits, by file and in the order of
// the commits; zero where there was no such file. The trees on the way are
// fetched level by level for all commits and files at once, and not kept.
func (m *Mirror) Past(ctx context.Context, commits []*Commit, files []string) (map[string][]plumbing.Hash, error) {
	roots := make([]plumbing.Hash, len(commits))
	for i, c := range commits {
		roots[i] = c.Tree
	}
	known := map[string][]plumbing.Hash{"": roots}
	passing := memory.NewStorage()
	for _, level := range levels(files) {
		folders := map[plumbing.Hash]bool{}
		for _, p := range level {
			for _, tree := range known[parent(p)] {
				folders[tree] = true
			}
		}
		trees, err := m.passingTrees(ctx, folders, passing)
		if err != nil {
			return nil, err
		}
		for _, p := range level {
			known[p] = lookUp(trees, known[parent(p)], path.Base(p))
		}
	}
	found := make(map[string][]plumbing.Hash, len(files))
	for _, f := range files {
		found[f] = known[f]
	}
	return found, nil
}

// passingTrees reads trees, those that are not here into passing. What is no
// folder has no entries.
func (m *Mirror) passingTrees(ctx context.Context, ids map[plumbing.Hash]bool, passing *memory.Storage) (map[plumbing.Hash][]object.TreeEntry, error) {
	delete(ids, plumbing.ZeroHash)
	var missing []plumbing.Hash
	for id := range ids {
		if m.store.Objects[id] == nil && passing.Objects[id] == nil {
			missing = append(missing, id)
		}
	}
	var err error
	if m.canAsk() {
		err = m.fetchObjects(ctx, missing, passing)
	} else {
		err = m.Need(ctx, missing)
	}
	if err != nil {
		return nil, err
	}
	trees := make(map[plumbing.Hash][]object.TreeEntry, len(ids))
	for id := range ids {
		store := m.store
		if store.Objects[id] == nil {
			store = passing
		}
		if o := store.Objects[id]; o == nil || o.Type() != plumbing.TreeObject {
			continue
		}
		t, err := object.GetTree(store, id)
		if err != nil {
			return nil, fmt.Errorf("cannot read tree %s: %w", id, err)
		}
		trees[id] = t.Entries
	}
	return trees, nil
}

// lookUp finds a name in each of the folders, reading equal neighbours once.
func lookUp(trees map[plumbing.Hash][]object.TreeEntry, folders []plumbing.Hash, name string) []plumbing.Hash {
	found := make([]plumbing.Hash, len(folders))
	for i, folder := range folders {
		if i > 0 && folder == folders[i-1] {
			found[i] = found[i-1]
			continue
		}
		for _, e := range trees[folder] {
			if e.Name == name && (!fileID(e).IsZero() || !folderID(e).IsZero()) {
				found[i] = e.Hash
			}
		}
	}
	return found
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
