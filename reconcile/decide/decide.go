// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/policy"
)

// Rule is what of a policy's rule the decision needs.
type Rule interface {
	Admits(tag string) (ok bool, reason string)
	Compare(a, b policy.Candidate) (order int, ok bool)
	FollowsTag() bool
	NeedsCreated() bool
}

// Order is who asks for the selection to be written.
type Order int

// The orders there are.
const (
	// Follow: nobody; the policy's rule or pin does.
	Follow Order = iota
	// Rollback: a person who goes back, whatever holds the policy.
	Rollback
	// Resume: a person who ends a hold.
	Resume
)

// Policy is what holds for all slots of a policy.
type Policy struct {
	Name      string // <namespace>/<name>
	Image     string
	Order     Order
	Suspended bool
	// Pin is what spec.pin says, in words such as "revision 3"; empty where the
	// rule is followed.
	Pin string
	// PinUndone: somebody undid what the pin names since it was declared.
	PinUndone bool
	Rule      Rule
	// Selection is the tag and digest that the rule picks, or the pin, or the
	// person who rolls back.
	Selection ledger.Value
	// Gated are the candidates that rank above the selection and that a gate keeps
	// back, the best one first.
	Gated []Gated
	// Created holds the creation times of tags and digests that are known, for
	// rules that rank by them.
	Created map[string]time.Time
	// Vetoes are the values that were undone.
	Vetoes []ledger.Value
	// Declined says which closed pull request a veto is from.
	Declined map[ledger.Value]string
	// Back: somebody moved a slot back, and no update has been written since.
	Back bool
	// Wavering says why a followed tag is not trusted where it stands now, or is
	// empty.
	Wavering string
	// Unread says why it can't be known whether the selection was undone, or is
	// empty.
	Unread string
	// Closed says until when nothing may be written to the repository, to stand after
	// "moves from 1.1.0 to 1.2.0"; empty while it is open.
	Closed string
	// Now turns times into ages; with the zero value, messages name dates.
	Now time.Time
}

// Gated is a candidate that the rule admits and a gate keeps back.
type Gated struct {
	// Value has no digest where there is no image any more.
	Value   ledger.Value
	Created time.Time // zero if the rule does not rank by it
	// Why is one line, to stand after the tag and a colon.
	Why string
	// Until is when the candidate is old enough, if it waits for that.
	Until time.Time
}

// Young tells whether a candidate has but to wait.
func (g Gated) Young() bool { return !g.Until.IsZero() }

// Slot is one place that holds a reference.
type Slot struct {
	// Value is what it holds, Want what it would hold with the selection.
	Value, Want ledger.Value
	// Known is Value with the tag that Pintle wrote its digest under, where it
	// holds a digest alone.
	Known ledger.Value
	// Foreign: it holds another image, or no reference at all.
	Foreign bool
	// Left is what the newest entry left there, empty where none did.
	Left ledger.Value
	// Undone: somebody moved it away from Left, or from the selection.
	Undone bool
	// RolledBack: it holds what a rollback left there.
	RolledBack bool
	// Doer is who left it as it is, where Git tells.
	Doer Doer
	// Refusal is why it can't be edited, or empty.
	Refusal string
}

// Doer is who made a commit, and when.
type Doer struct {
	Commit, Name string
	When         time.Time
}

// Verdict is the answer for one slot.
type Verdict struct {
	Reason  Reason
	Message string
}

// Write tells whether the slot is to be moved.
func (v Verdict) Write() bool { return v.Reason == Due }

// Decide gives one verdict for each slot. The checks stand in the order in
// which they count.
func Decide(p Policy, slots []Slot) []Verdict {
	hold := p.hold(slots)
	verdicts := make([]Verdict, 0, len(slots))
	for _, s := range slots {
		verdicts = append(verdicts, p.decide(s, hold))
	}
	return verdicts
}

func (p Policy) decide(s Slot, hold *Verdict) Verdict {
	switch {
	case s.Foreign && (!s.Undone || p.Order == Rollback):
		return Verdict{Failed, fmt.Sprintf("it holds another image than %s, which %s follows", p.Image, p.Name)}
	case s.Value == s.Want:
		return Verdict{UpToDate, p.holds()}
	case s.Refusal != "":
		return Verdict{Failed, "it can't be edited: " + s.Refusal}
	case p.Suspended && p.Order != Rollback:
		return Verdict{Suspended, fmt.Sprintf("%s is suspended", p.Name)}
	case p.Order == Rollback, p.Pin != "" && !s.Foreign && !p.PinUndone:
		return p.due(s)
	case p.Order == Follow && hold != nil:
		return *hold
	}
	return p.follow(s)
}

// follow is the rest of the chain, where nobody names what the slot is to hold and no
// person holds it.
func (p Policy) follow(s Slot) Verdict {
	kept := p.gated(s)
	switch {
	case kept != nil:
		return *kept
	case p.Order == Resume:
		return p.due(s)
	case p.vetoed() != "":
		return Verdict{RolledBack, p.rolledBack(nil, p.vetoed())}
	case p.Unread != "":
		return Verdict{Failed, fmt.Sprintf("%s stays as it is, since whether %s was undone can't be known: %s. `pintle resume %s` writes it",
			p.Name, Show(p.Selection), p.Unread, p.Name)}
	case p.Wavering != "":
		return Verdict{DowngradeRefused, fmt.Sprintf("%s stays as it is: %s", p.Name, p.Wavering)}
	}
	if why := p.lower(s); why != "" {
		return Verdict{DowngradeRefused, why}
	}
	return p.due(s)
}

func (p Policy) holds() string {
	switch {
	case p.Order == Rollback:
		return "holds it already"
	case p.Pin != "":
		return "holds what spec.pin names"
	}
	if at := slices.IndexFunc(p.Gated, Gated.Young); at >= 0 {
		return fmt.Sprintf("holds the selection; %s ranks above it and waits: %s", Show(p.Gated[at].Value), p.Gated[at].Why)
	}
	return "holds the selection"
}

// due moves the slot, unless nothing may be written now.
func (p Policy) due(s Slot) Verdict {
	if p.Closed != "" && p.Order != Rollback {
		return Verdict{WindowClosed, p.moves(s) + " " + p.Closed}
	}
	return Verdict{Due, p.moves(s)}
}

// moves says what becomes of a slot.
func (p Policy) moves(s Slot) string {
	from, to := Show(s.Value), Show(p.Selection)
	if from == to && s.Value.Digest() != "" {
		from, to = from+" at "+s.Value.ShortDigest(), to+" at "+p.Selection.ShortDigest()
	}
	message := fmt.Sprintf("moves from %s to %s", from, to)
	switch {
	case p.Order == Rollback:
		message = fmt.Sprintf("moves back from %s to %s", from, to)
	case p.Pin != "":
		message += ", as spec.pin says"
	}
	return message
}

// hold is the verdict for all slots that do not hold the selection, if somebody
// undid what Pintle wrote and that still counts.
func (p Policy) hold(slots []Slot) *Verdict {
	if p.Pin != "" {
		return p.pinHold(slots)
	}
	for _, s := range slots {
		if s.movedBack() && (s.Foreign || !p.admits(s.Known)) {
			how := "set by hand"
			if s.RolledBack {
				how = "gone back to"
			}
			return &Verdict{ManuallySet, fmt.Sprintf("%s stays as it is: %s was %s%s, and its rule does not admit that. Set it back, or let `pintle resume %s` write %s",
				p.Name, Show(s.Value), how, by(s.Doer, p.Now), p.Name, Show(p.Selection))}
		}
	}
	if !p.Back && !slices.ContainsFunc(slots, Slot.movedBack) {
		return nil
	}
	if v := p.vetoed(); v != "" {
		return &Verdict{RolledBack, p.rolledBack(slots, v)}
	}
	for _, v := range p.Vetoes {
		if v.Tag() != "" && p.admits(v) && !p.above(p.Selection, v) {
			return &Verdict{RolledBack, p.rolledBack(slots, v)}
		}
	}
	return nil
}

// pinHold is the hold while a pin is declared: it was undone since, or a field
// holds another image.
func (p Policy) pinHold(slots []Slot) *Verdict {
	stays, doer, hold := "as it is", Doer{}, p.PinUndone
	for _, s := range slots {
		if s.movedBack() && (p.PinUndone || s.Foreign) {
			stays, doer, hold = "at "+Show(s.Value), s.Doer, true
			break
		}
	}
	if !hold {
		return nil
	}
	return &Verdict{Pinned, fmt.Sprintf("%s stays %s: %s, which spec.pin names (%s), was undone%s. Remove or change the pin, or let `pintle resume %s` write it",
		p.Name, stays, Show(p.Selection), p.Pin, by(doer, p.Now), p.Name)}
}

// movedBack tells whether somebody, and not the rule, put into the slot what it
// holds.
func (s Slot) movedBack() bool { return (s.Undone || s.RolledBack) && s.Value != s.Want }

// vetoed is what was undone of the selection and what gates keep back above it: to slip
// past an undone candidate would be to take the next best. It is empty where nothing was.
func (p Policy) vetoed() ledger.Value {
	for _, g := range p.Gated {
		if slices.ContainsFunc(p.Vetoes, g.Value.SameImage) {
			return g.Value
		}
	}
	if slices.ContainsFunc(p.Vetoes, p.Selection.SameImage) {
		return p.Selection
	}
	return ""
}

// admits tells whether the rule takes the value's tag. A digest alone says
// nothing against the rule.
func (p Policy) admits(v ledger.Value) bool {
	if v == ledger.Unknown {
		return false
	}
	if v.Tag() == "" {
		return true
	}
	ok, _ := p.Rule.Admits(v.Tag())
	return ok
}

// above tells whether a ranks higher than b. A followed tag has one rank: what
// its publisher puts there now counts as newer.
func (p Policy) above(a, b ledger.Value) bool {
	if p.Rule.FollowsTag() {
		return true
	}
	order, ok := p.Rule.Compare(p.candidate(a), p.candidate(b))
	return ok && order > 0
}

func (p Policy) candidate(v ledger.Value) policy.Candidate {
	created, ok := p.Created[v.Digest()]
	if !ok {
		created = p.Created[v.Tag()]
	}
	return policy.Candidate{Tag: v.Tag(), Created: created}
}

// gated is the verdict where gates alone make the selection rank below what the slot
// holds: a candidate that ranks no lower than that is there, and kept back. Nothing goes
// down for want of age or of a platform.
func (p Policy) gated(s Slot) *Verdict {
	var kept []Gated
	for _, g := range p.Gated {
		if p.reaches(g, s.Known) {
			kept = append(kept, g)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	if at := slices.IndexFunc(kept, Gated.Young); at >= 0 {
		return &Verdict{TooYoung, fmt.Sprintf("%s stays at %s: %s waits: %s", p.Name, Show(s.Known), Show(kept[at].Value), kept[at].Why)}
	}
	return &Verdict{DowngradeRefused, fmt.Sprintf("%s stays at %s: %s can't be taken (%s), and the next one, %s, ranks below",
		p.Name, Show(s.Known), Show(kept[0].Value), kept[0].Why, p.Selection.Tag())}
}

// reaches tells whether a value ranks between the selection and a candidate that is kept
// back, or is that candidate.
func (p Policy) reaches(g Gated, held ledger.Value) bool {
	if held.Digest() != "" && held.Digest() == g.Value.Digest() {
		return true
	}
	if held.Tag() == "" {
		return false
	}
	above, ok := p.Rule.Compare(policy.Candidate{Tag: g.Value.Tag(), Created: g.Created}, p.candidate(held))
	below, placed := p.Rule.Compare(p.candidate(p.Selection), p.candidate(held))
	return ok && placed && above >= 0 && below < 0
}

// lower says why writing the selection would go down by accident, or nothing.
func (p Policy) lower(s Slot) string {
	if s.Known.Tag() == "" || s.Known.Tag() == p.Selection.Tag() && !p.Rule.NeedsCreated() {
		return ""
	}
	admitted := p.admits(s.Known)
	if !admitted && s.Left == s.Value {
		return "" // The rule was narrowed, and Pintle wrote this itself.
	}
	order, ok := p.Rule.Compare(p.candidate(p.Selection), p.candidate(s.Known))
	switch {
	case ok && order >= 0, !ok && !admitted:
		return ""
	case !ok:
		return fmt.Sprintf("%s stays at %s: whether %s ranks above it can't be told, since the registry no longer says when it was made",
			p.Name, Show(s.Known), p.Selection.Tag())
	}
	return fmt.Sprintf("%s stays at %s: the best tag that the registry lists now, %s, ranks below it",
		p.Name, Show(s.Known), p.Selection.Tag())
}

func (p Policy) rolledBack(slots []Slot, undone ledger.Value) string {
	stays, what, who := "as it is", "undone", ""
	if request, ok := p.Declined[undone]; ok {
		what, who = "declined", " by closing "+request
	}
	for _, s := range slots {
		if s.movedBack() {
			stays, who = "at "+Show(s.Known), by(s.Doer, p.Now)
			if s.RolledBack {
				what = "rolled back"
			}
			break
		}
	}
	next := "Newer than " + Show(undone)
	if p.Rule.FollowsTag() {
		next = "Another digest"
	}
	return fmt.Sprintf("%s stays %s: %s was %s%s. %s will be written; `pintle resume %s` lifts it",
		p.Name, stays, Show(undone), what, who, next, p.Name)
}

// Show is a value for people: its tag, or else a short digest.
func Show(v ledger.Value) string {
	switch {
	case v == ledger.Unknown || v == "":
		return "another reference"
	case v.Tag() != "":
		return v.Tag()
	}
	return v.ShortDigest()
}

func by(d Doer, now time.Time) string {
	if d.Commit == "" {
		return ""
	}
	when := d.When.UTC().Format(time.RFC3339)
	if !now.IsZero() {
		when = age(now.Sub(d.When)) + " ago"
	}
	return fmt.Sprintf(" by %s (%s, %s)", d.Commit[:min(len(d.Commit), 9)], printable(d.Name), when)
}

// printable is a name that somebody gave himself, fit for a line.
func printable(name string) string {
	const longest = 80
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if runes := []rune(name); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return name
}

func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
