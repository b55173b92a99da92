// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// Keep has the mirror keep what it fetches in a folder, and begin with what an earlier
// process left there. All of it is known by its id, and so is as good as fetched; what
// is missing or broken is fetched. Where the folder fails, now or later, or another
// process has the file, the mirror goes on without, and tells warn once.
func (m *Mirror) Keep(folder string, warn func(error)) {
	m.warn = warn
	key := sha256.Sum256([]byte(m.name + "\n" + m.branch.String()))
	d, err := openDisk(filepath.Join(folder, "git"), hex.EncodeToString(key[:16]))
	if err != nil {
		m.giveUp(err)
		return
	}
	m.disk = d
	if err := m.load(); err != nil {
		m.giveUp(err)
	}
}

// Close lets go of the file on disk.
func (m *Mirror) Close() error {
	d := m.disk
	m.disk = nil
	if d == nil {
		return nil
	}
	return d.close()
}

// giveUp goes on without the file, which the next process does not find either unless
// somebody else has it.
func (m *Mirror) giveUp(err error) {
	if m.disk != nil {
		_ = m.disk.file.Close() // What it did not write is lost either way.
		_ = os.Remove(m.disk.path)
	}
	m.disk = nil
	if m.warn != nil {
		m.warn(fmt.Errorf("cannot keep %s on disk, so the next run fetches it again: %w", m.name, err))
		m.warn = nil
	}
}

// load takes the head over, if all its trees are there, and the history, if all of it
// is.
func (m *Mirror) load() error {
	trees, log := newObjects(), newCommitLog()
	d := m.disk
	var head []byte
	var texts int64
	err := d.read(func(r record) {
		switch r.kind {
		case headRecord:
			d.head, head = r.id, append(head[:0], r.content...)
			_ = log.add(r.id, r.content) // What can't be read is missing below.
		case plumbing.CommitObject:
			texts += recordFrame + int64(len(r.content))
			_ = log.add(r.id, r.content)
		case plumbing.TreeObject:
			trees.add(r.kind, append([]byte(nil), r.content...))
			d.spans[r.id] = span{r.kind, r.at, len(r.content)}
		default:
			d.spans[r.id] = span{r.kind, r.at, len(r.content)}
		}
	})
	if err != nil || head == nil {
		clear(d.spans)
		return err
	}
	store := newObjects()
	c, unreadable := store.commit(store.add(plumbing.CommitObject, head))
	live := map[plumbing.Hash]bool{}
	read := func(id plumbing.Hash) ([]byte, error) {
		if !trees.has(id) {
			return nil, plumbing.ErrObjectNotFound
		}
		return trees.byID[id].content, nil
	}
	if unreadable != nil || !alive(read, c.TreeHash, live) {
		clear(d.spans) // Without a head, nothing of it is used, and all is written again.
		d.head = plumbing.ZeroHash
		return nil //nolint:nilerr // as said
	}
	d.useful = texts
	for id := range live {
		store.take(trees, id)
		if s, ok := d.spans[id]; ok {
			d.useful += recordFrame + int64(s.size)
		}
	}
	m.store, m.head, m.fromDisk = store, d.head, true
	m.kept = store.size
	if log.whole(m.head) {
		m.log = log
	}
	return nil
}

// alive marks a tree and all that it holds. It tells whether all trees are there.
func alive(read func(tree plumbing.Hash) ([]byte, error), tree plumbing.Hash, live map[plumbing.Hash]bool) bool {
	if live[tree] {
		return true
	}
	content, err := read(tree)
	if err != nil {
		return false
	}
	live[tree] = true
	for e, err := range rawEntries(content) {
		if err != nil {
			return false
		}
		id := plumbing.Hash(e.id)
		if _, isFolder := e.kind(); isFolder && !alive(read, id, live) {
			return false
		}
		live[id] = true
	}
	return true
}

// whole tells whether all was read that leads to a commit.
func (l *commitLog) whole(head plumbing.Hash) bool {
	todo := []*Commit{l.commit(head)}
	seen := map[*Commit]bool{todo[0]: true}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !c.wasRead() {
			return false
		}
		for _, p := range c.Parents {
			if !seen[p] {
				seen[p] = true
				todo = append(todo, p)
			}
		}
	}
	return true
}

// FromDisk tells whether the mirror began with what was on disk, where files may be
// missing.
func (m *Mirror) FromDisk() bool { return m.fromDisk }

// OnDisk tells whether a tree or a file's content is on disk.
func (m *Mirror) OnDisk(id plumbing.Hash) bool { return m.disk != nil && m.disk.has(id) }

func (m *Mirror) treeOnDisk(id plumbing.Hash) bool {
	return m.OnDisk(id) && m.disk.spans[id].kind == plumbing.TreeObject
}

// Save writes the head to disk, as far as it is new there, and these files of it. Where
// that fails, those that were on disk alone are fetched.
func (m *Mirror) Save(ctx context.Context, blobs []plumbing.Hash) error {
	if m.disk == nil {
		return nil
	}
	failed := m.save(blobs)
	if failed == nil {
		return nil
	}
	lost := slices.DeleteFunc(slices.Clone(blobs), func(id plumbing.Hash) bool { return !m.OnDisk(id) })
	m.giveUp(failed)
	return m.Need(ctx, lost)
}

func (m *Mirror) save(blobs []plumbing.Hash) error {
	d := m.disk
	for _, id := range blobs {
		content, ok := m.store.content(plumbing.BlobObject, id)
		if ok && len(content) <= MaxBlobBytes && !d.has(id) {
			if err := d.add(plumbing.BlobObject, id, content); err != nil {
				return err
			}
		}
	}
	if d.head == m.head {
		return d.out.Flush()
	}
	if m.log.size > 0 {
		m.extendLog()
	}
	head, err := m.HeadCommit()
	if err != nil {
		return err
	}
	if err := m.saveTrees(head.TreeHash); err != nil {
		return err
	}
	text, _ := m.store.content(plumbing.CommitObject, m.head)
	if err := d.add(headRecord, m.head, text); err != nil {
		return err
	}
	if d.size > 2*d.useful+diskGarbage {
		if err := m.compact(head.TreeHash); err != nil {
			return err
		}
	}
	if d.size > maxDiskBytes {
		return fmt.Errorf("it takes more than %d MiB", maxDiskBytes>>20)
	}
	return d.out.Flush()
}

// saveTrees writes those trees that are not on disk, each after those below it.
func (m *Mirror) saveTrees(tree plumbing.Hash) error {
	if m.disk.has(tree) {
		return nil
	}
	content, err := m.rawTree(tree)
	if err != nil {
		return err
	}
	for e, err := range rawEntries(content) {
		if err != nil {
			return err
		}
		if _, isFolder := e.kind(); isFolder {
			if err := m.saveTrees(plumbing.Hash(e.id)); err != nil {
				return err
			}
		}
	}
	return m.disk.add(plumbing.TreeObject, tree, content)
}

func (m *Mirror) compact(tree plumbing.Hash) error {
	live := map[plumbing.Hash]bool{}
	if !alive(m.rawTree, tree, live) {
		return errors.New("a tree of the head is missing")
	}
	return m.disk.compact(live)
}

// saveText writes the text of a commit to disk.
func (m *Mirror) saveText(id plumbing.Hash, text []byte) {
	if m.disk == nil {
		return
	}
	if err := m.disk.add(plumbing.CommitObject, id, text); err != nil {
		m.giveUp(err)
	}
}

// readBlob takes a file's content from disk.
func (m *Mirror) readBlob(id plumbing.Hash) ([]byte, error) {
	content, err := m.readObject(plumbing.BlobObject, id)
	if err == nil {
		m.store.add(plumbing.BlobObject, content)
	}
	return content, err
}

// readObject takes an object from disk.
func (m *Mirror) readObject(kind plumbing.ObjectType, id plumbing.Hash) ([]byte, error) {
	if !m.OnDisk(id) || m.disk.spans[id].kind != kind {
		return nil, fmt.Errorf("cannot read %s %s: %w", kind, id, plumbing.ErrObjectNotFound)
	}
	content, err := m.disk.content(id)
	if err != nil {
		m.giveUp(err)
		return nil, fmt.Errorf("cannot read %s %s: %w", kind, id, err)
	}
	return content, nil
}
