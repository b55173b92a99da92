// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/policy"
	"github.com/pintle-dev/pintle/reconcile/decide"
	"github.com/pintle-dev/pintle/registry"
)

// parallel is how many policies are resolved side by side.
const parallel = 8

// resolution is what a registry and a rule say of a policy.
type resolution struct {
	ranking   policy.Ranking
	selection ledger.Value
	// gated are the candidates that rank above the selection and were kept back.
	gated []decide.Gated
	// created holds creation times by tag, for rules that rank by them.
	created map[string]time.Time
	// reason and message say why there is no selection.
	reason  Reason
	message string
	// served are the tags and digests that this process was served before; nil where
	// nobody remembers.
	served map[ledger.Value]bool
	// cause is what made somebody look and find the selection; empty for the schedule.
	cause string
	// source is the commit that the build made the selection of, where that is the cause.
	source string
	// silent: the registry gave no answer at all.
	silent bool
	// last is what was selected before the registry fell silent. It is for reports,
	// and never written: what stands in a registry now is not known.
	last ledger.Value
	// pass is where more was and is asked about the image, by this client.
	pass   *registry.Pass
	client *registry.Client
}

// after keeps what was selected before, where the registry does not answer now.
func (r *resolution) after(before resolution) {
	if !r.silent {
		return
	}
	if r.last = before.selection; r.last == "" {
		r.last = before.last
	}
	if r.last != "" {
		r.message += "; the last selection was " + decide.Show(r.last)
	}
}

// shown is the selection for reports, the last one if there is none now.
func (r *resolution) shown() *TagDigest {
	v := r.selection
	if v == "" {
		v = r.last
	}
	if v == "" {
		return nil
	}
	return &TagDigest{v.Tag(), v.Digest()}
}

// stale tells whether what is shown is the last selection only.
func (r *resolution) stale() bool { return r.selection == "" && r.last != "" }

// subject is what a ranking depends on, besides the registry.
type subject struct{ image, rule string }

func (p declared) subject() subject { return subject{p.spec.Image, p.ruleText} }

// rankings remembers from pass to pass how rules ranked the tags of images: most
// lists are the same the next time.
type rankings map[subject]ranked

type ranked struct {
	used    time.Time // the last time, by an account
	tags    []string
	ranking policy.Ranking
}

// selections remembers from pass to pass what was selected last, by question.
type selections map[string]ledger.Value

// note brings up what was selected before, or takes down what is now.
func (s selections) note(p declared, found *resolution) {
	found.after(resolution{selection: s[p.question]})
	switch {
	case found.selection != "":
		s[p.question] = found.selection
	case !found.silent:
		delete(s, p.question)
	}
}

// keep forgets what no policy asks for any more.
func (s selections) keep(policies map[string]declared) {
	wanted := make(map[string]bool, len(policies))
	for _, p := range policies {
		wanted[p.question] = true
	}
	maps.DeleteFunc(s, func(question string, _ ledger.Value) bool { return !wanted[question] })
}

// keep forgets what no policy asks for any more.
func (k rankings) keep(policies map[string]declared) {
	wanted := make(map[subject]bool, len(policies))
	for _, p := range policies {
		wanted[p.subject()] = true
	}
	maps.DeleteFunc(k, func(s subject, _ ranked) bool { return !wanted[s] })
}

// resolve asks the registries for all these policies. It lists and ranks once
// for all policies with the same rule on the same image.
func resolve(ctx context.Context, pass *registry.Pass, known rankings, g gates, policies []declared) (map[string]resolution, error) {
	bySubject := map[subject]int{}
	var leaders []declared
	for _, p := range policies {
		if _, ok := bySubject[p.subject()]; !ok {
			bySubject[p.subject()] = len(leaders)
			leaders = append(leaders, p)
		}
	}
	results := make([]resolution, len(leaders))
	lists := make([]ranked, len(leaders))
	err := each(ctx, len(leaders), func(ctx context.Context, i int) {
		results[i], lists[i] = candidates(ctx, pass, known[leaders[i].subject()], leaders[i])
	})
	if err != nil {
		return nil, err
	}
	for i, p := range leaders {
		if lists[i].tags != nil {
			known[p.subject()] = lists[i]
		}
	}
	own := make([]resolution, len(policies))
	err = each(ctx, len(policies), func(ctx context.Context, i int) {
		own[i] = results[bySubject[policies[i].subject()]]
		if own[i].reason == "" {
			pick(ctx, pass, g, policies[i], &own[i])
		}
	})
	byName := make(map[string]resolution, len(policies))
	for i, p := range policies {
		byName[p.name] = own[i]
	}
	return byName, err
}

// each does something for each number below n, some side by side.
func each(ctx context.Context, n int, do func(ctx context.Context, i int)) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error {
			do(groupCtx, i)
			return groupCtx.Err()
		})
	}
	return group.Wait()
}

// candidates lists and ranks what the rule looks at. The second result holds
// tags where it may be used again for the same list.
func candidates(ctx context.Context, pass *registry.Pass, before ranked, p declared) (resolution, ranked) {
	if !p.rule.NeedsList() {
		return resolution{ranking: p.rule.Rank([]policy.Candidate{{Tag: p.spec.Select.Tag}})}, ranked{}
	}
	tags, err := pass.Tags(ctx, p.spec.Image)
	if err != nil {
		return unanswered(err), ranked{}
	}
	if p.rule.NeedsCreated() {
		return datedCandidates(ctx, pass, p, tags), ranked{}
	}
	if before.tags != nil && slices.Equal(before.tags, tags) {
		return resolution{ranking: before.ranking}, before
	}
	list := make([]policy.Candidate, 0, len(tags))
	for _, tag := range tags {
		list = append(list, policy.Candidate{Tag: tag})
	}
	ranking := p.rule.Rank(list)
	return resolution{ranking: ranking}, ranked{tags: tags, ranking: ranking}
}

// unanswered is without a selection, for want of an answer from the registry.
func unanswered(err error) resolution {
	return resolution{reason: Failed, message: err.Error(), silent: !isMissing(err)}
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
func dateCurrent(ctx context.Context, p declared, r *resolution, values []ledger.Value) {
	r.created = maps.Clone(r.created) // Others share it.
	for _, v := range values {
		if _, listed := r.created[v.Tag()]; listed || v.Digest() == "" {
			continue
		}
		// That it was dated once does not say that the registry still has it: one
		// who never asked before could not tell.
		if _, err := r.pass.Digest(ctx, p.spec.Image, v.Digest()); err != nil {
			continue
		}
		if created, err := r.pass.Created(ctx, p.spec.Image, v.Digest()); err == nil {
			r.created[v.Digest()] = created
		}
	}
}
