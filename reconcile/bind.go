// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"context"
	"fmt"
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
	set      *policySet
	policies []*outcome
	problems []Problem
	plan     []gitwriter.Planned
}

// outcome is all that is known of one policy.
type outcome struct {
	declared
	resolution

	slots []gitwriter.Slot
	order *order // who asks for a write, or nil
	why   string // what entries tell as their cause, if nothing graver; or empty
	// aim is what the slots are to hold: the selection, or what a pin or a person
	// names; empty where nothing can be aimed at.
	aim     ledger.Value
	after   []ledger.Value // what each slot holds then
	changes []gitwriter.Update
	past    ledger.Past
	record  gitwriter.Record
	pin     string // what spec.pin says, in words
	// pinUndone: somebody undid what the pin names since it was declared.
	pinUndone bool
	wavering  string
	verdicts  []decide.Verdict
	// declined says which closed request a veto is from, request which one proposes.
	declined map[ledger.Value]string
	request  *Request
	now      time.Time
	closed   string // until when nothing may be written; or empty
}

// decide reads the repository and the registries and gives every slot its
// verdict.
func (e *Engine) decide(ctx context.Context, t task, asked registries) (*decision, error) {
	set, err := e.policies(ctx)
	if err != nil {
		return nil, err
	}
	d := &decision{set: set, problems: slices.Clone(set.problems)}
	if err := e.bind(ctx, t, d); err != nil {
		return nil, err
	}
	if t.order != nil {
		if err := t.order.mayBe(d); err != nil {
			return nil, err
		}
	}
	if err := e.target(ctx, d, asked); err != nil {
		return nil, err
	}
	if err := e.recall(ctx, d); err != nil {
		return nil, err
	}
	for _, o := range d.policies {
		if err := e.settle(ctx, o); err != nil {
			return nil, err
		}
	}
	if !e.proposes(t) { // There it counts what people declined.
		e.config.Pace.hold(d.policies)
	}
	d.plan = plan(d.policies, e.config.Commits.Grouping)
	return d, nil
}

// settle completes what is known of a policy, and judges.
func (e *Engine) settle(ctx context.Context, o *outcome) error {
	if o.order.is(decide.Rollback) {
		if err := o.rollBack(ctx); err != nil {
			return err
		}
	}
	if o.rule.NeedsCreated() && o.selection != "" {
		dateCurrent(ctx, o.declared, &o.resolution, slices.Concat(valuesOf(o.slots), o.record.Vetoes))
		// What the registry has no more can't come back, nor be ranked by its date.
		gone := func(v ledger.Value) bool {
			_, err := o.pass.Digest(ctx, o.spec.Image, v.Digest())
			return v.Digest() != "" && isMissing(err)
		}
		o.record.Vetoes = slices.DeleteFunc(o.record.Vetoes, gone)
	}
	if o.due() && o.closed == "" && o.spec.Pin == nil && o.order == nil && (o.rule.FollowsTag() || o.moved()) {
		o.wavering = o.wavers(ctx)
	}
	return e.judge(ctx, o)
}

// moved tells whether the selection is the tag that a slot holds, with another
// digest.
func (o *outcome) moved() bool {
	return slices.ContainsFunc(o.slots, func(s gitwriter.Slot) bool {
		held := o.past.Known(s.Value)
		return held.Tag() == o.aim.Tag() && held.Digest() != "" && held.Digest() != o.aim.Digest()
	})
}

// bind finds the slots of every policy, and the markers that name none.
func (e *Engine) bind(ctx context.Context, t task, d *decision) error {
	if e.bound == nil {
		var err error
		if e.bound, err = e.boundBy(ctx, d.set); err != nil {
			return err
		}
	}
	d.problems = append(d.problems, e.bound.problems...)
	closed := e.config.Pace.closed(e.config.Now())
	for _, p := range e.bound.policies {
		if t.wants(p.name) {
			// What is written changes the slots of an outcome.
			slots := slices.Clone(e.bound.slots[p.name])
			d.policies = append(d.policies, &outcome{declared: p, slots: slots, order: t.order, why: t.causes[p.name], now: e.now(), closed: closed})
		}
	}
	return nil
}

// bound is what a set of policies binds in the tree that it was read with.
type bound struct {
	policies []declared // sorted by name
	slots    map[string][]gitwriter.Slot
	problems []Problem
}

func (e *Engine) boundBy(ctx context.Context, set *policySet) (*bound, error) {
	bindings := set.bindings()
	fields, problems, err := e.repo.Fields(ctx, bindings)
	if err != nil {
		return nil, err
	}
	b := &bound{policies: set.sorted(), slots: map[string][]gitwriter.Slot{}}
	for _, p := range problems {
		b.problems = append(b.problems, Problem{p.File, p.Line, p.Message})
	}
	b.problems = append(b.problems, misplaced(set, fields)...)
	for _, s := range gitwriter.Slots(fields, bindings.Images) {
		b.slots[s.Policy] = append(b.slots[s.Policy], s)
	}
	return b, nil
}

// target finds out what every policy is to hold, and reads the ledgers of those
// that may have to be moved.
func (e *Engine) target(ctx context.Context, d *decision, asked registries) error {
	var wanted []declared
	for _, o := range d.policies {
		if !o.order.is(decide.Rollback) {
			wanted = append(wanted, o.declared)
		}
	}
	resolutions, err := asked.resolve(ctx, wanted)
	if err != nil {
		return err
	}
	d.policies = slices.DeleteFunc(d.policies, func(o *outcome) bool {
		known, ok := resolutions[o.name]
		if o.order.is(decide.Rollback) {
			known, ok = asked.unasked(), true
		}
		o.resolution = known
		o.why = cmp.Or(o.why, known.cause)
		return !ok
	})
	var names []string
	for _, o := range d.policies {
		o.aimAt(o.selection)
		if o.needsLedger() {
			names = append(names, o.name)
		}
	}
	pasts, problems, err := e.repo.Ledgers(ctx, names)
	if err != nil {
		return err
	}
	for _, p := range problems {
		d.problems = append(d.problems, Problem{p.File, p.Line, p.Message})
	}
	for _, o := range d.policies {
		o.past = pasts[o.name]
		if o.spec.Pin == nil {
			continue
		}
		o.pin = pinWords(o.spec.Pin)
		if o.reason == NoMatch || o.reason == Failed {
			d.problems = append(d.problems, Problem{o.file, o.line, fmt.Sprintf("%s is pinned, and its rule selects nothing: %s", o.name, o.message)})
		}
		if err := o.aimAtPin(ctx); err != nil && ctx.Err() == nil {
			d.problems = append(d.problems, Problem{o.file, o.pinLine, o.message})
		}
	}
	return nil
}

// needsLedger tells whether a slot may have to be moved, as far as is known
// without the ledger.
func (o *outcome) needsLedger() bool {
	if o.order != nil {
		return true
	}
	if o.spec.Pin != nil {
		return !o.pinHeld()
	}
	return o.due()
}

// aimAt works out what each slot would hold with a value.
func (o *outcome) aimAt(aim ledger.Value) {
	o.aim = aim
	o.after = make([]ledger.Value, len(o.slots))
	o.changes = make([]gitwriter.Update, len(o.slots))
	for i, s := range o.slots {
		if aim == "" {
			o.after[i] = s.Value
			continue
		}
		if s.Foreign && o.order.is(decide.Resume) {
			s = s.Restored(o.spec.Image)
		}
		if s.Foreign {
			o.after[i] = aim // What it would hold, if it held the image.
			continue
		}
		changes, after := s.Want(aim.Tag(), aim.Digest(), writeOf(o.spec.Write))
		o.after[i] = after
		o.changes[i] = gitwriter.Update{Slot: o.slots[i], Image: o.spec.Image, Changes: changes, New: after, Wrote: aim,
			Cause: o.cause(), Source: o.sourceOf(o.cause()), Rollback: o.order.is(decide.Rollback)}
	}
}

func (o *outcome) cause() string {
	switch {
	case o.order.is(decide.Rollback):
		return ledger.CauseRollback
	case o.order.is(decide.Resume):
		return ledger.CauseResume
	case o.spec.Pin != nil:
		return ledger.CausePin
	case o.why != "":
		return o.why
	}
	return BySchedule
}

// sourceOf is the commit that a build made the selection of, where the build is the cause.
func (o *outcome) sourceOf(cause string) string {
	if cause != o.resolution.cause {
		return ""
	}
	return o.source
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
	if o.aim == "" {
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
		if o.due() || o.order != nil {
			questions = append(questions, gitwriter.Question{Policy: o.name, Slots: o.slots, Selection: o.aim, Above: o.above(), Pinned: o.pin != "", Past: o.past})
		}
	}
	records, err := e.repo.Records(ctx, questions)
	if err != nil {
		return err
	}
	for _, o := range d.policies {
		o.record = records[o.name]
		for _, v := range o.record.StoodThere {
			if !o.record.Vetoed(v) {
				o.record.Vetoes = append(o.record.Vetoes, v)
			}
		}
	}
	return nil
}

// judge gives every slot its verdict.
func (e *Engine) judge(ctx context.Context, o *outcome) error {
	if o.aim != "" {
		var err error
		if o.pinUndone, err = e.isPinUndone(ctx, o); err != nil {
			return err
		}
	}
	o.verdicts = o.decide()
	return nil
}

// decide puts the question to package decide.
func (o *outcome) decide() []decide.Verdict {
	if o.aim == "" {
		return slices.Repeat([]decide.Verdict{{Reason: o.reason, Message: o.message}}, len(o.slots))
	}
	slots := make([]decide.Slot, 0, len(o.slots))
	for i, s := range o.slots {
		_, rolledBack := o.record.RolledBack[s.ID]
		slots = append(slots, decide.Slot{
			Value: s.Value, Want: o.after[i], Known: o.past.Known(s.Value), Foreign: s.Foreign, Left: o.record.Left[s.ID].New,
			Undone: o.record.Undone[s.ID] || o.record.Stood[s.ID], RolledBack: rolledBack,
			Doer: decide.Doer(o.record.Doer[s.ID]), Refusal: o.refusal(s),
		})
	}
	verdicts := decide.Decide(decide.Policy{
		Name: o.name, Image: o.spec.Image, Order: o.order.asked(), Suspended: o.spec.Suspend, Pin: o.pin, PinUndone: o.pinUndone,
		Rule: o.rule, Selection: o.aim, Gated: o.passedBy(), Created: o.created, Vetoes: o.record.Vetoes, Declined: o.declined, Back: o.record.Back,
		Wavering: o.wavering, Unread: o.record.Unread, Closed: o.closed, Now: o.now,
	}, slots)
	for i := range o.slots {
		if o.slots[i].TagOnly() && o.spec.Write != v1alpha1.WriteTag {
			verdicts[i].Message += "; there is no key for the digest beside it, so the tag alone is followed"
		}
	}
	return verdicts
}

// passedBy are the candidates that a gate keeps back. A pin and a person name what they
// want.
func (o *outcome) passedBy() []decide.Gated {
	if o.pin != "" {
		return nil
	}
	return o.gated
}

// above are the values of passedBy.
func (o *outcome) above() []ledger.Value {
	var values []ledger.Value
	for _, g := range o.passedBy() {
		values = append(values, g.Value)
	}
	return values
}

// refusal is why a slot can't be moved to the aim, or empty.
func (o *outcome) refusal(s gitwriter.Slot) string {
	if why := s.Refusal(); why != "" {
		return why
	}
	if o.aim.Tag() == "" && s.HasTag() {
		return fmt.Sprintf("it needs a tag, and of %s only the digest is known", o.aim)
	}
	return ""
}

// plan groups what is to be written into commits.
func plan(policies []*outcome, grouping Grouping) []gitwriter.Planned {
	groups := map[string]*gitwriter.Planned{}
	for _, o := range policies {
		revision := o.past.Newest() + 1
		for i, v := range o.verdicts {
			if !v.Write() {
				continue
			}
			group := grouping.of(o)
			if groups[group] == nil {
				groups[group] = &gitwriter.Planned{}
			}
			u := o.changes[i]
			u.Revision = revision
			groups[group].Updates = append(groups[group].Updates, u)
		}
	}
	all := make([]gitwriter.Planned, 0, len(groups))
	for _, group := range sortedKeys(groups) {
		all = append(all, *groups[group])
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
