// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"slices"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// lineage tells how the commits that claim to be entries follow each other, and
// where lines with claims of their own were merged. It grows with the history,
// and is made anew where the branch was forced elsewhere.
type lineage struct {
	claims []claim
	// naming are the numbers of claims that name a policy.
	naming map[string][]int
	// merges are the numbers of claims that are such merges.
	merges []int
	// nearest holds, for each commit of the history, the claims that it directly
	// follows, or is.
	nearest [][]int
	// history is as far as all this goes.
	history []*mirror.Commit
}

func newLineage() *lineage { return &lineage{naming: map[string][]int{}} }

// claim is a commit with trailers of Pintle's, or a merge of lines with some.
type claim struct {
	commit   *mirror.Commit
	trailers []ledger.Trailer
	// malformed are the policies of lines that begin as a trailer and are none.
	malformed []string
	// policies are those that it names, each once.
	policies []string
	// up are the claims that it directly follows.
	up []int
}

// extend adds the commits that are new in the history.
func (l *lineage) extend(history []*mirror.Commit) *lineage {
	known := len(l.history)
	if !begins(history, l.history) {
		return newLineage().extend(history)
	}
	l.history = history
	for _, c := range history[known:] {
		nearest := l.join(c.Parents)
		var trailers []ledger.Trailer
		var malformed []string
		if c.Text != nil {
			trailers, malformed = ledger.Parse(c.Text.Message)
		}
		if len(trailers)+len(malformed) > 0 || len(nearest) > 1 {
			number := len(l.claims)
			if len(nearest) > 1 {
				l.merges = append(l.merges, number)
			}
			names := policiesOf(trailers, malformed)
			for _, policy := range names {
				l.naming[policy] = append(l.naming[policy], number)
			}
			l.claims = append(l.claims, claim{c, trailers, malformed, names, nearest})
			nearest = []int{number}
		}
		l.nearest = append(l.nearest, nearest)
	}
	return l
}

// begins tells whether a history begins with an earlier one. It need not where it holds
// the last head at the same place: a merge may put what led there in another order.
func begins(history, earlier []*mirror.Commit) bool {
	n := len(earlier)
	if n == 0 || n > len(history) {
		return n == 0
	}
	return &history[0] == &earlier[0] || slices.Equal(history[:n], earlier)
}

// join puts together what the parents of a commit directly follow.
func (l *lineage) join(parents []*mirror.Commit) []int {
	if len(parents) == 0 {
		return nil
	}
	joined := l.nearest[parents[0].Index]
	for _, p := range parents[1:] {
		other := l.nearest[p.Index]
		if slices.Equal(joined, other) {
			continue
		}
		joined = slices.Concat(joined, other)
		slices.Sort(joined)
		joined = l.outermost(slices.Compact(joined))
	}
	return joined
}

// outermost leaves out the claims that others among them follow.
func (l *lineage) outermost(claims []int) []int {
	if len(claims) < 2 {
		return claims
	}
	return slices.DeleteFunc(slices.Clone(claims), func(old int) bool {
		return slices.ContainsFunc(claims, func(young int) bool { return young > old && l.follows(young, old) })
	})
}

// follows tells whether a claim has another one among its ancestors. Ancestors
// have lower numbers.
func (l *lineage) follows(young, old int) bool {
	found := false
	l.visit(l.claims[young].up, func(n int) bool {
		found = found || n == old
		return n > old && !found
	})
	return found
}

// nearestOf finds the outermost claims that count, at or before these.
func (l *lineage) nearestOf(from []int, counts func(int) bool) []int {
	var found []int
	l.visit(from, func(n int) bool {
		if counts(n) {
			found = append(found, n)
			return false
		}
		return true
	})
	slices.Sort(found)
	return l.outermost(found)
}

// visit goes to claims and on to those that they follow, as far as on says.
func (l *lineage) visit(from []int, on func(int) bool) {
	for len(from) == 1 { // Where nothing was merged, no claim is met twice.
		if !on(from[0]) {
			return
		}
		from = l.claims[from[0]].up
	}
	seen := map[int]bool{}
	todo := slices.Clone(from)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		if on(n) {
			todo = append(todo, l.claims[n].up...)
		}
	}
}
