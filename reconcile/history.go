// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
)

// State is where a revision stands now.
type State string

// The states that a revision can have.
const (
	// Current: fields hold it.
	Current State = "current"
	// PinnedTo: fields hold it, and spec.pin names it.
	PinnedTo State = "pinned"
	// Vetoed: it was undone, and is not written again.
	Vetoed State = "vetoed"
	// Earlier: another one came after it.
	Earlier State = "earlier"
)

// ByHand is the cause of an edit that Pintle did not make.
const ByHand = "by hand"

// Revision is one line of a policy's history. Its JSON is stable.
type Revision struct {
	// Revision is absent for an edit by hand.
	Revision int    `json:"revision,omitempty"`
	Tag      string `json:"tag"`
	Digest   string `json:"digest"`
	// Commit is the whole id; Author and Time (RFC 3339, UTC) are that commit's.
	Commit string `json:"commit"`
	Author string `json:"author"`
	Time   string `json:"time"`
	// Cause is schedule, event/<source>, build/<namespace>/<name>, rollback, pin,
	// resume or ByHand.
	Cause string `json:"cause"`
	// Source is the commit of the source that a build made the image of; absent
	// where none is known.
	Source string `json:"source,omitempty"`
	State  State  `json:"state"`
}

// History lists the revisions of a policy, named <namespace>/<name>, and the
// edits of its fields by hand, the newest first. It asks no registry.
func (e *Engine) History(ctx context.Context, name string) ([]Revision, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.repo.Update(ctx); err != nil {
		return nil, err
	}
	set, err := e.policies(ctx)
	if err != nil {
		return nil, err
	}
	d := &decision{set: set}
	if err := e.bind(ctx, task{only: map[string]bool{name: true}}, d); err != nil {
		return nil, err
	}
	if len(d.policies) == 0 {
		return nil, &UnknownPolicyError{Op: "list the history of", Name: name, Known: sortedKeys(set.policies), Broken: set.broken[name]}
	}
	o := d.policies[0]
	if err := e.remember(ctx, d.policies); err != nil {
		return nil, err
	}
	edits, err := e.repo.Edits(ctx, name, o.slots, o.past)
	if err != nil {
		return nil, err
	}
	return o.revisions(edits), nil
}

// remember reads the ledgers of policies, and what follows from them.
func (e *Engine) remember(ctx context.Context, policies []*outcome) error {
	names := make([]string, 0, len(policies))
	for _, o := range policies {
		names = append(names, o.name)
	}
	pasts, _, err := e.repo.Ledgers(ctx, names)
	if err != nil {
		return err
	}
	questions := make([]gitwriter.Question, 0, len(policies))
	for _, o := range policies {
		o.past = pasts[o.name]
		questions = append(questions, gitwriter.Question{Policy: o.name, Slots: o.slots, Past: o.past})
	}
	records, err := e.repo.Records(ctx, questions)
	if err != nil {
		return err
	}
	for _, o := range policies {
		o.record = records[o.name]
	}
	return nil
}

// revisions puts entries and edits together, the newest first.
func (o *outcome) revisions(edits []gitwriter.Edit) []Revision {
	type line struct {
		place int
		value ledger.Value
		row   Revision
	}
	lines := make([]line, 0, len(o.past.Entries)+len(edits))
	for _, e := range o.past.Entries {
		lines = append(lines, line{e.Order, e.Wrote(), Revision{
			Revision: e.Revision, Commit: e.Commit, Author: e.Author, Time: when(e.When), Cause: e.Cause, Source: e.Source,
		}})
	}
	for _, e := range edits {
		for _, v := range e.Values {
			lines = append(lines, line{e.Order, v, Revision{Commit: e.Commit, Author: e.Name, Time: when(e.When), Cause: ByHand}})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(b.place, a.place) })
	held := map[ledger.Value]bool{}
	for _, s := range o.slots {
		held[s.Value] = true
	}
	rows := make([]Revision, 0, len(lines))
	for _, l := range lines {
		row := l.row
		row.Tag, row.Digest, row.State = l.value.Tag(), l.value.Digest(), o.state(l.value, held)
		rows = append(rows, row)
	}
	return rows
}

// state is that of a value; what fields hold is taken out of held when its
// newest line is met.
func (o *outcome) state(v ledger.Value, held map[ledger.Value]bool) State {
	stands := slices.DeleteFunc(sortedKeys(held), func(h ledger.Value) bool { return !v.Covers(h) })
	if held[v] {
		stands = []ledger.Value{v}
	}
	if len(stands) > 0 {
		delete(held, stands[0])
		if o.spec.Pin != nil && o.isPinned(v) {
			return PinnedTo
		}
		return Current
	}
	if o.record.Vetoed(v) {
		return Vetoed
	}
	return Earlier
}

// isPinned tells whether spec.pin names a value, as far as Git knows.
func (o *outcome) isPinned(v ledger.Value) bool {
	pin := o.spec.Pin
	if pin.Revision == nil {
		return pin.Tag != "" && pin.Tag == v.Tag() || pin.Digest != "" && pin.Digest == v.Digest()
	}
	return slices.ContainsFunc(o.past.Entries, func(e ledger.Entry) bool {
		return int64(e.Revision) == *pin.Revision && e.Wrote().SameImage(v)
	})
}

func when(t time.Time) string { return t.UTC().Format(time.RFC3339) }
