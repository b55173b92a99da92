// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"time"
)

// Rule is a compiled Spec. It is never changed, and safe for concurrent use.
type Rule struct {
	text     string // what String says
	order    order
	filter   *filter // nil: every tag, as a whole
	excludes []exclude
	newest   bool
	follows  string // the one tag of a rule that follows it; else empty
}

// Candidate is a tag that a rule looks at.
type Candidate struct {
	Tag string
	// Created is the creation time of the tag's image, which only the newest
	// rule reads; the zero time: unknown.
	Created time.Time
}

// Ranking is what a rule makes of candidates. Each distinct tag of the input
// is in it once.
type Ranking struct {
	// Kept are the admitted candidates, the best one first.
	Kept []Candidate
	// Dropped are the others, sorted by tag.
	Dropped []Dropped
}

// Dropped is a candidate that the rule does not admit.
type Dropped struct {
	// Tag is as the candidate has it; it may be no valid tag, so quote it.
	Tag string
	// Reason is one line for people, to stand after the tag and a colon.
	Reason string
}

// Rank is List.Rank for one rule alone.
func (r *Rule) Rank(candidates []Candidate) Ranking { return NewList(candidates).Rank(r) }

// distinct sorts candidates by tag and keeps the one created last of each tag.
func distinct(candidates []Candidate) []Candidate {
	sorted := slices.Clone(candidates)
	slices.SortFunc(sorted, func(a, b Candidate) int {
		if c := strings.Compare(a.Tag, b.Tag); c != 0 {
			return c
		}
		return b.Created.Compare(a.Created)
	})
	return slices.CompactFunc(sorted, func(a, b Candidate) bool { return a.Tag == b.Tag })
}

// Admits says whether the rule admits a tag by its name alone, and if not, why.
// For the newest rule that is all but the creation time.
func (r *Rule) Admits(tag string) (ok bool, reason string) {
	if reason = r.bars(tag, nameProblem(tag)); reason != "" {
		return false, reason
	}
	k, reason := r.read(tag)
	if reason == "" {
		reason = r.order.outside(k)
	}
	return reason == "", reason
}

// Compare tells how two candidates rank: above zero where a ranks above b, and
// zero for one tag or where the rule follows a tag. It goes by filter and
// extract but not by range and exclude, so that a tag that the rule does not
// admit, or no longer, can be placed too. It is false where a candidate has no
// place in the rule's order.
func (r *Rule) Compare(a, b Candidate) (int, bool) {
	if r.FollowsTag() {
		return 0, true
	}
	left, reason := r.place(a)
	if reason != "" {
		return 0, false
	}
	right, reason := r.place(b)
	if reason != "" {
		return 0, false
	}
	return r.compare(&left, &right), true
}

// NeedsList is false where the rule knows its tag without the registry's list.
func (r *Rule) NeedsList() bool { return !r.FollowsTag() }

// NeedsCreated is true where the rule reads Candidate.Created.
func (r *Rule) NeedsCreated() bool { return r.newest }

// FollowsTag is true for a rule that follows one tag and has no order.
func (r *Rule) FollowsTag() bool { return r.follows != "" }

// String describes the rule in one line, as in "semver >=6.0.0 <7".
func (r *Rule) String() string { return r.text }

// refuses is why the rule does not admit a candidate that has a place in its order.
func (r *Rule) refuses(e *entry) string {
	if reason := r.bars(e.Tag, ""); reason != "" {
		return reason
	}
	if reason := r.order.outside(e.key); reason != "" {
		return reason
	}
	if r.newest {
		return timeProblem(e.Created)
	}
	return ""
}

// bars is why the rule does not even read a tag; name is what is wrong with its name.
func (r *Rule) bars(tag, name string) string {
	switch {
	case r.FollowsTag() && tag != r.follows:
		return "not the tag that the rule follows, " + r.follows
	case name != "":
		return name
	}
	return r.excluded(tag)
}

// place prepares any candidate that has a place in the order for comparison.
func (r *Rule) place(c Candidate) (entry, string) {
	if reason := nameProblem(c.Tag); reason != "" {
		return entry{}, reason
	}
	k, reason := r.read(c.Tag)
	if reason != "" {
		return entry{}, reason
	}
	if r.newest {
		reason = timeProblem(c.Created)
	}
	return entry{c, k}, reason
}

// excluded is the reason of a tag that an exclude pattern matches.
func (r *Rule) excluded(tag string) string {
	for _, e := range r.excludes {
		if e.pattern.MatchString(tag) {
			return e.hit
		}
	}
	return ""
}

// read is what the rule's order makes of a tag's value.
func (r *Rule) read(tag string) (key, string) {
	value, reason := r.value(tag)
	if reason != "" {
		return key{}, reason
	}
	k, reason := r.order.read(value)
	if reason != "" && value != tag {
		reason = "extracted " + quote(value) + " " + reason
	}
	return k, reason
}

// value is the part of a tag that the rule reads.
func (r *Rule) value(tag string) (value, reason string) {
	if r.filter == nil {
		return tag, ""
	}
	return r.filter.value(tag)
}

// compare is the total order: above zero where a ranks above b, and zero only
// for one tag.
func (r *Rule) compare(a, b *entry) int {
	if c := r.order.compare(a, b); c != 0 {
		return c
	}
	return strings.Compare(a.Tag, b.Tag)
}
