// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// Question asks for the record of one policy.
type Question struct {
	Policy string
	// Slots are all slots of the policy at the head.
	Slots []Slot
	// Selection is what the policy picks now.
	Selection ledger.Value
}

// Record is what Git says of one policy.
type Record struct {
	ledger.Standing

	Entries []ledger.Entry
	// Stood are the slots in which the selection stood after the newest entry,
	// put there by somebody whose commits say nothing, and does not stand now.
	Stood map[ledger.SlotID]bool
	// Doer is the newest commit that left a slot of Undone or Stood as it is.
	Doer map[ledger.SlotID]Author
}

// Author is who made a commit, and when.
type Author struct {
	Commit, Name string
	When         time.Time
}

// Records reads the ledger and the past of the slots for policies that are due,
// and no more of the history than they need.
func (r *Repository) Records(ctx context.Context, questions []Question) (map[string]Record, []manifest.Problem, error) {
	if len(questions) == 0 {
		return nil, nil, nil
	}
	history, err := r.mirror.History(ctx)
	if err != nil {
		return nil, nil, err
	}
	entries, problems, err := r.prove(ctx, history, questions)
	if err != nil {
		return nil, nil, err
	}
	records := make(map[string]Record, len(questions))
	for _, q := range questions {
		head := map[ledger.SlotID]ledger.Value{}
		for _, s := range q.Slots {
			head[s.ID] = s.Value
		}
		mine := entries[q.Policy]
		records[q.Policy] = Record{Standing: ledger.Read(mine, head), Entries: mine,
			Stood: map[ledger.SlotID]bool{}, Doer: map[ledger.SlotID]Author{}}
	}
	return records, problems, r.lookBack(ctx, history, questions, records)
}

// move is what a commit did to one slot, whoever made it.
type move struct {
	policy   string
	id       ledger.SlotID
	old, new ledger.Value
}

// prove finds the commits that claim to be entries of the policies, and keeps
// those whose own diffs do what they claim.
func (r *Repository) prove(ctx context.Context, history []*mirror.Commit, questions []Question) (map[string][]ledger.Entry, []manifest.Problem, error) {
	asked := map[string]bool{}
	for _, q := range questions {
		asked[q.Policy] = true
	}
	claims := map[plumbing.Hash][]ledger.Trailer{}
	var claimants []*mirror.Commit
	for _, c := range history {
		for _, t := range ledger.Parse(c.Message) {
			if asked[t.Policy] {
				claims[c.Hash] = append(claims[c.Hash], t)
			}
		}
		if claims[c.Hash] != nil {
			claimants = append(claimants, c)
		}
	}
	if err := r.readMoves(ctx, claimants, history); err != nil {
		return nil, nil, err
	}
	entries := map[string][]ledger.Entry{}
	var problems []manifest.Problem
	for _, c := range claimants {
		proven, unproven := match(c, claims[c.Hash], r.moves[c.Hash])
		for policy, e := range proven {
			entries[policy] = append(entries[policy], e)
		}
		for _, t := range unproven {
			problems = append(problems, manifest.Problem{Message: fmt.Sprintf(
				"commit %s says that it moved %s from %s to %s, but its diff does not: ignored", short(c.Hash), t.Policy, t.Old, t.New)})
		}
	}
	return entries, problems, nil
}

func short(h plumbing.Hash) string { return h.String()[:9] }

// readMoves diffs the commits with their first parents.
func (r *Repository) readMoves(ctx context.Context, commits, history []*mirror.Commit) error {
	byHash := make(map[plumbing.Hash]*mirror.Commit, len(history))
	for _, c := range history {
		byHash[c.Hash] = c
	}
	var fresh []*mirror.Commit
	var pairs []mirror.Pair
	for _, c := range commits {
		if _, ok := r.moves[c.Hash]; ok {
			continue
		}
		pair := mirror.Pair{New: c.Tree}
		if len(c.Parents) > 0 {
			pair.Old = byHash[c.Parents[0]].Tree
		}
		fresh = append(fresh, c)
		pairs = append(pairs, pair)
	}
	diffs, err := r.mirror.Diff(ctx, pairs, manifest.IsManifest)
	if err != nil {
		return err
	}
	var blobs []plumbing.Hash
	for _, d := range diffs {
		for _, f := range d {
			blobs = append(blobs, f.Old, f.New)
		}
	}
	if err := r.mirror.Need(ctx, blobs); err != nil {
		return err
	}
	for i, c := range fresh {
		r.moves[c.Hash] = r.movesOf(diffs[i])
	}
	return nil
}

func (r *Repository) movesOf(diffs []mirror.Difference) []move {
	found := []move{}
	for _, d := range diffs {
		olds := map[string]ledger.Value{}
		for _, s := range r.slotsOf(d.Path, d.Old) {
			olds[s.Policy+"\x00"+s.ID.Key] = s.Value
		}
		for _, s := range r.slotsOf(d.Path, d.New) {
			if old, ok := olds[s.Policy+"\x00"+s.ID.Key]; ok && old != s.Value {
				found = append(found, move{s.Policy, s.ID, old, s.Value})
			}
		}
	}
	return found
}

// slotsOf reads the slots of a file's past content. What can't be read has none.
func (r *Repository) slotsOf(path string, blob plumbing.Hash) []Slot {
	if blob.IsZero() {
		return nil
	}
	if f := r.files[path]; f != nil && f.blob == blob && f.scanned {
		return Slots(f.fields, r.bound.Images)
	}
	content, err := r.mirror.Blob(blob)
	if err != nil || !manifest.MayMatter(path, content, r.bound.Targets) {
		return nil
	}
	fields, _ := manifest.Scan(path, content, r.bound.Targets)
	return Slots(fields, r.bound.Images)
}

// match finds for each claim the moves that prove it.
func match(c *mirror.Commit, claims []ledger.Trailer, moves []move) (map[string]ledger.Entry, []ledger.Trailer) {
	proven := map[string]ledger.Entry{}
	var unproven []ledger.Trailer
	for _, t := range claims {
		found := false
		for _, m := range moves {
			if m.policy != t.Policy || m.old != t.Old || !t.New.Covers(m.new) {
				continue
			}
			found = true
			e, ok := proven[t.Policy]
			if !ok {
				e = ledger.Entry{Commit: c.Hash.String(), Author: c.Author, When: c.When, Revision: t.Revision,
					Cause: t.Cause, Rollback: t.Rollback, Moves: map[ledger.SlotID]ledger.Move{}}
			}
			e.Moves[m.id] = ledger.Move{Old: m.old, New: m.new, Wrote: t.New}
			proven[t.Policy] = e
		}
		if !found {
			unproven = append(unproven, t)
		}
	}
	return proven, unproven
}
