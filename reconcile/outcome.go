// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/reconcile/decide"
	"github.com/pintle-dev/pintle/registry"
)

// canonical is an image's one name; a name that no registry takes stays as it
// is.
func canonical(image string) string {
	name, err := registry.Canonical(image)
	if err != nil {
		return image
	}
	return name
}

// refuse takes note of updates that could not be made.
func (d *decision) refuse(refused []gitwriter.Refused) {
	for _, r := range refused {
		for _, o := range d.policies {
			for i, s := range o.slots {
				if s.Policy == r.Update.Slot.Policy && s.ID == r.Update.Slot.ID {
					o.verdicts[i] = decide.Verdict{Reason: Failed, Message: r.Err.Error()}
				}
			}
		}
	}
}

// wrote turns what was due into what is done.
func (d *decision) wrote() {
	for _, o := range d.policies {
		for i, v := range o.verdicts {
			if !v.Write() {
				continue
			}
			o.verdicts[i] = decide.Verdict{Reason: Updated, Message: strings.Replace(v.Message, "moves", "moved", 1)}
			o.slots[i].Value = o.after[i]
			o.slots[i].Fields = slices.Clone(o.slots[i].Fields)
			for j, f := range o.slots[i].Fields {
				at := slices.IndexFunc(o.changes[i].Changes, func(c manifest.Change) bool { return c.Field.Key == f.Key })
				if at >= 0 {
					o.slots[i].Fields[j].Value = o.changes[i].Changes[at].New
				}
			}
		}
	}
}

// report says what was found.
func (d *decision) report() *Report {
	r := &Report{Commits: []Commit{}, Policies: []Policy{}, Settled: []Policy{}, Problems: d.allProblems(), Notices: d.set.notices}
	for _, o := range d.policies {
		r.Policies = append(r.Policies, o.policy())
		r.Settled = append(r.Settled, o.settled())
		if o.order != nil {
			r.Problems = o.own(r.Problems)
		}
	}
	return r
}

// allProblems adds the fields that can't be written to what is wrong besides.
func (d *decision) allProblems() []Problem {
	problems := slices.Clone(d.problems)
	for _, o := range d.policies {
		if o.aim == "" {
			continue
		}
		for i, v := range o.verdicts {
			if v.Reason == Failed {
				f := o.slots[i].Fields[0]
				problems = append(problems, Problem{f.File, f.Line, v.Message})
			}
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Message, b.Message))
	})
	problems = slices.Compact(problems)
	if problems == nil {
		problems = []Problem{}
	}
	return problems
}

// settled is the policy after a pass that changes nothing any more.
func (o *outcome) settled() Policy {
	updated := func(v decide.Verdict) bool { return v.Reason == Updated }
	if !slices.ContainsFunc(o.verdicts, updated) {
		return o.policy()
	}
	next := *o
	next.verdicts = slices.Clone(o.verdicts)
	for i, v := range o.decide() {
		if updated(o.verdicts[i]) {
			next.verdicts[i] = v
		}
	}
	return next.policy()
}

func (o *outcome) policy() Policy {
	namespace, name, _ := strings.Cut(o.name, "/")
	p := Policy{Name: name, Namespace: namespace, Image: o.spec.Image, Fields: []Field{}, Reason: NoField, UID: o.uid, Generation: o.generation}
	p.Selected, p.Stale = o.shown(), o.stale()
	p.Current = current(o.slots)
	p.Digests = digests(o.slots)
	p.Request = o.request
	p.Message = fmt.Sprintf("no marker and no target of the repository is bound to %s", o.name)
	for i, v := range o.verdicts {
		for _, f := range o.slots[i].Fields {
			p.Fields = append(p.Fields, Field{f.File, f.Line, f.Value, v.Reason, v.Message})
		}
		if v.Reason.Graver(p.Reason) {
			p.Reason, p.Message = v.Reason, v.Message
		}
	}
	switch {
	case o.aim == "":
		p.Reason, p.Message = o.reason, o.message
	case o.spec.Suspend && Suspended.Graver(p.Reason) && o.order == nil:
		p.Reason, p.Message = Suspended, o.name+" is suspended"
	case o.pin != "" && p.Reason == UpToDate:
		p.Reason, p.Message = Pinned, fmt.Sprintf("%s stays at %s while spec.pin names %s", o.name, decide.Show(o.aim), o.pin)
	case o.order.is(decide.Resume) && p.Reason == UpToDate:
		p.Message = "holds the selection already: nothing was written, and so no veto lifted"
	}
	return p
}

// digests are those that slots hold, each once.
func digests(slots []gitwriter.Slot) []string {
	var found []string
	for _, s := range slots {
		if d := s.Value.Digest(); d != "" && !slices.Contains(found, d) {
			found = append(found, d)
		}
	}
	return found
}

// current is what all slots hold, or nil where they differ.
func current(slots []gitwriter.Slot) *TagDigest {
	if len(slots) == 0 {
		return nil
	}
	for _, s := range slots {
		if s.Value != slots[0].Value {
			return nil
		}
	}
	if slots[0].Value == ledger.Unknown {
		return nil
	}
	return &TagDigest{slots[0].Value.Tag(), slots[0].Value.Digest()}
}

func (d *decision) explain(p declared) *Explanation {
	x := &Explanation{Rule: p.rule.String(), Candidates: []Candidate{}, Vetoes: []Veto{}, Problems: []Problem{}}
	for _, o := range d.policies {
		if o.name != p.name {
			continue
		}
		x.Policy = o.policy()
		for i, c := range o.ranking.Kept {
			x.Candidates = append(x.Candidates, Candidate{Tag: c.Tag, Rank: i + 1})
		}
		for _, c := range o.ranking.Dropped {
			x.Candidates = append(x.Candidates, Candidate{Tag: c.Tag, Dropped: c.Reason})
		}
		for _, v := range o.record.Vetoes {
			x.Vetoes = append(x.Vetoes, o.veto(v))
		}
		x.Problems = o.own(d.allProblems())
	}
	return x
}

// own are the problems that concern the policy: of its file, of the files with
// its fields, and of its commits.
func (o *outcome) own(problems []Problem) []Problem {
	return slices.DeleteFunc(problems, func(p Problem) bool {
		there := func(s gitwriter.Slot) bool { return s.ID.File == p.File }
		return p.File != "" && p.File != o.file && !slices.ContainsFunc(o.slots, there)
	})
}

// veto adds who undid the value, where one commit is known to have.
func (o *outcome) veto(v ledger.Value) Veto {
	veto := Veto{TagDigest: TagDigest{v.Tag(), v.Digest()}}
	for _, s := range o.slots {
		doer, known := o.record.Doer[s.ID]
		if known {
			veto.By, veto.Author, veto.When = doer.Commit, doer.Name, doer.When.UTC().Format(time.RFC3339)
		}
	}
	return veto
}
