// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// memory is what was read of the past of files. It is kept until the head moves,
// and then as far as it is asked for again.
type memory struct {
	blobs  map[string]spans // by file
	fields map[version][]manifest.Field
}

type version struct {
	file string
	blob plumbing.Hash
}

func newMemory() memory {
	return memory{map[string]spans{}, map[version][]manifest.Field{}}
}

// lookback goes through the past of files.
type lookback struct {
	*Repository

	history []*mirror.Commit
	// before is what was read at an earlier head, now what is at this one.
	before, now memory
	// heads are the fields at the head, by file and key: a field is the same
	// whichever policy it was bound to.
	heads map[string]map[string]manifest.Field
	bound map[version][]Slot
	// failed is why something could not be read, so that what was found is not to count.
	failed error
}

// lookBack begins to go through the past, or goes on at the same head.
func (r *Repository) lookBack(ctx context.Context) (*lookback, error) {
	history, err := r.mirror.History(ctx)
	if err != nil {
		return nil, err
	}
	r.lineage = r.lineage.extend(history)
	before := newMemory()
	if r.back != nil {
		goesOn := begins(history, r.back.history)
		if goesOn && len(history) == len(r.back.history) {
			r.back.failed = nil
			return r.back, nil
		}
		before.fields = r.back.now.fields
		if goesOn {
			before.blobs = r.back.now.blobs // Places are what they were.
		}
	}
	r.back = &lookback{Repository: r, history: history, before: before, now: newMemory(),
		heads: map[string]map[string]manifest.Field{}, bound: map[version][]Slot{}}
	return r.back, nil
}

// region is the commits at or before one of them that are not at or before
// others, children before parents.
type region struct {
	commits []*mirror.Commit
	// marks tell what each commit is, by its place in the history.
	marks []mark
	// old are the commits of the base.
	old map[*mirror.Commit]bool
}

// mark is what a commit is to a region.
type mark uint8

const (
	unmarked mark = iota
	inside
	// young leads to what is inside, old to what is not.
	young
	old
)

func (r region) has(c *mirror.Commit) bool {
	return c.Index < len(r.marks) && r.marks[c.Index] == inside
}

// isAfterBase tells of the commits of the region which ones came after one of the base;
// all where there is none.
func (r region) isAfterBase() func(*mirror.Commit) bool {
	if len(r.old) == 0 {
		return r.has
	}
	after := map[*mirror.Commit]bool{}
	for _, c := range slices.Backward(r.commits) {
		if slices.ContainsFunc(c.Parents, func(p *mirror.Commit) bool { return r.old[p] || after[p] }) {
			after[c] = true
		}
	}
	return func(c *mirror.Commit) bool { return after[c] }
}

// region goes from a commit back to the base, which are ids of commits; to the
// roots where there is none.
func (b *lookback) region(from *mirror.Commit, base []string) region {
	found := region{old: map[*mirror.Commit]bool{}}
	newest := from.Index
	for _, id := range base {
		if c := b.commit(id); c != nil {
			found.old[c] = true
			newest = max(newest, c.Index)
		}
	}
	found.marks = make([]mark, newest+1)
	found.marks[from.Index] = young
	for c := range found.old {
		found.marks[c.Index] = old
	}
	open := 1 // young ones that are not come to yet
	if found.old[from] {
		open = 0
	}
	for i := newest; i >= 0 && open > 0; i-- {
		c, is := b.history[i], found.marks[i]
		if is == young {
			open--
			found.commits = append(found.commits, c)
			found.marks[i] = inside
		}
		for _, p := range c.Parents {
			was := &found.marks[p.Index]
			switch {
			case is == young && *was == unmarked:
				*was = young
				open++
			case is == old && *was == young:
				open--
				fallthrough
			case is == old:
				*was = old
			}
		}
	}
	return found
}

func (b *lookback) commit(id string) *mirror.Commit {
	return b.mirror.Commit(plumbing.NewHash(id))
}

const (
	firstBatch = 64
	maxBatch   = 4000
)

// walk shows what files held in the commits of a region, children before
// parents, and goes on from a commit to those before it where on says so. Of a row of
// commits that left a file as it was, it may show the first alone. It reads as many
// commits as first says, then more at a time, and gives up, and returns false, where
// there are more than maxLookBack.
func (b *lookback) walk(ctx context.Context, region region, files []string, first int, on func(c *mirror.Commit, file string) bool) (bool, error) {
	return b.walkFrom(ctx, walk{lookback: b, region: region, on: on, skips: true}, files, first)
}

// walkEach is walk that shows all commits.
func (b *lookback) walkEach(ctx context.Context, region region, files []string, first int, on func(c *mirror.Commit, file string) bool) (bool, error) {
	return b.walkFrom(ctx, walk{lookback: b, region: region, on: on}, files, first)
}

func (b *lookback) walkFrom(ctx context.Context, w walk, files []string, first int) (bool, error) {
	w.next, w.waiting = map[*mirror.Commit]map[string]bool{}, map[string]int{}
	commits := w.region.commits
	for _, f := range files {
		if len(commits) > 0 {
			w.reach(commits[0], f)
		}
	}
	for size := first; len(commits) > 0; size = min(2*size, maxBatch) {
		files = slices.DeleteFunc(slices.Clone(files), func(f string) bool { return w.waiting[f] == 0 })
		if len(files) == 0 {
			return true, nil
		}
		left := b.maxLookBack - (len(w.region.commits) - len(commits))
		if left <= 0 {
			return false, nil
		}
		batch := commits[:min(size, left, len(commits))]
		if err := b.read(ctx, batch, files); err != nil {
			return false, err
		}
		w.show(batch)
		if b.failed != nil {
			return false, b.failed
		}
		commits = commits[len(batch):]
	}
	return true, nil
}

// walk is on its way from the children in a region to their parents.
type walk struct {
	*lookback

	region region
	on     func(c *mirror.Commit, file string) bool
	skips  bool
	// next are the files to come to at commits, waiting counts the commits by file.
	next    map[*mirror.Commit]map[string]bool
	waiting map[string]int
}

func (w *walk) reach(c *mirror.Commit, file string) {
	if !w.region.has(c) || w.next[c][file] {
		return
	}
	if w.next[c] == nil {
		w.next[c] = map[string]bool{}
	}
	w.next[c][file] = true
	w.waiting[file]++
}

// show shows what it came to in commits that were read.
func (w *walk) show(batch []*mirror.Commit) {
	ends := endsOfRows(batch)
	for i, c := range batch {
		files := slices.Sorted(maps.Keys(w.next[c]))
		delete(w.next, c)
		for _, file := range files {
			w.waiting[file]--
			if !w.on(c, file) {
				continue
			}
			last := c
			if w.skips {
				last = batch[i+w.alike(c, batch[ends[i]], file)]
			}
			for _, parent := range last.Parents {
				w.reach(parent, file)
			}
		}
	}
}

// alike is how many commits of a row that ends with last hold of a file what c holds,
// after c.
func (w *walk) alike(c, last *mirror.Commit, file string) int {
	return c.Index - max(last.Index, w.now.blobs[file].since(c.Index))
}

// endsOfRows tells for each commit where the row ends in which each one has the next one
// as its only parent, and stands right behind it in the history.
func endsOfRows(commits []*mirror.Commit) []int {
	ends := make([]int, len(commits))
	for i, c := range slices.Backward(commits) {
		ends[i] = i
		if i+1 < len(commits) && len(c.Parents) == 1 && c.Parents[0] == commits[i+1] && commits[i+1].Index == c.Index-1 {
			ends[i] = ends[i+1]
		}
	}
	return ends
}

// read finds the blobs of files in commits, and fetches those whose fields are not known:
// what came at an earlier head may be gone by now.
func (b *lookback) read(ctx context.Context, commits []*mirror.Commit, files []string) error {
	var missing []*mirror.Commit
	for _, f := range files {
		if _, taken := b.now.blobs[f]; !taken {
			b.now.blobs[f] = b.before.blobs[f]
		}
	}
	for _, c := range commits {
		if slices.ContainsFunc(files, func(f string) bool { _, known := b.now.blobs[f].at(c.Index); return !known }) {
			missing = append(missing, c)
		}
	}
	found, err := b.mirror.Past(ctx, missing, files)
	if err != nil {
		return err
	}
	for f, held := range found {
		for _, row := range rowsOf(missing, held) {
			b.now.blobs[f] = b.now.blobs[f].add(row)
		}
	}
	return b.mirror.Need(ctx, b.unread(commits, files))
}

// unread are the blobs of files in commits whose fields are not known.
func (b *lookback) unread(commits []*mirror.Commit, files []string) []plumbing.Hash {
	var blobs []plumbing.Hash
	for _, f := range files {
		var last plumbing.Hash // Most commits leave a file as the one before did.
		for _, c := range commits {
			blob, _ := b.now.blobs[f].at(c.Index)
			if blob == last {
				continue
			}
			last = blob
			if v := (version{f, blob}); !b.knows(v) {
				blobs = append(blobs, blob)
			}
		}
	}
	return blobs
}

func (b *lookback) knows(v version) bool {
	_, now := b.now.fields[v]
	_, before := b.before.fields[v]
	return now || before
}

// value is what a slot held in a commit that was read; false where the commit
// did not have it.
func (b *lookback) value(c *mirror.Commit, s Slot) (ledger.Value, bool) {
	held, there := b.slot(c, s)
	return held.Value, there
}

func (b *lookback) slot(c *mirror.Commit, s Slot) (Slot, bool) {
	for _, held := range b.slots(c, s.ID.File) {
		if held.Policy == s.Policy && held.ID == s.ID {
			return held, true
		}
	}
	return Slot{}, false
}

// slots are those of a file in a commit that was read.
func (b *lookback) slots(c *mirror.Commit, file string) []Slot {
	blob, _ := b.now.blobs[file].at(c.Index)
	v := version{file, blob}
	if slots, ok := b.bound[v]; ok {
		return slots
	}
	fields, ok := b.before.fields[v]
	if !ok && !blob.IsZero() && !b.mirror.Has(blob) {
		return nil // It was not read, and is not to count as known.
	}
	if !ok {
		var err error
		if fields, err = b.fieldsOf(v.file, v.blob, b.Repository.bound.Targets); err != nil {
			b.failed = cmp.Or(b.failed, err)
			return nil
		}
	}
	b.now.fields[v] = fields
	b.bound[v] = Slots(b.asNow(file, fields), b.Repository.bound.Images)
	return b.bound[v]
}

// asNow binds past fields as they are bound at the head, so that a policy that
// was renamed finds what it was before.
func (b *lookback) asNow(file string, fields []manifest.Field) []manifest.Field {
	if b.heads[file] == nil {
		b.heads[file] = map[string]manifest.Field{}
		if f := b.files[file]; f != nil {
			for _, field := range f.fields {
				b.heads[file][field.Key] = field
			}
		}
	}
	bound := slices.Clone(fields)
	for i, f := range bound {
		if _, known := b.Repository.bound.Images[f.Policy]; known {
			continue
		}
		if now, ok := b.heads[file][f.Key]; ok {
			bound[i].Policy, bound[i].Slot = now.Policy, now.Slot
		}
	}
	return bound
}

// HeldSince tells whether a file held something in the parents of a commit and
// in all that came after it. Where there was no such file, or more commits than
// are read, it may have.
func (r *Repository) HeldSince(ctx context.Context, commit, file string, holds func(content []byte) bool) (bool, error) {
	b, err := r.lookBack(ctx)
	if err != nil {
		return false, err
	}
	c := b.commit(commit)
	if c == nil {
		return true, nil
	}
	after := map[*mirror.Commit]bool{c: true}
	commits := slices.Clone(c.Parents)
	for _, young := range b.history[c.Index:] {
		if young == c || slices.ContainsFunc(young.Parents, func(p *mirror.Commit) bool { return after[p] }) {
			after[young] = true
			commits = append(commits, young)
		}
	}
	if len(commits) > r.maxLookBack {
		return true, nil
	}
	for batch := range slices.Chunk(commits, maxBatch) {
		if err := b.read(ctx, batch, []string{file}); err != nil {
			return false, err
		}
	}
	blobs := b.blobsOf(commits, file)
	if err := r.mirror.Need(ctx, blobs); err != nil {
		return false, err
	}
	for _, blob := range blobs {
		content, err := r.mirror.Blob(blob)
		switch {
		case errors.Is(err, mirror.ErrTooLarge):
		case err != nil:
			return false, fmt.Errorf("cannot read what %s held: %w", file, err)
		case !holds(content):
			return false, nil
		}
	}
	return true, nil
}

// blobsOf are the blobs of a file in commits that were read, each once.
func (b *lookback) blobsOf(commits []*mirror.Commit, file string) []plumbing.Hash {
	known := map[plumbing.Hash]bool{plumbing.ZeroHash: true}
	var blobs []plumbing.Hash
	for _, c := range commits {
		if blob, _ := b.now.blobs[file].at(c.Index); !known[blob] {
			known[blob] = true
			blobs = append(blobs, blob)
		}
	}
	return blobs
}
