// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// maxLookBack bounds how many commits are gone back through to find what a field
// held.
const maxLookBack = 200_000

// Records works out the standing of policies, reading what their slots held since
// the newest entries, and no more of the past than is needed.
func (r *Repository) Records(ctx context.Context, questions []Question) (map[string]Record, error) {
	if len(questions) == 0 {
		return map[string]Record{}, nil
	}
	back, err := r.lookBack(ctx)
	if err != nil {
		return nil, err
	}
	records := make(map[string]*Record, len(questions))
	groups := map[string][]Question{}
	for _, q := range questions {
		if q.Past.Gone, err = back.gone(ctx, q); err != nil {
			return nil, err
		}
		records[q.Policy] = newRecord(q)
		base := strings.Join(q.Past.Bases(), " ")
		groups[base] = append(groups[base], q)
	}
	for _, base := range slices.Sorted(maps.Keys(groups)) {
		if err := back.judge(ctx, strings.Fields(base), groups[base], records); err != nil {
			return nil, err
		}
	}
	found := make(map[string]Record, len(records))
	for policy, rec := range records {
		found[policy] = *rec
	}
	return found, back.failed
}

func newRecord(q Question) *Record {
	head := valuesOf(q.Slots)[q.Policy]
	rec := &Record{Past: q.Past, Standing: ledger.Read(q.Past, head), Stood: map[ledger.SlotID]bool{}, Doer: map[ledger.SlotID]Author{}}
	for _, e := range q.Past.Entries {
		for id, commit := range rec.RolledBack {
			if e.Commit == commit {
				rec.Doer[id] = Author{e.Commit, e.Author, e.When}
			}
		}
	}
	return rec
}

// valuesOf sorts what slots hold by policy.
func valuesOf(slots []Slot) map[string]map[ledger.SlotID]ledger.Value {
	values := map[string]map[ledger.SlotID]ledger.Value{}
	for _, s := range slots {
		if values[s.Policy] == nil {
			values[s.Policy] = map[ledger.SlotID]ledger.Value{}
		}
		values[s.Policy][s.ID] = s.Value
	}
	return values
}

// interest is what a question wants to know of one slot.
type interest struct {
	slot Slot
	rec  *Record
	// values are looked for in the past of the slot while it is open: the selection, and
	// what ranks above it.
	values []ledger.Value
	open   bool
}

// judge finds out in which slots the selection stood since the base, the newest
// entries of the questions' policies, and who left the slots as they are.
func (b *lookback) judge(ctx context.Context, base []string, questions []Question, records map[string]*Record) error {
	wanted := interests(questions, records)
	region := b.region(b.history[len(b.history)-1], base)
	first := firstBatch
	if len(base) > 0 && anyOpen(wanted) {
		first = maxBatch // The walk goes as far as the base, and each batch costs requests.
	}
	complete, err := b.walk(ctx, region, slices.Sorted(maps.Keys(wanted)), first, func(c *mirror.Commit, file string) bool {
		on := false
		for _, i := range wanted[file] {
			// Without an entry to stop at, the past of a field ends where it was
			// not bound.
			on = b.meet(i, c) || i.open && len(base) > 0 || on
		}
		return on
	})
	for _, file := range wanted {
		for _, i := range file {
			if i.open && !complete {
				i.rec.Unread = fmt.Sprintf("its fields' past is longer than the %d commits that are read", b.maxLookBack)
			}
			b.blame(i, region)
		}
	}
	return err
}

// interests sorts what the questions want to know by file.
func interests(questions []Question, records map[string]*Record) map[string][]*interest {
	wanted := map[string][]*interest{}
	for _, q := range questions {
		rec := records[q.Policy]
		values := append([]ledger.Value{q.Selection}, q.Above...)
		vetoed := slices.ContainsFunc(values, rec.Vetoed)
		for _, s := range q.Slots {
			_, written := rec.Left[s.ID]
			known := vetoed && written && !q.Pinned // The ledger tells enough.
			open := q.Selection != "" && !s.Value.SameImage(q.Selection) && !known
			if open || rec.Undone[s.ID] {
				wanted[s.ID.File] = append(wanted[s.ID.File], &interest{s, rec, values, open})
			}
		}
	}
	return wanted
}

// anyOpen tells whether a selection is looked for in the past of a slot.
func anyOpen(wanted map[string][]*interest) bool {
	for _, file := range wanted {
		if slices.ContainsFunc(file, func(i *interest) bool { return i.open }) {
			return true
		}
	}
	return false
}

// blame finds out who left a slot as it is, where that was no entry.
func (b *lookback) blame(i *interest, region region) {
	id := i.slot.ID
	from, moved := i.rec.From[id]
	switch {
	case moved:
		i.rec.Doer[id] = authorOf(b.commit(from.Commit))
	case len(region.commits) > 0 && (i.rec.Stood[id] || i.rec.Undone[id]):
		i.rec.Doer[id] = authorOf(b.doer(region, region.commits[0], i.slot))
	}
}

// meet looks at a slot in one commit, and tells whether those before it matter.
func (b *lookback) meet(i *interest, c *mirror.Commit) bool {
	held, there := b.slot(c, i.slot)
	for _, v := range i.values {
		// The image may have been served by another registry then.
		moved := held.Foreign && held.digest != "" && held.digest == v.Digest() && i.slot.digest != held.digest
		if i.open && there && (moved || evidence(held.Value, i.slot.Value, v)) {
			i.rec.Stood[i.slot.ID], i.open = true, false
			i.rec.StoodThere = append(i.rec.StoodThere, v)
		}
	}
	return there && (i.open || held.Value == i.slot.Value)
}

// evidence tells whether a past value shows that the selection stood in a slot
// that holds another value now. A tag that stands now and stood then without
// its digest shows nothing.
func evidence(past, now, selection ledger.Value) bool {
	bare := past.Digest() == "" && past.Tag() == now.Tag()
	return past.SameImage(selection) && !now.SameImage(selection) && !bare
}

// doer is the commit that made the slot what it is in another one.
func (b *lookback) doer(region region, at *mirror.Commit, s Slot) *mirror.Commit {
	isAfter := region.isAfterBase()
	for {
		before := slices.IndexFunc(at.Parents, func(p *mirror.Commit) bool {
			value, there := b.value(p, s)
			return isAfter(p) && there && value == s.Value
		})
		if before < 0 {
			return at
		}
		at = at.Parents[before]
	}
}

// gone finds out what the slots that are not at the head any more held last.
func (b *lookback) gone(ctx context.Context, q Question) ([]ledger.Sight, error) {
	var sights []ledger.Sight
	entries := map[string]bool{}
	for _, e := range q.Past.Entries {
		entries[e.Commit] = true
	}
	for _, m := range q.Past.Merges {
		entries[m.Commit] = true
	}
	lost := q.Past.Lost(valuesOf(q.Slots)[q.Policy])
	for _, id := range slices.SortedFunc(maps.Keys(lost), ledger.SlotID.Compare) {
		slot := Slot{Policy: q.Policy, ID: id}
		from, err := b.without(ctx, q.Past, lost[id], slot)
		if err != nil {
			return nil, err
		}
		var last *mirror.Commit
		region := b.region(from, lost[id])
		_, err = b.walk(ctx, region, []string{id.File}, firstBatch, func(c *mirror.Commit, _ string) bool {
			value, there := b.value(c, slot)
			if there && last == nil {
				last, slot.Value = c, value
			}
			return last == nil || there && value == slot.Value
		})
		if err != nil {
			return nil, err
		}
		if last != nil {
			sights = append(sights, b.sight(b.doer(region, last, slot), slot, entries))
		}
	}
	return sights, nil
}

// sight is what a slot held last, by the commit that made it so.
func (b *lookback) sight(by *mirror.Commit, s Slot, entries map[string]bool) ledger.Sight {
	after := b.commitsOf(b.entriesBefore(by, entries))
	return ledger.Sight{Slot: s.ID, Value: s.Value, Commit: by.Hash.String(), Order: by.Index, After: after}
}

// without is the oldest entry since the last ones that moved a slot in which the
// slot is not there any more, else the head: from there back, it is soon met.
func (b *lookback) without(ctx context.Context, past ledger.Past, last []string, s Slot) (*mirror.Commit, error) {
	var later []*mirror.Commit
	for _, c := range b.claims(past) {
		if !slices.Contains(last, c.Hash.String()) && b.region(c, last).has(c) {
			later = append(later, c)
		}
	}
	if err := b.read(ctx, later, []string{s.ID.File}); err != nil {
		return nil, err
	}
	for _, c := range later {
		if _, there := b.value(c, s); !there {
			return c, nil
		}
	}
	return b.history[len(b.history)-1], nil
}

// claims are the commits of a policy's entries, parents first.
func (b *lookback) claims(past ledger.Past) []*mirror.Commit {
	var commits []*mirror.Commit
	for _, c := range b.lineage.claims {
		if slices.ContainsFunc(past.Entries, func(e ledger.Entry) bool { return e.Commit == c.commit.Hash.String() }) {
			commits = append(commits, c.commit)
		}
	}
	return commits
}
