// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"slices"
	"time"
)

// SlotID names a slot across commits: its file and its place in it.
type SlotID struct{ File, Key string }

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
	Rollback bool
	Moves    map[SlotID]Move
}

// Standing is what the ledger and the branch's head together say of a policy.
type Standing struct {
	// Newest is the revision last given, zero where there is none.
	Newest int
	// Vetoes are the values that were undone, each once, oldest first.
	Vetoes []Value
	// Left is what the newest entry that moved a slot left there.
	Left map[SlotID]Value
	// Undone are the slots that no longer hold what Left says.
	Undone map[SlotID]bool
}

// Vetoed tells whether a value stands for an image that was undone.
func (s *Standing) Vetoed(v Value) bool {
	return slices.ContainsFunc(s.Vetoes, v.SameImage)
}

// Read works out the standing of one policy from its proven entries, in any
// order, and what its slots hold at the head.
//
// Between two entries, and between the last one and the head, a slot that holds
// another value than the entry left there was moved by somebody else: what the
// entry wrote is vetoed, and so is all that was written after the value that the
// slot went back to. A vetoed value that somebody put back is vetoed no more.
func Read(entries []Entry, head map[SlotID]Value) Standing {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.When.Compare(b.When), cmp.Compare(a.Commit, b.Commit))
	})
	s := Standing{Left: map[SlotID]Value{}, Undone: map[SlotID]bool{}}
	past := map[SlotID][]Move{}
	for _, e := range entries {
		s.Newest = max(s.Newest, e.Revision)
		olds := map[SlotID]Value{}
		for id, move := range e.Moves {
			olds[id] = move.Old
		}
		s.observe(past, olds)
		if e.Cause == CauseResume {
			s.Vetoes = nil
		}
		for id, move := range e.Moves {
			if e.Rollback {
				s.veto(after(append(past[id], Move{Old: move.Old, New: move.Old, Wrote: move.Old}), move.New))
			}
			past[id] = append(past[id], move)
			s.Left[id] = move.New
		}
	}
	s.observe(past, head)
	for id, current := range head {
		if left, ok := s.Left[id]; ok && left != current {
			s.Undone[id] = true
		}
	}
	slices.Sort(s.Vetoes)
	return s
}

// observe takes note of what slots are found to hold, given what Pintle did to
// them. Where one slot lifts a veto and another casts it, it is cast.
func (s *Standing) observe(past map[SlotID][]Move, found map[SlotID]Value) {
	var undone []Move
	for id, value := range found {
		moves := past[id]
		if len(moves) == 0 || moves[len(moves)-1].New == value {
			continue
		}
		s.Vetoes = slices.DeleteFunc(s.Vetoes, value.SameImage)
		undone = append(undone, after(moves, value)...)
	}
	s.veto(undone)
}

// after returns the moves that were made since the slot last held the value, or
// the last one alone where it never did.
func after(past []Move, found Value) []Move {
	for i, move := range slices.Backward(past) {
		if move.Old == found || move.Old.SameImage(found) {
			return past[i:]
		}
	}
	return past[len(past)-1:]
}

func (s *Standing) veto(moves []Move) {
	for _, m := range moves {
		if m.Wrote != Unknown && !slices.Contains(s.Vetoes, m.Wrote) {
			s.Vetoes = append(s.Vetoes, m.Wrote)
		}
	}
}
