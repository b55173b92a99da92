// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// lookBack reads what the policies' slots held since their newest entries, and
// fills in Stood and Doer.
func (r *Repository) lookBack(ctx context.Context, history []*mirror.Commit, questions []Question, records map[string]Record) error {
	type group struct {
		base      string
		questions []Question
	}
	groups := map[string]*group{}
	for _, q := range questions {
		base := newest(records[q.Policy].Entries)
		if groups[base] == nil {
			groups[base] = &group{base: base}
		}
		groups[base].questions = append(groups[base].questions, q)
	}
	trees := mirror.Trees{}
	for _, g := range groups {
		commits := since(history, plumbing.NewHash(g.base))
		files := map[string]bool{}
		for _, q := range g.questions {
			for _, s := range q.Slots {
				files[s.ID.File] = true
			}
		}
		past, err := r.past(ctx, trees, commits, files)
		if err != nil {
			return err
		}
		for _, q := range g.questions {
			for _, s := range q.Slots {
				records[q.Policy].judge(s, past[s.ID.File], q.Selection)
			}
		}
	}
	return nil
}

// newest is the commit of the entry with the highest revision, or empty.
func newest(entries []ledger.Entry) string {
	var best ledger.Entry
	for _, e := range entries {
		if e.Revision > best.Revision {
			best = e
		}
	}
	return best.Commit
}

// since lists the commits that are not the base or its ancestors; all where the
// base is zero.
func since(history []*mirror.Commit, base plumbing.Hash) []*mirror.Commit {
	if base.IsZero() {
		return history
	}
	old := map[plumbing.Hash]bool{base: true}
	var young []*mirror.Commit
	// Children come before their parents, so an ancestor of the base is marked
	// before it is reached.
	for _, c := range history {
		if !old[c.Hash] {
			young = append(young, c)
			continue
		}
		for _, p := range c.Parents {
			old[p] = true
		}
	}
	return young
}

// episode is what all slots of a file held, from some commit on.
type episode struct {
	by     *mirror.Commit
	values map[string]map[ledger.SlotID]ledger.Value // by policy
}

// past reads the contents that files had in the commits, newest first.
func (r *Repository) past(ctx context.Context, trees mirror.Trees, commits []*mirror.Commit, files map[string]bool) (map[string][]episode, error) {
	paths := make([]string, 0, len(files))
	for f := range files {
		paths = append(paths, f)
	}
	versions, err := r.mirror.Past(ctx, trees, commits, paths)
	if err != nil {
		return nil, err
	}
	var blobs []plumbing.Hash
	for _, vs := range versions {
		for _, v := range vs {
			blobs = append(blobs, v.Blob)
		}
	}
	if err := r.mirror.Need(ctx, blobs); err != nil {
		return nil, err
	}
	past := map[string][]episode{}
	for path, vs := range versions {
		seen := map[plumbing.Hash]map[string]map[ledger.SlotID]ledger.Value{}
		for _, v := range vs {
			values, ok := seen[v.Blob]
			if !ok {
				values = valuesOf(r.slotsOf(path, v.Blob))
				seen[v.Blob] = values
			}
			past[path] = append(past[path], episode{v.Oldest, values})
		}
	}
	return past, nil
}

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

// judge finds out whether the selection stood in the slot, and who left the slot
// as it is.
func (rec Record) judge(s Slot, past []episode, selection ledger.Value) {
	same := true
	for _, e := range past {
		value, there := e.values[s.Policy][s.ID]
		same = same && there && value == s.Value
		if same {
			rec.Doer[s.ID] = Author{e.by.Hash.String(), e.by.Author, e.by.When}
			continue
		}
		if there && evidence(value, s.Value, selection) {
			rec.Stood[s.ID] = true
			return
		}
	}
}

// evidence tells whether a past value shows that the selection stood in a slot
// that holds another value now. A tag that stands now and stood then without
// its digest shows nothing.
func evidence(past, now, selection ledger.Value) bool {
	bare := past.Digest() == "" && past.Tag() == now.Tag()
	return past.SameImage(selection) && !now.SameImage(selection) && !bare
}
