// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// step is one name looked up in one tree.
type step struct {
	tree plumbing.Hash
	name string
}

// maxSteps bounds what is kept of what was looked up; each takes a hundred bytes.
const maxSteps = 100_000

// Past returns the blobs that files had in commits, by file and in the order of
// the commits; zero where there was no such file. The trees on the way are
// fetched level by level for all commits and files at once. What was looked up
// in them is kept, and the trees are not: a folder that many files are in, or
// that many commits did not touch, is read once, as long as there is not too much of it.
func (m *Mirror) Past(ctx context.Context, commits []*Commit, files []string) (map[string][]plumbing.Hash, error) {
	roots := make([]plumbing.Hash, len(commits))
	for i, c := range commits {
		roots[i] = c.Tree
	}
	if len(m.steps) > maxSteps {
		clear(m.steps)
	}
	known := map[string][]plumbing.Hash{"": roots}
	asked := false
	for _, level := range levels(files) {
		wanted := m.unknown(level, known)
		if !asked && len(m.missing(wanted)) > 0 {
			asked = true
			if err := m.NeedTrees(ctx, commits, nil); err != nil {
				return nil, err
			}
		}
		if err := m.lookUp(ctx, wanted); err != nil {
			return nil, err
		}
		for _, p := range level {
			known[p] = m.below(known[parent(p)], path.Base(p))
		}
	}
	found := make(map[string][]plumbing.Hash, len(files))
	for _, f := range files {
		found[f] = known[f]
	}
	return found, nil
}

// unknown are the steps to files and folders that were not looked up yet, where it is
// known what the folders above are.
func (m *Mirror) unknown(level []string, known map[string][]plumbing.Hash) map[step]bool {
	wanted := map[step]bool{}
	for _, p := range level {
		var last plumbing.Hash // Most commits leave a folder as the one before did.
		for _, tree := range known[parent(p)] {
			if tree == last {
				continue
			}
			if s := (step{tree, path.Base(p)}); !tree.IsZero() && !m.knows(s) {
				wanted[s] = true
			}
			last = tree
		}
	}
	return wanted
}

// below is what a name stands for in each of these trees, which were looked up.
func (m *Mirror) below(trees []plumbing.Hash, name string) []plumbing.Hash {
	found := make([]plumbing.Hash, len(trees))
	for i, tree := range trees {
		if i > 0 && tree == trees[i-1] {
			found[i] = found[i-1]
			continue
		}
		found[i] = m.steps[step{tree, name}]
	}
	return found
}

func (m *Mirror) knows(s step) bool {
	_, ok := m.steps[s]
	return ok
}

// lookUp finds names in trees. What is no folder has no names.
func (m *Mirror) lookUp(ctx context.Context, wanted map[step]bool) error {
	names := map[plumbing.Hash][]string{}
	for s := range wanted {
		names[s.tree] = append(names[s.tree], s.name)
	}
	missing := m.missing(wanted)
	passing := m.store
	if m.canAsk() {
		passing = newObjects()
		if err := m.fetchObjects(ctx, missing, passing); err != nil {
			return err
		}
	} else if err := m.Need(ctx, missing); err != nil {
		return err
	}
	for tree, asked := range names {
		for _, name := range asked {
			m.steps[step{tree, name}] = plumbing.ZeroHash
		}
		if err := m.find(tree, asked, m.store, m.past, passing); err != nil {
			return err
		}
	}
	return nil
}

// missing are the trees that are not here, each once.
func (m *Mirror) missing(wanted map[step]bool) []plumbing.Hash {
	seen := map[plumbing.Hash]bool{}
	var missing []plumbing.Hash
	for s := range wanted {
		if !seen[s.tree] && !m.Has(s.tree) {
			seen[s.tree] = true
			missing = append(missing, s.tree)
		}
	}
	return missing
}

// find looks names up in a tree, in the first of the stores that has it. Where it
// is no tree, they stand for nothing.
func (m *Mirror) find(tree plumbing.Hash, names []string, stores ...*objects) error {
	content := contentOf(tree, stores...)
	if content == nil && m.treeOnDisk(tree) {
		var err error
		if content, err = m.readObject(plumbing.TreeObject, tree); err != nil {
			return err
		}
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	for e, err := range rawEntries(content) {
		if err != nil {
			return fmt.Errorf("cannot read tree %s: %w", tree, err)
		}
		if !wanted[string(e.name)] {
			continue
		}
		if isFile, isFolder := e.kind(); isFile || isFolder {
			m.steps[step{tree, string(e.name)}] = plumbing.Hash(e.id)
		}
	}
	return nil
}

// contentOf reads a tree from the first of the stores that has it; nothing where it
// is no tree.
func contentOf(id plumbing.Hash, stores ...*objects) []byte {
	for _, store := range stores {
		if content, ok := store.content(plumbing.TreeObject, id); ok {
			return content
		}
	}
	return nil
}

// rawTree reads the bytes of a tree that was fetched.
func (m *Mirror) rawTree(id plumbing.Hash) ([]byte, error) {
	if content, ok := m.store.content(plumbing.TreeObject, id); ok {
		return content, nil
	}
	return m.readObject(plumbing.TreeObject, id)
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
