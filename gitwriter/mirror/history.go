// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/memory"
)

// maxCommits bounds the history that is read.
const maxCommits = 1_000_000

// unshallow is the depth at which git sends all that there is.
const unshallow = 0x7fffffff

// Commit is what is kept of a commit's text.
type Commit struct {
	Hash, Tree plumbing.Hash
	// Parents are linked once History has returned the commit.
	Parents []*Commit
	Author  string
	When    time.Time
	// Message is kept only where it names Pintle, which most do not.
	Message string
	// Signature is that of such a commit, and Signed the text that it is of; both are
	// empty where there is none.
	Signed, Signature string
	// Index is the commit's place in what History returns.
	Index int

	parents []plumbing.Hash
}

// commitLog is what is known of a branch's history.
type commitLog struct {
	commits map[plumbing.Hash]*Commit
	// ordered are the commits reachable from the head, parents first.
	ordered []*Commit
	head    plumbing.Hash
}

// History returns the commits reachable from the head, parents before children:
// all that the first parent has, then what the next one adds, then the commit.
// Texts are read the first time, and later only those of new commits. What it
// returned before stays the beginning of what it returns, unless the branch was
// forced elsewhere, or merged into somebody's own line.
func (m *Mirror) History(ctx context.Context) ([]*Commit, error) {
	if !m.extendLog() {
		if err := m.fetchTexts(ctx); err != nil {
			return nil, err
		}
	}
	if err := m.order(); err != nil {
		return nil, err
	}
	return m.log.ordered, nil
}

// Commit returns a commit that History returned, or nil.
func (m *Mirror) Commit(id plumbing.Hash) *Commit { return m.log.commits[id] }

// extendLog adds the fetched commits above those known; false means that
// some are missing.
func (m *Mirror) extendLog() bool {
	todo := []plumbing.Hash{m.head}
	var added []*Commit
	seen := map[plumbing.Hash]bool{}
	for len(todo) > 0 {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if m.log.commits[h] != nil || seen[h] {
			continue
		}
		seen[h] = true
		c, err := object.GetCommit(m.store, h)
		if err != nil {
			return false
		}
		kept, err := newCommit(m.store, c)
		if err != nil {
			return false
		}
		added = append(added, kept)
		todo = append(todo, c.ParentHashes...)
	}
	for _, c := range added {
		m.log.commits[c.Hash] = c
	}
	return true
}

func newCommit(store storer.EncodedObjectStorer, c *object.Commit) (*Commit, error) {
	kept := &Commit{Hash: c.Hash, Tree: c.TreeHash, parents: c.ParentHashes, Author: c.Author.Name, When: c.Committer.When, Index: -1}
	return kept, kept.keepText(store, c.Message)
}

// fetchTexts reads the whole history, without trees and blobs where the server
// can leave them out.
func (m *Mirror) fetchTexts(ctx context.Context) error {
	req := m.newRequest(m.head)
	into := memory.NewStorage()
	if m.canFilter() {
		m.filter(req, packp.FilterTreeDepth(0))
	} else {
		// All of it will be needed sooner or later, and nothing can be asked
		// for alone.
		into = m.store
		req.Haves = []plumbing.Hash{m.head}
		req.Shallows = []plumbing.Hash{m.head}
		req.Depth = packp.DepthCommits(unshallow)
		m.mustSet(req, capability.Shallow)
	}
	if err := m.fetch(ctx, req, into); err != nil {
		return err
	}
	if len(into.Commits) > m.maxCommits {
		return &Error{Repository: m.name, Op: "read the history of", Kind: Limit, Err: fmt.Errorf("it has more than %d commits", m.maxCommits)}
	}
	for h := range into.Commits {
		if m.log.commits[h] != nil {
			continue
		}
		c, err := object.GetCommit(into, h)
		if err != nil {
			return fmt.Errorf("cannot read commit %s: %w", h, err)
		}
		if m.log.commits[h], err = newCommit(into, c); err != nil {
			return err
		}
	}
	return nil
}

// order lists what is reachable from the head. The order is the same whatever
// was known before: what is new is added at the end where the head moved on along
// its first parents, as it does where people push.
func (m *Mirror) order() error {
	if m.log.head == m.head {
		return nil
	}
	if !m.log.leadsToHead(m.head) {
		for _, c := range m.log.ordered {
			c.Index = -1
		}
		m.log.ordered = nil
	}
	added, err := m.log.above(m.head)
	if err != nil {
		return &Error{Repository: m.name, Op: "read the history of", Kind: Shallow, Err: err}
	}
	for _, c := range added {
		c.Index = len(m.log.ordered)
		m.log.ordered = append(m.log.ordered, c)
	}
	m.log.head = m.head
	return nil
}

// leadsToHead tells whether the first parents of a commit lead to the last head.
func (l *commitLog) leadsToHead(h plumbing.Hash) bool {
	for c := l.commits[h]; c != nil && c.Index < 0; c = l.commits[h] {
		if len(c.parents) == 0 {
			return false
		}
		h = c.parents[0]
	}
	return h == l.head
}

// above lists the commits that are reachable from the head and not ordered yet.
func (l *commitLog) above(head plumbing.Hash) (added []*Commit, err error) {
	type visit struct {
		commit *Commit
		next   int // the parent to go to next
	}
	seen := map[plumbing.Hash]bool{}
	var stack []visit
	enter := func(h plumbing.Hash) error {
		c := l.commits[h]
		if c == nil {
			return errors.New("a commit is missing, so what was rolled back can't be known")
		}
		if c.Index < 0 && !seen[h] {
			seen[h] = true
			c.Parents = make([]*Commit, 0, len(c.parents))
			stack = append(stack, visit{commit: c})
		}
		return nil
	}
	if err := enter(head); err != nil {
		return nil, err
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if c := top.commit; top.next < len(c.parents) {
			h := c.parents[top.next]
			top.next++
			if err := enter(h); err != nil {
				return nil, err
			}
			c.Parents = append(c.Parents, l.commits[h])
			continue
		}
		added = append(added, top.commit)
		stack = stack[:len(stack)-1]
	}
	return added, nil
}

// Need makes sure that the trees and blobs are here. Where the server gives no
// single objects, the whole history is fetched once.
func (m *Mirror) Need(ctx context.Context, ids []plumbing.Hash) error {
	var missing []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	for _, id := range ids {
		if m.store.Objects[id] == nil && !id.IsZero() && !seen[id] {
			seen[id] = true
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if m.canAsk() {
		return m.fetchObjects(ctx, missing, m.store)
	}
	req := m.newRequest(m.head)
	return m.fetch(ctx, req, m.store)
}

// maxWants keeps a request's size within what servers take.
const maxWants = 2000

func (m *Mirror) fetchObjects(ctx context.Context, ids []plumbing.Hash, into *memory.Storage) error {
	for len(ids) > 0 {
		n := min(len(ids), maxWants)
		req := m.newRequest(ids[:n]...)
		// What is named is sent all the same; what hangs below it is not.
		m.filter(req, packp.FilterTreeDepth(0))
		if err := m.fetch(ctx, req, into); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// Pair is two trees at one path to be compared, either of them zero where there
// is none.
type Pair struct{ Old, New plumbing.Hash }

// Difference is a file that two trees hold with other content, either blob zero
// where there is no such file. Only regular files count: what was a link or a
// submodule is as if it were not there.
type Difference struct {
	Path     string
	Old, New plumbing.Hash
}

// Diff compares pairs of root trees, fetching the missing trees level by level
// for all of them at once. keep says which files matter.
func (m *Mirror) Diff(ctx context.Context, pairs []Pair, keep func(path string) bool) ([][]Difference, error) {
	type task struct {
		pair  int
		path  string
		trees Pair
	}
	found := make([][]Difference, len(pairs))
	var level []task
	for i, p := range pairs {
		if p.Old != p.New {
			level = append(level, task{i, "", p})
		}
	}
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxDepth {
			return nil, &Error{Repository: m.name, Op: "read", Kind: Limit, Err: fmt.Errorf("folders are nested deeper than %d: %s", maxDepth, oneLine(level[0].path)),
				Hint: "take them out of the branch"}
		}
		var ids []plumbing.Hash
		for _, t := range level {
			ids = append(ids, t.trees.Old, t.trees.New)
		}
		if err := m.Need(ctx, ids); err != nil {
			return nil, err
		}
		var next []task
		for _, t := range level {
			files, folders, err := m.compare(t.path, t.trees, keep)
			if err != nil {
				return nil, err
			}
			found[t.pair] = append(found[t.pair], files...)
			for _, f := range folders {
				next = append(next, task{t.pair, f.Path, Pair{f.Old, f.New}})
			}
		}
		level = next
	}
	return found, nil
}

// maxDepth bounds the nesting of folders.
const maxDepth = 64

// compare lists the files and folders that differ between two trees.
func (m *Mirror) compare(prefix string, trees Pair, keep func(string) bool) (files, folders []Difference, err error) {
	olds, err := m.entries(trees.Old)
	if err != nil {
		return nil, nil, err
	}
	news, err := m.entries(trees.New)
	if err != nil {
		return nil, nil, err
	}
	add := func(name string, o, n object.TreeEntry) {
		path := name
		if prefix != "" {
			path = prefix + "/" + name
		}
		if f := (Difference{path, fileID(o), fileID(n)}); f.Old != f.New && keep(path) {
			files = append(files, f)
		}
		if d := (Difference{path, folderID(o), folderID(n)}); d.Old != d.New {
			folders = append(folders, d)
		}
	}
	byName := make(map[string]object.TreeEntry, len(olds))
	for _, e := range olds {
		byName[e.Name] = e
	}
	for _, e := range news {
		if old := byName[e.Name]; old.Hash != e.Hash || old.Mode != e.Mode {
			add(e.Name, old, e)
		}
		delete(byName, e.Name)
	}
	for _, e := range olds {
		if _, gone := byName[e.Name]; gone {
			add(e.Name, e, object.TreeEntry{})
		}
	}
	return files, folders, nil
}

func (m *Mirror) entries(tree plumbing.Hash) ([]object.TreeEntry, error) {
	if tree.IsZero() {
		return nil, nil
	}
	t, err := m.Tree(tree)
	if err != nil {
		return nil, err
	}
	return t.Entries, nil
}

func fileID(e object.TreeEntry) plumbing.Hash {
	if e.Mode == filemode.Regular || e.Mode == filemode.Executable || e.Mode == filemode.Deprecated {
		return e.Hash
	}
	return plumbing.ZeroHash
}

func folderID(e object.TreeEntry) plumbing.Hash {
	if e.Mode == filemode.Dir {
		return e.Hash
	}
	return plumbing.ZeroHash
}
