// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/reconcile/decide"
	"github.com/pintle-dev/pintle/registry"
)

// Account asks registries with one login, for all policies that share it. It is
// for the life of a process and safe for concurrent use.
type Account struct {
	client *registry.Client

	mu       sync.Mutex
	passes   []begunPass // the oldest first
	rankings rankings
}

// begunPass is a pass, and when its first question can have been asked.
type begunPass struct {
	*registry.Pass

	begun time.Time
}

const (
	// keepPass is how long a pass can be shared.
	keepPass = time.Minute
	// keepRanking is how long one is kept that nobody asks for: a rule may be changed
	// again and again. To rank anew costs little.
	keepRanking = time.Hour
)

// NewAccount makes an account; it asks nothing yet.
func NewAccount(options registry.Options) *Account {
	return &Account{client: registry.New(options), rankings: rankings{}}
}

// since is the oldest pass whose answers were all asked for after a question came up.
// Whoever has questions of the same moment shares it, and so each is asked once.
func (a *Account) since(question time.Time) begunPass {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.passes {
		if !p.begun.Before(question) {
			return p
		}
	}
	fresh := begunPass{a.client.Pass(), time.Now()}
	a.passes = slices.DeleteFunc(a.passes, func(p begunPass) bool { return fresh.begun.Sub(p.begun) > keepPass })
	a.passes = append(a.passes, fresh)
	return fresh
}

// remembered are the rankings of what policies are about.
func (a *Account) remembered(policies []declared) rankings {
	a.mu.Lock()
	defer a.mu.Unlock()
	some := rankings{}
	for _, p := range policies {
		if known, ok := a.rankings[p.subject()]; ok {
			some[p.subject()] = known
		}
	}
	return some
}

func (a *Account) remember(some rankings) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for s, r := range some {
		r.used = now
		a.rankings[s] = r
	}
	maps.DeleteFunc(a.rankings, func(_ subject, r ranked) bool { return now.Sub(r.used) > keepRanking })
}

// Resolution is what a registry and a rule last said of a policy.
type Resolution struct {
	// Selected is nil where nothing could be selected; Reason and Message say why.
	Selected *TagDigest
	// Last is what was selected before the registry stopped to answer; nil where it
	// answers, or never did.
	Last *TagDigest
	// FirstSeen is when this process first saw the selected digest, or the last one,
	// under the policy.
	FirstSeen time.Time
	// Seen is since when the candidates are known, for spec.minimumAge; nil without it.
	Seen    []Sighting
	Reason  Reason
	Message string

	gated []decide.Gated
}

// Equal tells whether two resolutions say the same.
func (r Resolution) Equal(o Resolution) bool {
	same := func(a, b *TagDigest) bool { return a == b || a != nil && b != nil && *a == *b }
	return same(r.Selected, o.Selected) && same(r.Last, o.Last) && r.Reason == o.Reason && r.Message == o.Message &&
		reflect.DeepEqual(r.gated, o.gated) && slices.Equal(r.Seen, o.Seen)
}

// Resolutions remembers what the registries last said of every policy of a
// cluster, for all engines of a process. It is safe for concurrent use.
type Resolutions struct {
	// Asking is how registries are asked where no policy's login is at hand.
	Asking registry.Options

	mu     sync.Mutex
	known  map[string]looked
	served map[string]served
	seen   map[string]record
	// changes counts up whenever a pass may find another resolution than before.
	changes uint64
	makers  Makers // nil where nobody knows of builds
}

// NewResolutions knows nothing yet.
func NewResolutions() *Resolutions {
	return &Resolutions{known: map[string]looked{}, served: map[string]served{}, seen: map[string]record{}}
}

// served is what the registry was seen to serve of a policy's image.
type served struct {
	image  string
	values map[ledger.Value]bool // is never changed
}

// maxServed bounds what is remembered of one policy.
const maxServed = 1000

// serve notes a selection, and returns what was served so far. The caller has the lock.
func (r *Resolutions) serve(p declared, selection ledger.Value) map[ledger.Value]bool {
	before := r.served[p.name]
	if before.image == p.spec.Image && (selection == "" || before.values[selection]) {
		return before.values
	}
	now := served{p.spec.Image, map[ledger.Value]bool{}}
	if before.image == p.spec.Image && len(before.values) < maxServed {
		maps.Copy(now.values, before.values)
	}
	if selection != "" {
		now.values[selection] = true
	}
	r.served[p.name] = now
	return now.values
}

// looked is a resolution, and the spec that it is about.
type looked struct {
	resolution

	spec  v1alpha1.ImagePolicySpec
	seen  time.Time // the digest, for the first time
	begun time.Time // the pass
}

// answers tells whether the resolution is that of a spec, whatever else the spec says
// besides what is asked of registries.
func (l looked) answers(spec v1alpha1.ImagePolicySpec) bool {
	return l.spec.Image == spec.Image && reflect.DeepEqual(l.spec.Select, spec.Select) &&
		slices.Equal(l.spec.Platforms, spec.Platforms) && reflect.DeepEqual(l.spec.MinimumAge, spec.MinimumAge)
}

// Look asks the registries about valid policies with the same login, for a cause such as
// ByEvent gives. An answer that somebody got after the question came up counts for all.
func (r *Resolutions) Look(ctx context.Context, account *Account, policies []*v1alpha1.ImagePolicy, question time.Time, cause string) error {
	var asked []declared
	for _, p := range policies {
		d, err := compile(p)
		if err != nil {
			return err
		}
		asked = append(asked, d)
	}
	pass, known := account.since(question), account.remembered(asked)
	results, err := resolve(ctx, pass.Pass, known, gates{r, time.Now()}, asked)
	if err != nil {
		return err
	}
	account.remember(known)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range asked {
		found, before := results[p.name], r.known[p.name]
		if before.answers(p.spec) && before.begun.After(pass.begun) {
			continue // Somebody asked later, and was answered sooner.
		}
		found.client, found.pass, found.served = account.client, pass.Pass, r.serve(p, found.selection)
		news := looked{resolution: found, spec: p.spec, begun: pass.begun}
		r.explain(p, &news, cause)
		r.note(p.name, news)
	}
	return nil
}

// Fail notes why the registry could not even be asked for a policy.
func (r *Resolutions) Fail(p *v1alpha1.ImagePolicy, message string) {
	failed := r.unasked()
	failed.reason, failed.message, failed.silent = Failed, message, true
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(nameOf(p), looked{resolution: failed, spec: p.Spec}) // Nobody was asked, so that any answer counts.
}

// changed is how often a pass could find another resolution than before.
func (r *Resolutions) changed() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes
}

// tells whether another resolution says the same to a pass that has nothing to write.
func (r *resolution) tells(o resolution) bool {
	return r.selection == o.selection && r.last == o.last && r.silent == o.silent && r.reason == o.reason && r.message == o.message &&
		reflect.DeepEqual(r.gated, o.gated)
}

// note remembers a resolution, and from the one before what it does not say itself.
func (r *Resolutions) note(name string, found looked) {
	before := r.known[name]
	if before.answers(found.spec) {
		found.after(before.resolution)
	}
	if !before.answers(found.spec) || !before.tells(found.resolution) {
		r.changes++
	}
	found.seen = time.Now()
	if was, is := before.shown(), found.shown(); was != nil && is != nil && was.Digest == is.Digest {
		found.seen = before.seen
	}
	r.known[name] = found
}

// Of is the newest resolution of a policy, if there is one for the rule and image
// that it has now.
func (r *Resolutions) Of(p *v1alpha1.ImagePolicy) (Resolution, bool) {
	known, ok := r.about(nameOf(p), p.Spec)
	if !ok {
		return Resolution{}, false
	}
	found := Resolution{FirstSeen: known.seen, Seen: r.sightings(p), Reason: known.reason, Message: known.message, gated: known.gated}
	if known.selection != "" {
		found.Selected = known.shown()
	} else {
		found.Last = known.shown()
	}
	for _, s := range found.Seen {
		if is := known.shown(); is != nil && is.Digest == s.Digest {
			found.FirstSeen = s.At
		}
	}
	return found, true
}

// Gone tells whether the registry says that it does not have a digest any more. Each
// digest is asked for once after a Look. It is not sure where the registry gives no
// answer, or gave none to the Look.
func (r *Resolutions) Gone(ctx context.Context, p *v1alpha1.ImagePolicy, digest string) (gone, sure bool) {
	last, ok := r.about(nameOf(p), p.Spec)
	switch {
	case !ok || last.silent: // It is not asked more than it answers.
		return false, false
	case last.selection.Digest() == digest:
		return false, true
	}
	_, err := last.pass.Digest(ctx, p.Spec.Image, digest)
	return isMissing(err), err == nil || isMissing(err)
}

// Forget drops a policy, named <namespace>/<name>.
func (r *Resolutions) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	delete(r.known, name)
	delete(r.served, name)
	delete(r.seen, name)
}

func (r *Resolutions) about(name string, spec v1alpha1.ImagePolicySpec) (looked, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, ok := r.known[name]
	return known, ok && known.answers(spec)
}

func nameOf(p *v1alpha1.ImagePolicy) string { return p.Namespace + "/" + p.Name }

func (r *Resolutions) resolve(_ context.Context, policies []declared) (map[string]resolution, error) {
	found := make(map[string]resolution, len(policies))
	for _, p := range policies {
		if known, ok := r.about(p.name, p.spec); ok {
			found[p.name] = known.resolution
		}
	}
	return found, nil
}

// unasked is without a login: nobody's is at hand here.
func (r *Resolutions) unasked() resolution {
	asking := r.Asking
	asking.Keychain, asking.Ambient = authn.NewMultiKeychain(), nil
	client := registry.New(asking)
	return resolution{client: client, pass: client.Pass()}
}
