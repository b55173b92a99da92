// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	slotA = SlotID{"a.yaml", "image"}
	slotB = SlotID{"b.yaml", "image"}

	v0 = Value("1.0.0")
	v1 = NewValue("1.1.0", digestA)
	v2 = NewValue("1.2.0", digestB)
	v3 = NewValue("1.3.0", digestC)
)

// wrote is an entry that moved slots from one value to another.
func wrote(revision int, old, now Value, slots ...SlotID) Entry {
	e := Entry{Commit: string(rune('a' + revision)), Order: revision, Revision: revision, Cause: CauseSchedule, Moves: map[SlotID]Move{}}
	for _, s := range slots {
		e.Moves[s] = Move{Old: old, New: now, Wrote: now}
	}
	return e
}

// inARow is a past in which each entry follows the one before.
func inARow(entries ...Entry) Past {
	var past Past
	for _, e := range entries {
		e.After, past.Tips = past.Tips, []string{e.Commit}
		past.Entries = append(past.Entries, e)
	}
	return past
}

func TestRead(t *testing.T) {
	resume := wrote(2, v0, v1, slotA)
	resume.Cause = CauseResume
	rollback := wrote(3, v2, v1, slotA)
	rollback.Rollback = true
	cases := map[string]struct {
		entries []Entry
		head    map[SlotID]Value
		vetoes  []Value
		undone  map[SlotID]bool
		back    bool
	}{
		"nothing written":        {nil, map[SlotID]Value{slotA: v0}, nil, nil, false},
		"standing":               {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: v1}, nil, nil, false},
		"reverted":               {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: v0}, []Value{v1}, map[SlotID]bool{slotA: true}, true},
		"two back":               {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA)}, map[SlotID]Value{slotA: v0}, []Value{v1, v2}, map[SlotID]bool{slotA: true}, true},
		"one of two back":        {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA)}, map[SlotID]Value{slotA: v1}, []Value{v2}, map[SlotID]bool{slotA: true}, true},
		"to something unknown":   {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA)}, map[SlotID]Value{slotA: Unknown}, []Value{v2}, map[SlotID]bool{slotA: true}, true},
		"one slot of two":        {[]Entry{wrote(1, v0, v1, slotA, slotB)}, map[SlotID]Value{slotA: v0, slotB: v1}, []Value{v1}, map[SlotID]bool{slotA: true}, true},
		"a new slot":             {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: v1, slotB: v0}, nil, nil, false},
		"a slot that is gone":    {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{}, nil, nil, false},
		"the digest cut off":     {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: "1.1.0"}, []Value{v1}, map[SlotID]bool{slotA: true}, true},
		"undone, then newer":     {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA)}, map[SlotID]Value{slotA: v2}, []Value{v1}, nil, false},
		"undone, put back later": {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA)}, map[SlotID]Value{slotA: v1}, []Value{v2}, map[SlotID]bool{slotA: true}, true},
		"undone, newer, undone":  {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA)}, map[SlotID]Value{slotA: v0}, []Value{v1, v2}, map[SlotID]bool{slotA: true}, true},
		"put back between":       {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA), wrote(3, v1, v3, slotA)}, map[SlotID]Value{slotA: v3}, []Value{v2}, nil, false},
		"resumed":                {[]Entry{wrote(1, v0, v1, slotA), resume}, map[SlotID]Value{slotA: v1}, nil, nil, false},
		"rolled back":            {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA), rollback}, map[SlotID]Value{slotA: v1}, []Value{v2}, nil, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			past := inARow(c.entries...)
			s := Read(past, c.head)
			if c.undone == nil {
				c.undone = map[SlotID]bool{}
			}
			if diff := cmp.Diff(c.vetoes, s.Vetoes); diff != "" {
				t.Errorf("vetoes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.undone, s.Undone); diff != "" {
				t.Errorf("undone (-want +got):\n%s", diff)
			}
			if s.Back != c.back {
				t.Errorf("moved back: %v, want %v", s.Back, c.back)
			}
			if past.Newest() != len(c.entries) {
				t.Errorf("the newest revision is %d, want %d", past.Newest(), len(c.entries))
			}
		})
	}
}

// TestReadInAnyOrder: the order in which commits are found changes nothing.
func TestReadInAnyOrder(t *testing.T) {
	values := []Value{v0, v1, v2, v3, Unknown}
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		pick := func() Value { return values[r.IntN(len(values))] }
		var entries []Entry
		for i := range 1 + r.IntN(6) {
			e := wrote(i+1, pick(), pick(), slotA)
			if r.IntN(2) == 0 {
				e.Moves[slotB] = Move{Old: pick(), New: pick(), Wrote: v3}
			}
			entries = append(entries, e)
		}
		head := map[SlotID]Value{slotA: pick(), slotB: pick()}
		past := inARow(entries...)
		want := Read(past, head)
		for range 5 {
			r.Shuffle(len(past.Entries), func(i, j int) { past.Entries[i], past.Entries[j] = past.Entries[j], past.Entries[i] })
			if diff := cmp.Diff(want, Read(past, head)); diff != "" {
				t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
			}
		}
	}
}

// mergedPast is two lines on one entry, each with an entry of its own, merged.
func mergedPast(a, b Value) Past {
	both := func(v Value) map[SlotID]Value { return map[SlotID]Value{slotA: v, slotB: v} }
	first, main, release := wrote(1, v0, v1, slotA, slotB), wrote(2, v1, v2, slotA, slotB), wrote(3, v1, v3, slotA, slotB)
	main.After, release.After = []string{first.Commit}, []string{first.Commit}
	merge := Merge{Commit: "merge", Order: 4, After: []string{main.Commit, release.Commit}, Held: map[SlotID]Value{slotA: a, slotB: b},
		Sides: []Side{{Commit: main.Commit, After: []string{main.Commit}, Held: both(v2)}, {Commit: release.Commit, After: []string{release.Commit}, Held: both(v3)}}}
	return Past{Entries: []Entry{first, main, release}, Merges: []Merge{merge}, Tips: []string{"merge"}}
}

// TestReadOfAMerge: a value that one slot puts back and another undoes is vetoed,
// whichever of the two is looked at first.
func TestReadOfAMerge(t *testing.T) {
	for range 100 {
		head := map[SlotID]Value{slotA: v2, slotB: v0}
		s := Read(mergedPast(v2, v0), head)
		if diff := cmp.Diff([]Value{v1, v2, v3}, s.Vetoes); diff != "" {
			t.Fatalf("vetoes (-want +got):\n%s", diff)
		}
	}
}

// TestReadOfTwoMerges: what the first merge left stands, and the second one,
// which left it as it was, undoes nothing.
func TestReadOfTwoMerges(t *testing.T) {
	past := mergedPast(v2, v0)
	resume, other := wrote(4, v2, v3, slotA), wrote(5, v2, v3, slotA)
	resume.Cause, resume.Order, other.Order = CauseResume, 6, 5
	resume.After, other.After = []string{"merge"}, []string{"merge"}
	held := map[SlotID]Value{slotA: v3, slotB: v0}
	past.Entries = append(past.Entries, resume, other)
	past.Merges = append(past.Merges, Merge{Commit: "second", Order: 7, After: []string{resume.Commit, other.Commit}, Held: held,
		Sides: []Side{{Commit: resume.Commit, After: []string{resume.Commit}, Held: held}, {Commit: other.Commit, After: []string{other.Commit}, Held: held}}})
	past.Tips = []string{"second"}
	if s := Read(past, held); len(s.Vetoes) != 0 || s.Back {
		t.Errorf("after the resume: vetoes %v, moved back: %v", s.Vetoes, s.Back)
	}
}
