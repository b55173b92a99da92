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
	e := Entry{Commit: string(rune('a' + revision)), Revision: revision, Cause: CauseSchedule, Moves: map[SlotID]Move{}}
	for _, s := range slots {
		e.Moves[s] = Move{Old: old, New: now, Wrote: now}
	}
	return e
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
	}{
		"nothing written":        {nil, map[SlotID]Value{slotA: v0}, nil, nil},
		"standing":               {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: v1}, nil, nil},
		"reverted":               {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: v0}, []Value{v1}, map[SlotID]bool{slotA: true}},
		"two back":               {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA)}, map[SlotID]Value{slotA: v0}, []Value{v1, v2}, map[SlotID]bool{slotA: true}},
		"one of two back":        {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA)}, map[SlotID]Value{slotA: v1}, []Value{v2}, map[SlotID]bool{slotA: true}},
		"to something unknown":   {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA)}, map[SlotID]Value{slotA: Unknown}, []Value{v2}, map[SlotID]bool{slotA: true}},
		"one slot of two":        {[]Entry{wrote(1, v0, v1, slotA, slotB)}, map[SlotID]Value{slotA: v0, slotB: v1}, []Value{v1}, map[SlotID]bool{slotA: true}},
		"a new slot":             {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: v1, slotB: v0}, nil, nil},
		"a slot that is gone":    {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{}, nil, nil},
		"the digest cut off":     {[]Entry{wrote(1, v0, v1, slotA)}, map[SlotID]Value{slotA: "1.1.0"}, []Value{v1}, map[SlotID]bool{slotA: true}},
		"undone, then newer":     {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA)}, map[SlotID]Value{slotA: v2}, []Value{v1}, nil},
		"undone, put back later": {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA)}, map[SlotID]Value{slotA: v1}, []Value{v2}, map[SlotID]bool{slotA: true}},
		"undone, newer, undone":  {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA)}, map[SlotID]Value{slotA: v0}, []Value{v1, v2}, map[SlotID]bool{slotA: true}},
		"put back between":       {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v0, v2, slotA), wrote(3, v1, v3, slotA)}, map[SlotID]Value{slotA: v3}, []Value{v2}, nil},
		"resumed":                {[]Entry{wrote(1, v0, v1, slotA), resume}, map[SlotID]Value{slotA: v1}, nil, nil},
		"rolled back":            {[]Entry{wrote(1, v0, v1, slotA), wrote(2, v1, v2, slotA), rollback}, map[SlotID]Value{slotA: v1}, []Value{v2}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := Read(c.entries, c.head)
			if c.undone == nil {
				c.undone = map[SlotID]bool{}
			}
			if diff := cmp.Diff(c.vetoes, s.Vetoes); diff != "" {
				t.Errorf("vetoes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.undone, s.Undone); diff != "" {
				t.Errorf("undone (-want +got):\n%s", diff)
			}
			if s.Newest != len(c.entries) {
				t.Errorf("the newest revision is %d, want %d", s.Newest, len(c.entries))
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
		want := Read(entries, head)
		for range 5 {
			r.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
			if diff := cmp.Diff(want, Read(entries, head)); diff != "" {
				t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
			}
		}
	}
}
