// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// Edit is a commit that changed what slots of a policy hold, and is no entry.
type Edit struct {
	Author

	// Values are what the slots were changed to, each once.
	Values []ledger.Value
	// Order is the commit's place in the history: ancestors have lower ones.
	Order int
}

// Edits finds the edits of a policy by hand, the first binding of a field among
// them, the newest first. It reads all that the history has of the files with
// slots of the policy, and fails where that is too much.
func (r *Repository) Edits(ctx context.Context, policy string, slots []Slot, past ledger.Past) ([]Edit, error) {
	b, err := r.lookBack(ctx)
	if err != nil {
		return nil, err
	}
	entries := map[string]bool{}
	for _, e := range past.Entries {
		entries[e.Commit] = true
	}
	files := filesOf(slots, past)
	region := b.region(b.history[len(b.history)-1], nil)
	seen := map[*mirror.Commit]bool{}
	complete, err := b.walkEach(ctx, region, files, firstBatch, func(c *mirror.Commit, _ string) bool {
		seen[c] = true
		// What came before the first field was bound is of no interest.
		return len(b.held(c, policy, files)) > 0 || len(b.entriesBefore(c, entries)) > 0
	})
	if err == nil && !complete {
		err = fmt.Errorf("cannot read the history of %s: its fields' past is longer than the %d commits that are read", policy, b.maxLookBack)
	}
	if err != nil {
		return nil, err
	}
	var edits []Edit
	for _, c := range region.commits {
		if entries[c.Hash.String()] || !seen[c] {
			continue
		}
		if values := b.editedTo(c, policy, files); len(values) > 0 {
			edits = append(edits, Edit{authorOf(c), values, c.Index})
		}
	}
	return edits, b.failed
}

// filesOf are the files that hold slots of a policy, or did, sorted.
func filesOf(slots []Slot, past ledger.Past) []string {
	files := map[string]bool{}
	for _, s := range slots {
		files[s.ID.File] = true
	}
	for _, e := range past.Entries {
		for id := range e.Moves {
			files[id.File] = true
		}
	}
	return slices.Sorted(maps.Keys(files))
}

// entriesBefore are the entries that a commit directly follows, or is.
func (b *lookback) entriesBefore(c *mirror.Commit, entries map[string]bool) []int {
	return b.lineage.nearestOf(b.lineage.nearest[c.Index], func(n int) bool { return entries[b.lineage.claims[n].commit.Hash.String()] })
}

// editedTo lists what slots hold in a commit and in none of its parents. A slot
// that is new beside others is no edit of theirs.
func (b *lookback) editedTo(c *mirror.Commit, policy string, files []string) []ledger.Value {
	now := b.held(c, policy, files)
	before := make([]map[ledger.SlotID]ledger.Value, 0, len(c.Parents))
	bound := false
	for _, p := range c.Parents {
		held := b.held(p, policy, files)
		before = append(before, held)
		bound = bound || len(held) > 0
	}
	var values []ledger.Value
	for _, id := range slices.SortedFunc(maps.Keys(now), ledger.SlotID.Compare) {
		was, same := !bound, false
		for _, held := range before {
			value, there := held[id]
			was = was || there
			same = same || there && value == now[id]
		}
		if was && !same && !slices.Contains(values, now[id]) {
			values = append(values, now[id])
		}
	}
	return values
}

// held is what all slots of a policy held in a commit that was read.
func (b *lookback) held(c *mirror.Commit, policy string, files []string) map[ledger.SlotID]ledger.Value {
	held := map[ledger.SlotID]ledger.Value{}
	for _, f := range files {
		for _, s := range b.slots(c, f) {
			if s.Policy == policy {
				held[s.ID] = s.Value
			}
		}
	}
	return held
}
