// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"sync"
)

// List is candidates that several rules rank. What rules have in common that read
// and order tags alike is done once. It is safe for concurrent use.
type List struct {
	candidates []Candidate // each tag once, sorted

	mu        sync.Mutex
	orderings map[reading]*ordering
}

// reading is how a rule reads and orders tags, apart from which it admits.
type reading struct {
	order            any
	pattern, extract string
}

// ordering is what one way of reading makes of the candidates of a list.
type ordering struct {
	// entries have a place in the order, the best one first; best are their
	// candidates, which rankings share.
	entries []*entry
	best    []Candidate
	misread []misread
}

// misread is a candidate that has no place in an order.
type misread struct{ tag, name, reason string }

// NewList leaves candidates as it is. Of one tag, the candidate created last counts.
func NewList(candidates []Candidate) *List {
	return &List{candidates: distinct(candidates), orderings: map[reading]*ordering{}}
}

// Rank orders the candidates by a rule. The same set of candidates, in any order
// and with any duplicates, gives the same ranking. Rankings share their lists.
func (l *List) Rank(r *Rule) Ranking {
	o := l.ordering(r)
	var ranking Ranking
	for _, m := range o.misread {
		reason := r.bars(m.tag, m.name)
		if reason == "" {
			reason = m.reason
		}
		ranking.Dropped = append(ranking.Dropped, Dropped{m.tag, reason})
	}
	first := 0
	for i, e := range o.entries {
		if reason := r.refuses(e); reason != "" {
			ranking.Dropped = append(ranking.Dropped, Dropped{e.Tag, reason})
			continue
		}
		if len(ranking.Kept) == 0 {
			first = i
		}
		if first+len(ranking.Kept) == i { // Without a gap, they are a part of all.
			ranking.Kept = o.best[first : i+1 : i+1]
		} else {
			ranking.Kept = append(ranking.Kept, e.Candidate)
		}
	}
	slices.SortFunc(ranking.Dropped, func(a, b Dropped) int { return strings.Compare(a.Tag, b.Tag) })
	return ranking
}

// ordering reads and orders all candidates, once for all rules that do it alike.
func (l *List) ordering(r *Rule) *ordering {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.orderings[r.reading()]
	if o == nil {
		o = r.arrange(l.candidates)
		l.orderings[r.reading()] = o
	}
	return o
}

func (r *Rule) reading() reading {
	as := reading{order: r.order.alike()}
	if r.filter != nil {
		as.pattern, as.extract = r.filter.pattern.String(), r.filter.extract
	}
	return as
}

// arrange reads each candidate's tag and orders those that have a place.
func (r *Rule) arrange(candidates []Candidate) *ordering {
	o := &ordering{}
	entries := make([]entry, 0, len(candidates))
	for _, c := range candidates {
		name := nameProblem(c.Tag)
		if name != "" {
			o.misread = append(o.misread, misread{tag: c.Tag, name: name})
			continue
		}
		k, reason := r.read(c.Tag)
		if reason != "" {
			o.misread = append(o.misread, misread{tag: c.Tag, reason: reason})
			continue
		}
		entries = append(entries, entry{c, k})
	}
	o.entries, o.best = make([]*entry, len(entries)), make([]Candidate, len(entries))
	for i := range entries {
		o.entries[i] = &entries[i]
	}
	slices.SortFunc(o.entries, func(a, b *entry) int { return r.compare(b, a) })
	for i, e := range o.entries {
		o.best[i] = e.Candidate
	}
	return o
}
