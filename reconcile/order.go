// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/reconcile/decide"
)

// RollbackOptions say where to go back to, and how.
type RollbackOptions struct {
	// To is a revision, a tag, or a digest (or the beginning of one) in the
	// policy's history; empty for the newest revision below the current one that
	// is not vetoed.
	To string
	// Force writes also what the registry does not have any more, or can't be
	// asked for.
	Force bool
	// DryRun writes nothing.
	DryRun bool
}

// Rollback moves all fields of a policy, named <namespace>/<name>, back to an
// earlier revision, and vetoes what it replaces. Its errors are of type
// *UnknownPolicyError and *RefusedError, besides those of registries and Git.
func (e *Engine) Rollback(ctx context.Context, name string, options RollbackOptions) (*Report, error) {
	return e.carryOut(ctx, !options.DryRun, &order{kind: decide.Rollback, policy: name, options: options})
}

// Resume lifts the vetoes of a policy by the entry that it writes, which moves
// all fields to the selection. Where it can't write, it lifts nothing.
func (e *Engine) Resume(ctx context.Context, name string) (*Report, error) {
	return e.carryOut(ctx, true, &order{kind: decide.Resume, policy: name})
}

// RefusedError says why something that a person asked for is not done. Nothing
// was written.
type RefusedError struct {
	// Op is what was asked for, as "cannot <op> <policy>" reads it.
	Op, Policy string
	Why        string
	// NoField is true where the repository has nothing that is bound to the policy.
	NoField bool
}

func (e *RefusedError) Error() string { return fmt.Sprintf("cannot %s %s: %s", e.Op, e.Policy, e.Why) }

// order is a write that a person asks for.
type order struct {
	kind    decide.Order
	policy  string
	options RollbackOptions
}

func (o *order) is(kind decide.Order) bool { return o != nil && o.kind == kind }

func (o *order) asked() decide.Order {
	if o == nil {
		return decide.Follow
	}
	return o.kind
}

func (o *order) op() string {
	if o.kind == decide.Rollback {
		return "roll back"
	}
	return "resume"
}

func (o *order) refuse(format string, args ...any) error {
	return &RefusedError{Op: o.op(), Policy: o.policy, Why: fmt.Sprintf(format, args...)}
}

// carryOut runs a pass for the one policy that an order is about.
func (e *Engine) carryOut(ctx context.Context, write bool, o *order) (*Report, error) {
	return e.pass(ctx, task{write: write, only: map[string]bool{o.policy: true}, order: o})
}

// mayBe refuses an order that the policy stands against.
func (o *order) mayBe(d *decision) error {
	if len(d.policies) == 0 {
		return &UnknownPolicyError{Op: o.op(), Name: o.policy, Known: sortedKeys(d.set.policies), Broken: d.set.broken[o.policy]}
	}
	p := d.policies[0]
	switch {
	case len(p.slots) == 0:
		return &RefusedError{Op: o.op(), Policy: o.policy, Why: "no field is bound to it: put a marker on an image, or declare a target", NoField: true}
	case o.kind == decide.Resume && p.spec.Suspend:
		return o.refuse("it is suspended: take spec.suspend out of %s first", p.at(p.suspendLine))
	case o.kind == decide.Resume && p.closed != "":
		return o.refuse("nothing may be written to its repository now: try again %s", p.closed)
	case o.kind == decide.Rollback && p.spec.Pin != nil:
		return o.refuse("spec.pin at %s names %s: change the pin, or remove it first", p.at(p.pinLine), pinWords(p.spec.Pin))
	}
	return nil
}

// rollBack aims at what the order names, once the registry said that it has it.
func (o *outcome) rollBack(ctx context.Context) error {
	target, err := o.rollbackTarget()
	if err != nil {
		return err
	}
	reference := cmp.Or(target.Digest(), target.Tag())
	digest, err := o.pass.Digest(ctx, o.spec.Image, reference)
	switch {
	case err == nil:
		target = ledger.NewValue(target.Tag(), digest)
	case !o.order.options.Force && isMissing(err):
		return o.order.refuse("the registry does not have %s any more: name another one, or write it all the same with --force", target)
	case !o.order.options.Force:
		return fmt.Errorf("cannot roll back %s without knowing whether the registry still has %s (--force goes on all the same): %w", o.name, target, err)
	case target.Digest() == "":
		return fmt.Errorf("cannot roll back %s to %s, of which no digest is known: %w", o.name, target, err)
	}
	o.aimAt(target)
	return nil
}

// rollbackTarget is what the order names.
func (o *outcome) rollbackTarget() (ledger.Value, error) {
	if o.order.options.To == "" {
		return o.previous()
	}
	found := o.named(o.order.options.To)
	switch len(found) {
	case 0:
		return "", o.order.refuse("nothing in its history is called %q: `pintle history %s` lists what is", o.order.options.To, o.name)
	case 1:
		return found[0].value, nil
	}
	var names []string
	for _, f := range found {
		names = append(names, f.String())
	}
	return "", o.order.refuse("%q is ambiguous: it may be %s; give a revision, or the whole digest", o.order.options.To, strings.Join(names, ", or "))
}

// previous is the newest revision below the current one that is not vetoed.
func (o *outcome) previous() (ledger.Value, error) {
	entries := slices.SortedFunc(slices.Values(o.past.Entries), func(a, b ledger.Entry) int {
		return cmp.Or(cmp.Compare(b.Revision, a.Revision), cmp.Compare(b.Order, a.Order))
	})
	// Rollbacks and pins repeat an earlier choice: to count them would turn the
	// way back into one to and fro.
	entries = slices.DeleteFunc(entries, func(e ledger.Entry) bool { return e.Rollback || e.Cause == ledger.CausePin })
	at := slices.IndexFunc(entries, func(e ledger.Entry) bool {
		return slices.ContainsFunc(o.slots, func(s gitwriter.Slot) bool { return s.Value.SameImage(e.Wrote()) })
	})
	var vetoed []string
	for _, e := range entries[at+1:] {
		switch {
		case at >= 0 && e.Wrote().SameImage(entries[at].Wrote()):
		case o.record.Vetoed(e.Wrote()):
			vetoed = append(vetoed, fmt.Sprintf("revision %d (%s)", e.Revision, e.Wrote().Tag()))
		default:
			return e.Wrote(), nil
		}
	}
	why := "there is no revision below what it holds"
	if len(vetoed) > 0 {
		why += " but vetoed ones: " + strings.Join(vetoed[:min(len(vetoed), 5)], ", ")
	}
	if first := o.first(); first != ledger.Unknown {
		why += fmt.Sprintf("; before its first revision it held %s", first)
	}
	return "", o.order.refuse("%s. Name what to go back to with --to", why)
}

// first is what a slot held before the first revision.
func (o *outcome) first() ledger.Value {
	for _, e := range o.past.Entries {
		if len(e.After) > 0 {
			continue
		}
		for _, m := range e.Moves {
			return m.Old
		}
	}
	return ledger.Unknown
}

// named is something in the history that a person may mean.
type named struct {
	revision int // zero where no revision wrote it
	value    ledger.Value
}

func (n named) String() string {
	if n.revision == 0 {
		return string(n.value)
	}
	return fmt.Sprintf("revision %d (%s)", n.revision, n.value)
}

// digestStart is what a person may write for a digest.
var digestStart = regexp.MustCompile(`^(sha256:|sha512:)?[a-f0-9]{4,128}$`)

// named finds what a revision, a tag or the beginning of a digest stands for,
// each image once, by its newest revision.
func (o *outcome) named(to string) []named {
	var found []named
	add := func(n named) {
		at := slices.IndexFunc(found, func(f named) bool { return f.value.SameImage(n.value) })
		switch {
		case at < 0:
			found = append(found, n)
		case found[at].value.Digest() == "":
			found[at] = n
		}
	}
	revision, _ := strconv.Atoi(to)
	means := func(n named) bool {
		tag, digest, both := strings.Cut(to, "@") // As tables show it.
		if both && n.value.Tag() == tag {
			return digestStart.MatchString(digest) && strings.HasPrefix(n.value.Digest(), digest)
		}
		_, hex, _ := strings.Cut(n.value.Digest(), ":")
		return n.revision > 0 && n.revision == revision || n.value.Tag() == to ||
			digestStart.MatchString(to) && (strings.HasPrefix(hex, to) || strings.HasPrefix(n.value.Digest(), to))
	}
	for _, n := range o.history() {
		if n.value != ledger.Unknown && means(n) {
			add(n)
		}
	}
	return found
}

// history is all that the entries wrote and replaced, the newest first, and then
// what the slots hold.
func (o *outcome) history() []named {
	var all, replaced []named
	for _, e := range o.past.Entries {
		all = append(all, named{e.Revision, e.Wrote()})
		for _, id := range slices.SortedFunc(maps.Keys(e.Moves), ledger.SlotID.Compare) {
			replaced = append(replaced, named{0, e.Moves[id].Old})
		}
	}
	slices.SortStableFunc(all, func(a, b named) int { return cmp.Compare(b.revision, a.revision) })
	all = append(all, replaced...)
	for _, s := range o.slots {
		all = append(all, named{0, s.Value})
	}
	return all
}
