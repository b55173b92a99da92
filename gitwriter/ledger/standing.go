// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"slices"
	"time"
)

// SlotID names a slot across commits: its file and its place in it.
type SlotID struct{ File, Key string }

// Compare orders slots by file and place.
func (id SlotID) Compare(o SlotID) int {
	return cmp.Or(cmp.Compare(id.File, o.File), cmp.Compare(id.Key, o.Key))
}

// Move is what an entry did to one slot.
type Move struct {
	// Old and New are what the slot held before and after, read from the
	// commit's trees and not from its text.
	Old, New Value
	// Wrote is the whole selection, of which New may hold only a part.
	Wrote Value
}

// Entry is a commit of Pintle's, proven by its diff, as one policy sees it.
type Entry struct {
	Commit   string
	Author   string
	When     time.Time
	Revision int
	Cause    string
	Source   string // of the build that made it, or empty
	Rollback bool
	Moves    map[SlotID]Move
	// Order is the commit's place in the history: ancestors have lower ones.
	Order int
	// After is the commit of the entry or merge that this one directly follows.
	After []string
}

// Wrote is what the entry wrote, the same in all of its slots.
func (e Entry) Wrote() Value {
	for _, m := range e.Moves {
		return m.Wrote
	}
	return Unknown
}

// Sight is what a slot held last before it went away.
type Sight struct {
	Slot  SlotID
	Value Value
	// Commit is the one that made it so, at its place Order in the history.
	Commit string
	Order  int
	// After are the entries that the commit directly follows.
	After []string
}

// Merge is where lines with entries of their own were merged.
type Merge struct {
	Commit string
	Order  int
	// After are the entries that it directly follows, Sides its parents, Held what
	// slots held then.
	After []string
	Sides []Side
	Held  map[SlotID]Value
}

// Side is a parent of a merge.
type Side struct {
	Commit string
	After  []string
	Held   map[SlotID]Value
}

// Past is all that Git says of a policy up to the branch's head.
type Past struct {
	// Entries are proven, in any order.
	Entries []Entry
	// Merges are those of lines with entries. An entry or a head that comes after
	// one directly follows the merge.
	Merges []Merge
	// Tips are the entries that the head directly follows.
	Tips []string
	// Gone are the slots that entries moved and the head does not have.
	Gone []Sight
}

// Known completes a digest with the tag that it was last written under.
func (p Past) Known(v Value) Value {
	if v.Tag() != "" || v.Digest() == "" {
		return v
	}
	newest := Entry{Moves: map[SlotID]Move{{}: {Wrote: v}}}
	for _, e := range p.Entries {
		if e.Wrote().Digest() == v.Digest() && e.Wrote().Tag() != "" && e.Revision > newest.Revision {
			newest = e
		}
	}
	return newest.Wrote()
}

// Bases are the entries that the head directly follows, without merges.
func (p Past) Bases() []string {
	merges := map[string][]string{}
	for _, m := range p.Merges {
		merges[m.Commit] = m.After
	}
	var bases []string
	seen := map[string]bool{}
	for todo := slices.Clone(p.Tips); len(todo) > 0; {
		commit := todo[0]
		todo = todo[1:]
		if seen[commit] {
			continue
		}
		seen[commit] = true
		if after, merged := merges[commit]; merged {
			todo = append(todo, after...)
		} else {
			bases = append(bases, commit)
		}
	}
	return bases
}

// Lost maps the slots that entries moved and the head does not have to the
// commits of the newest entries that did.
func (p Past) Lost(head map[SlotID]Value) map[SlotID][]string {
	lost := map[SlotID][]string{}
	r := newReader(p)
	for _, m := range p.Merges {
		r.entries[m.Commit] = &Entry{Commit: m.Commit, Order: m.Order, After: m.After}
	}
	for _, e := range p.Entries {
		for id := range e.Moves {
			if _, there := head[id]; there || lost[id] != nil {
				continue
			}
			for _, last := range r.last(p.Tips, id) {
				lost[id] = append(lost[id], last.Commit)
			}
		}
	}
	return lost
}

// Newest is the highest revision, zero where there is none.
func (p Past) Newest() int {
	newest := 0
	for _, e := range p.Entries {
		newest = max(newest, e.Revision)
	}
	return newest
}

// Standing is what the ledger and the branch's head together say of a policy.
type Standing struct {
	// Vetoes are the values that were undone, each once, sorted.
	Vetoes []Value
	// Left is what the newest entry that moved a slot did to it.
	Left map[SlotID]Move
	// Undone are the slots that no longer hold what Left says.
	Undone map[SlotID]bool
	// RolledBack maps the slots that hold what a rollback left there to its
	// commit.
	RolledBack map[SlotID]string
	// Back is true where somebody moved a slot back, by hand or by a rollback,
	// and no update has been written since.
	Back bool
	// Moved are what slots held that somebody moved back and that are gone since.
	Moved []Sight
	// From maps slots that no entry moved to the one of Moved whose value they
	// hold: to where it went, with its file or under another name.
	From map[SlotID]Sight
}

// Vetoed tells whether a value stands for an image that was undone.
func (s *Standing) Vetoed(v Value) bool {
	return slices.ContainsFunc(s.Vetoes, v.SameImage)
}

// Read works out the standing of one policy from its past and what its slots
// hold at the head.
//
// Between an entry and those that follow it, and between the last ones and the
// head, a slot that holds another value than the entry left there was moved by
// somebody else: what the entry wrote is vetoed, and so is all that was written
// after the value that the slot went back to. A vetoed value that somebody put
// back is vetoed no more. Where two lines with entries were merged, what was
// undone on either counts, and what the merge left is what stands from then on.
func Read(past Past, head map[SlotID]Value) Standing {
	r := newReader(past)
	s := Standing{Left: map[SlotID]Move{}, Undone: map[SlotID]bool{}, RolledBack: map[SlotID]string{}, From: map[SlotID]Sight{}}
	for _, step := range inOrder(past) {
		if step.sight != nil {
			undone := s.observe(r, step.sight.After, map[SlotID]Value{step.sight.Slot: step.sight.Value})
			if undone {
				s.Back, s.Moved = true, append(s.Moved, *step.sight)
			}
			continue
		}
		if step.merge != nil {
			s.join(r, step.merge)
			continue
		}
		e := step.entry
		olds := map[SlotID]Value{}
		for id, move := range e.Moves {
			olds[id] = move.Old
		}
		s.observe(r, e.After, olds)
		if e.Cause == CauseResume {
			s.Vetoes = nil
		}
		if s.Back, s.Moved = e.Rollback, nil; e.Rollback {
			s.rollBack(r, e)
		}
	}
	s.observe(r, past.Tips, head)
	for id, value := range head {
		s.place(r, past.Tips, id, value)
	}
	slices.Sort(s.Vetoes)
	return s
}

// join takes note of what the sides of a merge held, and of what the merge made
// of it: a value of one side that the other did not have is put back. As in
// observe, what one slot lifts and another casts is cast.
func (s *Standing) join(r *reader, m *Merge) {
	for _, side := range m.Sides {
		if s.observe(r, side.After, side.Held) {
			s.Back = true
		}
	}
	left := &Entry{Commit: m.Commit, Order: m.Order, After: m.After, Moves: map[SlotID]Move{}}
	var undone []Move
	for id, value := range m.Held {
		last := r.last(m.After, id)
		if len(last) == 0 {
			continue
		}
		if slices.ContainsFunc(m.Sides, func(side Side) bool { return side.Held[id] != value }) {
			s.lift(value)
		}
		move := Move{Old: value, New: value, Wrote: Unknown}
		if at := slices.IndexFunc(last, func(e *Entry) bool { return e.Moves[id].New == value }); at >= 0 {
			move.Wrote = last[at].Moves[id].Wrote
		} else {
			s.Back = true
			undone = append(undone, r.since(last, id, value)...)
		}
		left.Moves[id] = move
	}
	s.veto(undone)
	r.entries[m.Commit] = left
}

// place finds out how a slot at the head came to hold what it holds.
func (s *Standing) place(r *reader, tips []string, id SlotID, value Value) {
	last := r.last(tips, id)
	if len(last) == 0 {
		for _, from := range s.Moved {
			if from.Value == value {
				s.From[id], s.Undone[id] = from, true
				s.Left[id] = r.last(from.After, from.Slot)[0].Moves[from.Slot]
			}
		}
		return
	}
	left := last[0]
	for _, e := range last {
		if e.Moves[id].New == value {
			left = e
			break
		}
	}
	s.Left[id] = left.Moves[id]
	switch {
	case left.Moves[id].New != value:
		s.Undone[id], s.Back = true, true
	case left.Rollback:
		s.RolledBack[id] = left.Commit
	}
}

// observe takes note of what slots are found to hold, given the entries that
// came before, and tells whether somebody undid one. Where one slot lifts a veto
// and another casts it, it is cast.
func (s *Standing) observe(r *reader, after []string, found map[SlotID]Value) bool {
	var undone []Move
	for id, value := range found {
		last := r.last(after, id)
		if len(last) == 0 {
			continue
		}
		left := func(e *Entry) bool { return e.Moves[id].New == value }
		stands := slices.ContainsFunc(last, left)
		if stands && !slices.ContainsFunc(last, func(e *Entry) bool { return !left(e) }) {
			continue
		}
		s.lift(value) // Somebody put it there, or a merge did.
		if !stands {
			undone = append(undone, r.since(last, id, value)...)
		}
	}
	s.veto(undone)
	return len(undone) > 0
}

// rollBack vetoes what a rollback replaces, and lifts the veto of what it wrote.
func (s *Standing) rollBack(r *reader, e *Entry) {
	for id, move := range e.Moves {
		if !move.Old.SameImage(move.New) {
			s.veto([]Move{{Wrote: move.Old}})
		}
		last := r.last(e.After, id)
		if !slices.ContainsFunc(last, func(e *Entry) bool { return e.Moves[id].New == move.New }) {
			s.veto(r.since(last, id, move.New))
		}
	}
	s.lift(e.Wrote())
}

func (s *Standing) lift(v Value) {
	s.Vetoes = slices.DeleteFunc(s.Vetoes, v.SameImage)
}

func (s *Standing) veto(moves []Move) {
	for _, m := range moves {
		if m.Wrote != Unknown && !slices.Contains(s.Vetoes, m.Wrote) {
			s.Vetoes = append(s.Vetoes, m.Wrote)
		}
	}
}

// reader finds its way among entries.
type reader struct{ entries map[string]*Entry }

func newReader(past Past) *reader {
	r := &reader{make(map[string]*Entry, len(past.Entries))}
	for i := range past.Entries {
		r.entries[past.Entries[i].Commit] = &past.Entries[i]
	}
	return r
}

// step is an entry, a sight or a merge.
type step struct {
	order int
	entry *Entry
	sight *Sight
	merge *Merge
}

// inOrder lists entries, sights and merges as they came.
func inOrder(past Past) []step {
	steps := make([]step, 0, len(past.Entries)+len(past.Gone)+len(past.Merges))
	for i := range past.Entries {
		steps = append(steps, step{order: past.Entries[i].Order, entry: &past.Entries[i]})
	}
	for i := range past.Gone {
		steps = append(steps, step{order: past.Gone[i].Order, sight: &past.Gone[i]})
	}
	for i := range past.Merges {
		steps = append(steps, step{order: past.Merges[i].Order, merge: &past.Merges[i]})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.order, b.order) })
	return steps
}

// last finds the newest entries, among these and those before them, that moved
// the slot; more than one only where branches were merged. The latest is first.
func (r *reader) last(from []string, id SlotID) []*Entry {
	var found []*Entry
	seen := map[string]bool{}
	todo := slices.Clone(from)
	for len(todo) > 0 {
		e := r.entries[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		if e == nil || seen[e.Commit] {
			continue
		}
		seen[e.Commit] = true
		if _, moved := e.Moves[id]; moved {
			found = append(found, e)
			continue
		}
		todo = append(todo, e.After...)
	}
	if len(found) < 2 {
		return found
	}
	found = slices.DeleteFunc(slices.Clone(found), func(e *Entry) bool {
		return slices.ContainsFunc(found, func(o *Entry) bool { return o != e && r.follows(o, e) })
	})
	slices.SortFunc(found, func(a, b *Entry) int {
		return cmp.Compare(b.Order, a.Order)
	})
	return found
}

// follows tells whether a came after b on the same branch.
func (r *reader) follows(a, b *Entry) bool {
	seen := map[string]bool{}
	todo := slices.Clone(a.After)
	for len(todo) > 0 {
		commit := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if commit == b.Commit {
			return true
		}
		if e := r.entries[commit]; e != nil && !seen[commit] {
			seen[commit] = true
			todo = append(todo, e.After...)
		}
	}
	return false
}

// since returns the moves that were made since the slot last held the value, or
// the last ones alone where it never did.
func (r *reader) since(last []*Entry, id SlotID, value Value) []Move {
	var moves, newest []Move
	held := false
	seen := map[string]bool{}
	todo := slices.Clone(last)
	for len(todo) > 0 {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[e.Commit] {
			continue
		}
		seen[e.Commit] = true
		move := e.Moves[id]
		moves = append(moves, move)
		if slices.Contains(last, e) {
			newest = append(newest, move)
		}
		if move.Old == value || move.Old.SameImage(value) {
			held = true
			continue
		}
		todo = append(todo, r.last(e.After, id)...)
	}
	if !held {
		return newest
	}
	return moves
}
