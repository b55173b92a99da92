// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/policy"
	"github.com/pintle-dev/pintle/registry"
)

// parallel is how many policies are resolved side by side.
const parallel = 8

// resolution is what a registry and a rule say of a policy.
type resolution struct {
	ranking   policy.Ranking
	selection ledger.Value
	// created holds creation times by tag, for rules that rank by them.
	created map[string]time.Time
	// reason and message say why there is no selection.
	reason  Reason
	message string
}

// resolve asks the registries for all these policies.
func resolve(ctx context.Context, pass *registry.Pass, policies []declared) (map[string]resolution, error) {
	results := make([]resolution, len(policies))
	lists := make([][]policy.Candidate, len(policies))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, p := range policies {
		group.Go(func() error {
			results[i], lists[i] = candidates(groupCtx, pass, p)
			return groupCtx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	rank(policies, lists, results)
	group, groupCtx = errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, p := range policies {
		if results[i].reason == "" {
			group.Go(func() error {
				pick(groupCtx, pass, p, &results[i])
				return groupCtx.Err()
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	byName := make(map[string]resolution, len(policies))
	for i, p := range policies {
		byName[p.name] = results[i]
	}
	return byName, nil
}

// candidates lists what the rule looks at.
func candidates(ctx context.Context, pass *registry.Pass, p declared) (resolution, []policy.Candidate) {
	if !p.rule.NeedsList() {
		return resolution{}, []policy.Candidate{{Tag: p.spec.Select.Tag}}
	}
	tags, err := pass.Tags(ctx, p.spec.Image)
	if err != nil {
		return resolution{reason: Failed, message: err.Error()}, nil
	}
	r := resolution{}
	if p.rule.NeedsCreated() {
		r.created = map[string]time.Time{}
	}
	list := make([]policy.Candidate, 0, len(tags))
	for _, tag := range tags {
		c := policy.Candidate{Tag: tag}
		if p.rule.NeedsCreated() {
			if ok, _ := p.rule.Admits(tag); ok {
				if c.Created, err = pass.Created(ctx, p.spec.Image, tag); err != nil {
					return resolution{reason: Failed, message: err.Error()}, nil
				}
				r.created[tag] = c.Created
			}
		}
		list = append(list, c)
	}
	return r, list
}

// rank ranks once for all policies with the same rule on the same image.
func rank(policies []declared, lists [][]policy.Candidate, results []resolution) {
	type key struct{ image, rule string }
	done := map[key]policy.Ranking{}
	for i, p := range policies {
		if results[i].reason != "" {
			continue
		}
		k := key{p.spec.Image, p.ruleText}
		ranking, ok := done[k]
		if !ok {
			ranking = p.rule.Rank(lists[i])
			done[k] = ranking
		}
		results[i].ranking = ranking
	}
}

// pick resolves the best candidate to its digest.
func pick(ctx context.Context, pass *registry.Pass, p declared, r *resolution) {
	switch {
	case len(p.spec.Platforms) > 0:
		r.reason, r.message = Failed, "spec.platforms is not supported yet: remove it, or the policy moves nothing"
		return
	case p.spec.MinimumAge != nil:
		r.reason, r.message = TooYoung, "spec.minimumAge needs a record of when a digest was first seen, which this version does not keep: remove it, or the policy moves nothing"
		return
	case len(r.ranking.Kept) == 0:
		r.reason, r.message = NoMatch, noMatch(p, r.ranking)
		return
	}
	tag := r.ranking.Kept[0].Tag
	digest, err := pass.Digest(ctx, p.spec.Image, tag)
	if err != nil {
		r.reason, r.message = Failed, err.Error()
		return
	}
	r.selection = ledger.NewValue(tag, digest)
}

func noMatch(p declared, ranking policy.Ranking) string {
	if len(ranking.Dropped) == 0 {
		return fmt.Sprintf("the registry lists no tag of %s", p.spec.Image)
	}
	first := ranking.Dropped[0]
	return fmt.Sprintf("none of the %d tags of %s fits %s; for example %q: %s", len(ranking.Dropped), p.spec.Image, p.rule, first.Tag, first.Reason)
}

// dateCurrent adds to created what fields hold that the list no longer has, so
// that a rule by creation time can rank it by its digest.
func dateCurrent(ctx context.Context, pass *registry.Pass, p declared, r resolution, values []ledger.Value) {
	for _, v := range values {
		if _, listed := r.created[v.Tag()]; listed || v.Digest() == "" {
			continue
		}
		if created, err := pass.Created(ctx, p.spec.Image, v.Digest()); err == nil {
			r.created[v.Digest()] = created
		}
	}
}
