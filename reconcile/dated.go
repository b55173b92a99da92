// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pintle-dev/pintle/policy"
	"github.com/pintle-dev/pintle/registry"
)

// datedCandidates ranks tags whose images' creation times matter; those that the rule
// drops by name cost nothing. A tag that the registry lists and has no image for is
// dropped, as if it were deleted. One that got no answer might be the newest: there is
// no selection without it.
func datedCandidates(ctx context.Context, pass *registry.Pass, p declared, tags []string) resolution {
	dates := make([]dated, len(tags))
	for i, tag := range tags {
		dates[i].Tag = tag
		dates[i].asked, _ = p.rule.Admits(tag)
	}
	dateAll(ctx, pass, p.spec.Image, dates)
	r := resolution{created: map[string]time.Time{}}
	list := make([]policy.Candidate, 0, len(tags))
	var gone []policy.Dropped
	for _, d := range dates {
		switch {
		case isMissing(d.fault):
			gone = append(gone, policy.Dropped{Tag: d.Tag, Reason: "the registry lists it and has no image of it"})
			continue
		case d.fault != nil:
			return unanswered(d.fault)
		case d.asked:
			r.created[d.Tag] = d.Created
		}
		list = append(list, d.Candidate)
	}
	r.ranking = p.rule.Rank(list)
	r.ranking.Dropped = append(r.ranking.Dropped, gone...)
	slices.SortFunc(r.ranking.Dropped, func(a, b policy.Dropped) int { return strings.Compare(a.Tag, b.Tag) })
	return r
}

// dated is a candidate, and what came of the question when it was made.
type dated struct {
	policy.Candidate

	asked bool
	fault error
}

// dateAll asks for several at the same time, and no more after one without an answer.
// How many are on their way, and whose turn it is, the registry's limits say.
func dateAll(ctx context.Context, pass *registry.Pass, image string, dates []dated) {
	var ended atomic.Bool
	err := each(ctx, len(dates), func(ctx context.Context, i int) {
		d := &dates[i]
		if !d.asked || ended.Load() {
			return
		}
		if d.Created, d.fault = pass.Created(ctx, image, d.Tag); d.fault != nil && !isMissing(d.fault) {
			ended.Store(true)
		}
	})
	if err != nil && len(dates) > 0 {
		dates[0].fault = err // the caller gave up
	}
}
