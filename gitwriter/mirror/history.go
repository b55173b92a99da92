// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// maxCommits bounds the history that is read.
const maxCommits = 1_000_000

// unshallow is the depth at which git sends all that there is.
const unshallow = 0x7fffffff

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
		if err := m.Save(ctx, nil); err != nil {
			return nil, err
		}
	}
	if err := m.order(); err != nil {
		return nil, err
	}
	return m.log.ordered, nil
}

// Commit returns a commit that History returned, or nil.
func (m *Mirror) Commit(id plumbing.Hash) *Commit {
	if c := m.log.commits[id]; c != nil && c.Index >= 0 {
		return c
	}
	return nil
}

// extendLog adds the fetched commits above those known; false means that
// some are missing.
func (m *Mirror) extendLog() bool {
	added := newCommitLog()
	todo := []plumbing.Hash{m.head}
	var texts [][]byte
	var ids []plumbing.Hash
	for len(todo) > 0 {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if m.log.read(h) || added.read(h) {
			continue
		}
		text, ok := m.store.content(plumbing.CommitObject, h)
		if !ok || added.add(h, text) != nil {
			return false
		}
		ids, texts = append(ids, h), append(texts, text)
		for _, p := range added.commits[h].Parents {
			todo = append(todo, p.Hash)
		}
	}
	for i, id := range ids {
		if m.log.add(id, texts[i]) != nil {
			return false
		}
		m.saveText(id, texts[i])
	}
	return true
}

// fetchTexts reads the whole history, without trees and blobs where the server
// can leave them out.
func (m *Mirror) fetchTexts(ctx context.Context) error {
	if m.canFilter() {
		err := m.streamTexts(ctx)
		if !errors.Is(err, errNotTexts) {
			return err
		}
	}
	req := m.newRequest(m.head)
	into := newObjects()
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
	if into == m.store {
		m.kept = m.store.size
	}
	log := newCommitLog()
	for _, h := range into.ids(plumbing.CommitObject) {
		text, _ := into.content(plumbing.CommitObject, h)
		if err := m.note(log, h, text); err != nil {
			return err
		}
	}
	m.log = log
	return nil
}

// streamTexts reads the texts of all commits as they come in.
func (m *Mirror) streamTexts(ctx context.Context) error {
	req := m.newRequest(m.head)
	m.filter(req, packp.FilterTreeDepth(0))
	log := newCommitLog()
	err := m.receive(ctx, req, func(ctx context.Context, pack io.Reader) error {
		return newTextReader(pack, m.maxUnpacked, func(id plumbing.Hash, text []byte) error { return m.note(log, id, text) }).read(ctx)
	})
	if err == nil {
		m.log = log
	}
	return err
}

// note adds a commit to a log, within the limit.
func (m *Mirror) note(log *commitLog, id plumbing.Hash, text []byte) error {
	if log.size == m.maxCommits && !log.read(id) {
		return &Error{Repository: m.name, Op: "read the history of", Kind: Limit, Err: fmt.Errorf("it has more than %d commits", m.maxCommits)}
	}
	m.saveText(id, text)
	return log.add(id, text)
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
			c.Index = unordered
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
	c := l.commits[h]
	for c != nil && c.Index < 0 {
		if len(c.Parents) == 0 {
			return false
		}
		c = c.Parents[0]
	}
	return c != nil && c.Hash == l.head
}

// above lists the commits that are reachable from the head and not ordered yet.
func (l *commitLog) above(head plumbing.Hash) (added []*Commit, err error) {
	type visit struct {
		commit *Commit
		next   int // the parent to go to next
	}
	stack := []visit{}
	enter := func(c *Commit) {
		if c.Index == unordered {
			c.Index = beingOrdered
			stack = append(stack, visit{commit: c})
		}
	}
	enter(l.commit(head))
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		c := top.commit
		switch {
		case !c.wasRead():
			for _, v := range stack {
				added = append(added, v.commit)
			}
			for _, c := range added {
				c.Index = unordered
			}
			return nil, errors.New("a commit is missing, so what was rolled back can't be known")
		case top.next < len(c.Parents):
			top.next++
			enter(c.Parents[top.next-1])
		default:
			added = append(added, c)
			stack = stack[:len(stack)-1]
		}
	}
	return added, nil
}

// Need makes sure that the trees and blobs are here. Where the server gives no
// single objects, the whole history is fetched once.
func (m *Mirror) Need(ctx context.Context, ids []plumbing.Hash) error {
	var missing []plumbing.Hash
	seen := map[plumbing.Hash]bool{}
	for _, id := range ids {
		if !m.Has(id) && !id.IsZero() && !seen[id] {
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
	if err := m.fetch(ctx, m.newRequest(m.head), m.store); err != nil {
		return err
	}
	m.kept = m.store.size
	return nil
}

// Has tells whether a tree or a file's content is here.
func (m *Mirror) Has(id plumbing.Hash) bool {
	return m.store.has(id) || m.past.has(id) || m.OnDisk(id)
}

// maxWants keeps a request's size within what servers take.
const maxWants = 2000

func (m *Mirror) fetchObjects(ctx context.Context, ids []plumbing.Hash, into *objects) error {
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
	err = differing(olds, news, func(o, n rawEntry) {
		path := cmp.Or(string(n.name), string(o.name))
		if prefix != "" {
			path = prefix + "/" + path
		}
		if f := (Difference{path, o.file(), n.file()}); f.Old != f.New && keep(path) {
			files = append(files, f)
		}
		if d := (Difference{path, o.folder(), n.folder()}); d.Old != d.New {
			folders = append(folders, d)
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot compare the trees %s and %s: %w", trees.Old, trees.New, err)
	}
	return files, folders, nil
}

// entries are the bytes of a tree; none where there is no such tree.
func (m *Mirror) entries(tree plumbing.Hash) ([]byte, error) {
	if tree.IsZero() {
		return nil, nil
	}
	return m.anyTree(tree)
}
