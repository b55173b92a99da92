// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/policy"
	"github.com/pintle-dev/pintle/reconcile/decide"
	"github.com/pintle-dev/pintle/registry"
)

// maxWalk is how many candidates a look goes through, from the best one down, to find
// one that passes the gates. Each costs a request.
const maxWalk = 50

// gates keep candidates back that the rule admits.
type gates struct {
	sightings

	now time.Time
}

// walk goes down the candidates until one passes.
type walk struct {
	pass  *registry.Pass
	gates gates
	p     declared
	r     *resolution
	kept  []decide.Gated // back
}

// pick resolves the best candidate that passes the gates to its digest. Those above it
// are dropped, each with its reason.
func pick(ctx context.Context, pass *registry.Pass, g gates, p declared, r *resolution) {
	if len(r.ranking.Kept) == 0 {
		r.reason, r.message = NoMatch, noMatch(p, r.ranking)
		return
	}
	w := walk{pass: pass, gates: g, p: p, r: r}
	for _, c := range r.ranking.Kept[:min(len(r.ranking.Kept), maxWalk)] {
		value, kept, err := w.try(ctx, c)
		if err != nil {
			r.reason, r.message, r.silent = Failed, err.Error(), !isMissing(err) && !errors.Is(err, errNoRecord)
			return
		}
		if kept == nil {
			r.selection = value
			break
		}
		w.kept = append(w.kept, *kept)
	}
	w.drop()
	if r.selection == "" {
		r.reason, r.message = w.nothing()
	}
}

// try puts one candidate to the gates. Whatever keeps it back, it counts as seen.
func (w *walk) try(ctx context.Context, c policy.Candidate) (ledger.Value, *decide.Gated, error) {
	digest, err := w.pass.Digest(ctx, w.p.spec.Image, c.Tag)
	kept := &decide.Gated{Value: ledger.NewValue(c.Tag, digest), Created: c.Created}
	if isMissing(err) && w.p.rule.NeedsList() {
		kept.Why = "the registry lists it and has no image of it"
		return "", kept, nil
	}
	if err != nil {
		return "", nil, err
	}
	old, err := w.oldEnough(digest)
	if err != nil {
		return "", nil, err
	}
	lacks, err := w.lacks(ctx, digest)
	switch {
	case isMissing(err) && w.p.rule.NeedsList():
		kept.Why = "the registry no longer has its image"
	case err != nil:
		return "", nil, err
	case lacks != "":
		kept.Why = lacks
	case old.passes(w.gates.now):
		return kept.Value, nil, nil
	default:
		kept.Why, kept.Until = old.String(), old.enough
	}
	return "", kept, nil
}

// age is when a digest was first seen, and when it is old enough.
type age struct{ seen, enough time.Time }

func (a age) passes(now time.Time) bool { return !a.enough.After(now) }

func (a age) String() string {
	return fmt.Sprintf("first seen %s, old enough at %s", when(a.seen), when(a.enough.Add(time.Second-1)))
}

// oldEnough is the zero age where the policy has no minimum.
func (w *walk) oldEnough(digest string) (age, error) {
	if w.p.spec.MinimumAge == nil {
		return age{}, nil
	}
	seen, err := w.gates.firstSeen(w.p, digest, w.gates.now)
	return age{seen, seen.Add(w.p.spec.MinimumAge.Duration)}, err
}

// lacks says which of the wanted platforms an image is not for, or nothing.
func (w *walk) lacks(ctx context.Context, digest string) (string, error) {
	if len(w.p.spec.Platforms) == 0 {
		return "", nil
	}
	has, err := w.pass.Platforms(ctx, w.p.spec.Image, digest)
	if err != nil {
		return "", err
	}
	missing := slices.DeleteFunc(slices.Clone(w.p.spec.Platforms), func(want string) bool {
		return slices.Contains(has, registry.NormalPlatform(want))
	})
	switch {
	case len(missing) == 0:
		return "", nil
	case len(has) == 0:
		return fmt.Sprintf("it is not for %s, nor for any platform", strings.Join(missing, " and ")), nil
	}
	return fmt.Sprintf("it is not for %s, only for %s", strings.Join(missing, " and "), strings.Join(has, ", ")), nil
}

// drop takes what was kept back out of the ranking. Others share its lists.
func (w *walk) drop() {
	if len(w.kept) == 0 {
		return
	}
	r := &w.r.ranking
	r.Kept = r.Kept[len(w.kept):]
	r.Dropped = slices.Clone(r.Dropped)
	for _, k := range w.kept {
		r.Dropped = append(r.Dropped, policy.Dropped{Tag: k.Value.Tag(), Reason: k.Why})
	}
	slices.SortFunc(r.Dropped, func(a, b policy.Dropped) int { return strings.Compare(a.Tag, b.Tag) })
	w.r.gated = w.kept
}

// nothing says why no candidate passed.
func (w *walk) nothing() (Reason, string) {
	bound := ""
	if len(w.r.ranking.Kept) > 0 {
		bound = fmt.Sprintf("; only the best %d are looked at, so narrow the rule if there are always as many that can't be taken", maxWalk)
	}
	young := slices.DeleteFunc(slices.Clone(w.kept), func(k decide.Gated) bool { return !k.Young() })
	if len(young) == 0 {
		return NoMatch, fmt.Sprintf("none of the %d best tags of %s that fit %s can be taken; for example %q: %s%s",
			len(w.kept), w.p.spec.Image, w.p.rule, w.kept[0].Value.Tag(), w.kept[0].Why, bound)
	}
	next := slices.MinFunc(young, func(a, b decide.Gated) int { return a.Until.Compare(b.Until) })
	return TooYoung, fmt.Sprintf("%s waits for %s: %s%s", w.p.name, next.Value.Tag(), next.Why, bound)
}
