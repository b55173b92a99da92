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
	"github.com/pintle-dev/pintle/registry"
)

// Account asks registries with one login, for all policies that share it. It is
// for the life of a process and safe for concurrent use.
type Account struct {
	client *registry.Client

	mu       sync.Mutex
	pass     *registry.Pass
	begun    time.Time
	rankings rankings
}

// NewAccount makes an account; it asks nothing yet.
func NewAccount(options registry.Options) *Account {
	return &Account{client: registry.New(options), rankings: rankings{}}
}

// since is a pass whose answers were all asked for after a question came up. Whoever
// has questions of the same moment shares it, and so each is asked once.
func (a *Account) since(question time.Time) *registry.Pass {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pass == nil || a.begun.Before(question) {
		a.pass, a.begun = a.client.Pass(), time.Now()
	}
	return a.pass
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
	maps.Copy(a.rankings, some)
}

// Resolution is what a registry and a rule last said of a policy.
type Resolution struct {
	// Selected is nil where nothing could be selected; Reason and Message say why.
	Selected *TagDigest
	// FirstSeen is when this process first saw the selected digest under the policy.
	FirstSeen time.Time
	Reason    Reason
	Message   string
}

// Equal tells whether two resolutions say the same.
func (r Resolution) Equal(o Resolution) bool {
	same := r.Selected == o.Selected || r.Selected != nil && o.Selected != nil && *r.Selected == *o.Selected
	return same && r.Reason == o.Reason && r.Message == o.Message
}

// Resolutions remembers what the registries last said of every policy of a
// cluster, for all engines of a process. It is safe for concurrent use.
type Resolutions struct {
	mu    sync.Mutex
	known map[string]looked
}

// NewResolutions knows nothing yet.
func NewResolutions() *Resolutions { return &Resolutions{known: map[string]looked{}} }

// looked is a resolution, and the spec that it is about.
type looked struct {
	resolution

	spec v1alpha1.ImagePolicySpec
	seen time.Time // the digest, for the first time
}

// answers tells whether the resolution is that of a spec, whatever else the spec says
// besides what is asked of registries.
func (l looked) answers(spec v1alpha1.ImagePolicySpec) bool {
	return l.spec.Image == spec.Image && reflect.DeepEqual(l.spec.Select, spec.Select) &&
		slices.Equal(l.spec.Platforms, spec.Platforms) && reflect.DeepEqual(l.spec.MinimumAge, spec.MinimumAge)
}

// Look asks the registries about valid policies with the same login. An answer that
// somebody got after the question came up counts for all.
func (r *Resolutions) Look(ctx context.Context, account *Account, policies []*v1alpha1.ImagePolicy, question time.Time) error {
	var asked []declared
	for _, p := range policies {
		d, err := compile(p)
		if err != nil {
			return err
		}
		asked = append(asked, d)
	}
	pass, known := account.since(question), account.remembered(asked)
	results, err := resolve(ctx, pass, known, asked)
	if err != nil {
		return err
	}
	account.remember(known)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range asked {
		found := results[p.name]
		found.client, found.pass = account.client, pass
		seen := time.Now()
		if before, ok := r.known[p.name]; ok && before.selection.Digest() == found.selection.Digest() {
			seen = before.seen
		}
		r.known[p.name] = looked{found, p.spec, seen}
	}
	return nil
}

// Fail notes why the registry could not even be asked for a policy.
func (r *Resolutions) Fail(p *v1alpha1.ImagePolicy, message string) {
	failed := r.unasked()
	failed.reason, failed.message = Failed, message
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[nameOf(p)] = looked{failed, p.Spec, time.Now()}
}

// Of is the newest resolution of a policy, if there is one for the rule and image
// that it has now.
func (r *Resolutions) Of(p *v1alpha1.ImagePolicy) (Resolution, bool) {
	known, ok := r.about(nameOf(p), p.Spec)
	if !ok {
		return Resolution{}, false
	}
	found := Resolution{FirstSeen: known.seen, Reason: known.reason, Message: known.message}
	if known.selection != "" {
		found.Selected = &TagDigest{known.selection.Tag(), known.selection.Digest()}
	}
	return found, true
}

// Gone tells whether the registry says that it does not have a digest any more. It
// asks once after each Look.
func (r *Resolutions) Gone(ctx context.Context, p *v1alpha1.ImagePolicy, digest string) bool {
	known, ok := r.about(nameOf(p), p.Spec)
	if !ok || known.selection.Digest() == digest {
		return false
	}
	_, err := known.pass.Digest(ctx, p.Spec.Image, digest)
	return isMissing(err)
}

// Forget drops a policy, named <namespace>/<name>.
func (r *Resolutions) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, name)
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
	client := registry.New(registry.Options{Keychain: authn.NewMultiKeychain()})
	return resolution{client: client, pass: client.Pass()}
}
