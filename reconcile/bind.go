// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/reconcile/decide"
)

// decision is what a pass found out and wants done.
type decision struct {
	set      policySet
	policies []*outcome
	problems []Problem
	plan     []gitwriter.Planned
}

// outcome is all that is known of one policy.
type outcome struct {
	declared
	resolution

	slots    []gitwriter.Slot
	verdicts []decide.Verdict
	after    []ledger.Value // what each slot holds with the selection
	changes  []gitwriter.Update
	record   gitwriter.Record
	wavering string
	now      time.Time
}

// decide reads the repository and the registries and gives every slot its
// verdict.
func (e *Engine) decide(ctx context.Context, t task, asked *asked) (*decision, error) {
	set, err := e.policies()
	if err != nil {
		return nil, err
	}
	e.rankings.keep(set.policies)
	d := &decision{set: set, problems: slices.Clone(set.problems)}
	if err := e.bind(ctx, t, d); err != nil {
		return nil, err
	}
	wanted := make([]declared, 0, len(d.policies))
	for _, o := range d.policies {
		wanted = append(wanted, o.declared)
	}
	resolutions, err := asked.resolve(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for _, o := range d.policies {
		o.resolution = resolutions[o.name]
		o.aim()
	}
	if err := e.recall(ctx, d); err != nil {
		return nil, err
	}
	for _, o := range d.policies {
		if o.rule.NeedsCreated() && o.selection != "" {
			dateCurrent(ctx, asked.pass, o.declared, o.resolution, valuesOf(o.slots))
		}
		if o.rule.FollowsTag() && o.due() {
			o.wavering = e.wavering(ctx, o)
		}
		o.decide()
	}
	d.plan = plan(d.policies)
	return d, nil
}

// bind finds the slots of every policy, and the markers that name none.
func (e *Engine) bind(ctx context.Context, t task, d *decision) error {
	bindings := d.set.bindings()
	fields, problems, err := e.repo.Fields(ctx, bindings)
	if err != nil {
		return err
	}
	for _, p := range problems {
		d.problems = append(d.problems, Problem{p.File, p.Line, p.Message})
	}
	d.problems = append(d.problems, misplaced(d.set, fields)...)
	slots := map[string][]gitwriter.Slot{}
	for _, s := range gitwriter.Slots(fields, bindings.Images) {
		slots[s.Policy] = append(slots[s.Policy], s)
	}
	for _, p := range d.set.sorted() {
		if t.wants(p.name) {
			d.policies = append(d.policies, &outcome{declared: p, slots: slots[p.name], now: e.config.Now()})
		}
	}
	return nil
}

// aim works out what each slot would hold with the selection.
func (o *outcome) aim() {
	o.after = make([]ledger.Value, len(o.slots))
	o.changes = make([]gitwriter.Update, len(o.slots))
	for i, s := range o.slots {
		if o.selection == "" {
			o.after[i] = s.Value
			continue
		}
		if s.Foreign {
			o.after[i] = o.selection // What it would hold, if it held the image.
			continue
		}
		changes, after := s.Want(o.selection.Tag(), o.selection.Digest(), writeOf(o.spec.Write))
		o.after[i] = after
		o.changes[i] = gitwriter.Update{Slot: s, Changes: changes, New: after, Wrote: o.selection, Cause: ledger.CauseSchedule}
	}
}

func writeOf(w v1alpha1.Write) gitwriter.Write {
	switch w {
	case v1alpha1.WriteDigest:
		return gitwriter.WriteDigest
	case v1alpha1.WriteTag:
		return gitwriter.WriteTag
	default:
		return gitwriter.WriteTagAndDigest
	}
}

// due tells whether a slot may have to be moved, so that its past matters.
func (o *outcome) due() bool {
	if o.selection == "" {
		return false
	}
	for i, s := range o.slots {
		if s.Foreign || s.Value != o.after[i] {
			return true
		}
	}
	return false
}

// recall reads what Git remembers of the policies that are due.
func (e *Engine) recall(ctx context.Context, d *decision) error {
	var questions []gitwriter.Question
	for _, o := range d.policies {
		if o.due() {
			questions = append(questions, gitwriter.Question{Policy: o.name, Slots: o.slots, Selection: o.selection})
		}
	}
	records, problems, err := e.repo.Records(ctx, questions)
	if err != nil {
		return err
	}
	for _, p := range problems {
		d.problems = append(d.problems, Problem{p.File, p.Line, p.Message})
	}
	for _, o := range d.policies {
		o.record = records[o.name]
	}
	return nil
}

// decide puts the question to package decide.
func (o *outcome) decide() {
	vetoes := slices.Clone(o.record.Vetoes)
	if len(o.record.Stood) > 0 && !o.record.Vetoed(o.selection) {
		vetoes = append(vetoes, o.selection)
	}
	o.record.Vetoes = vetoes
	if o.selection == "" {
		for range o.slots {
			o.verdicts = append(o.verdicts, decide.Verdict{Reason: o.reason, Message: o.message})
		}
		return
	}
	slots := make([]decide.Slot, 0, len(o.slots))
	for i, s := range o.slots {
		doer := o.record.Doer[s.ID]
		slots = append(slots, decide.Slot{
			Value: s.Value, Want: o.after[i], Foreign: s.Foreign, Left: o.record.Left[s.ID],
			Undone: o.record.Undone[s.ID] || o.record.Stood[s.ID],
			Doer:   decide.Doer(doer), Refusal: s.Refusal(),
		})
	}
	o.verdicts = decide.Decide(decide.Policy{
		Name: o.name, Image: o.spec.Image, Suspended: o.spec.Suspend, Pinned: o.spec.Pin != nil,
		Rule: o.rule, Selection: o.selection, Created: o.created, Vetoes: vetoes, Wavering: o.wavering, Now: o.now,
	}, slots)
	for i := range o.slots {
		if o.slots[i].TagOnly() && o.spec.Write != v1alpha1.WriteTag {
			o.verdicts[i].Message += "; there is no key for the digest beside it, so the tag alone is followed"
		}
	}
}

// plan groups what is to be written into one commit for each image.
func plan(policies []*outcome) []gitwriter.Planned {
	byImage := map[string]*gitwriter.Planned{}
	for _, o := range policies {
		for i, v := range o.verdicts {
			if !v.Write() {
				continue
			}
			image := canonical(o.spec.Image)
			if byImage[image] == nil {
				byImage[image] = &gitwriter.Planned{Image: o.spec.Image}
			}
			u := o.changes[i]
			u.Revision = o.record.Newest + 1
			byImage[image].Updates = append(byImage[image].Updates, u)
		}
	}
	all := make([]gitwriter.Planned, 0, len(byImage))
	for _, image := range sortedKeys(byImage) {
		all = append(all, *byImage[image])
	}
	return all
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func valuesOf(slots []gitwriter.Slot) []ledger.Value {
	values := make([]ledger.Value, 0, len(slots))
	for _, s := range slots {
		values = append(values, s.Value)
	}
	return values
}
