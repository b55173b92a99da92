// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/credentials"
)

// opened is a repository that is at work. Its reconciler alone touches it, one pass at
// a time.
type opened struct {
	engine  *reconcile.Engine
	listing *listing
	spec    v1alpha1.ManifestRepositorySpec // that the engine was opened for
	since   time.Time
	passed  bool
	// head and names are what memories were last read for.
	head     string
	names    []string
	memories map[string]reconcile.Memory
	failures int           // in a row
	asked    time.Duration // for how long a forge asks to be left alone
	retry    time.Time     // not before, after a failure
	tried    time.Time     // when that was
	failed   int64         // the generation of the object at that time
	auth     mirror.Auth
	signer   *credentials.Signer // nil where commits are not signed
	// forge is that of the login auth, where pull requests are opened.
	forge forge.Forge
}

// listing lists the policies of an engine, by the repository's newest grant.
type listing struct {
	Granted

	listed map[types.NamespacedName]bool // the last time
}

// Policies implements reconcile.Policies.
func (l *listing) Policies(ctx context.Context) ([]reconcile.Declared, error) {
	policies, err := l.Granted.Policies(ctx)
	if err != nil {
		return nil, err
	}
	l.listed = make(map[types.NamespacedName]bool, len(policies))
	for _, p := range policies {
		l.listed[key(p)] = true
	}
	return policies, nil
}

// repositories keeps the engines.
type repositories struct {
	config reconcile.Config

	mu      sync.Mutex
	known   map[types.NamespacedName]*opened
	working map[string]*workplace // by URL: two objects may be about one branch
}

// workplace has room for one. Who is about to enter counts.
type workplace struct {
	room  chan struct{}
	users int
}

func newRepositories(plainHTTP []string, resolutions *reconcile.Resolutions) (*repositories, error) {
	validator, err := document.NewValidator()
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema of policies: %w", err)
	}
	config := reconcile.Config{Resolutions: resolutions, Validator: validator, Dates: true}
	config.Registry.PlainHTTP = plainHTTP
	return &repositories{config: config, known: map[types.NamespacedName]*opened{}, working: map[string]*workplace{}}, nil
}

// open gives the engine of a repository, a new one only where it points elsewhere.
func (r *repositories) open(repository *v1alpha1.ManifestRepository, granted Granted, auth mirror.Auth, signer *credentials.Signer, now time.Time) (*opened, error) {
	spec := repository.Spec
	commits, err := Commits(spec.Commit)
	if err != nil {
		return nil, err
	}
	if signer != nil {
		commits.Keys = signer.Keys
	}
	r.mu.Lock()
	known := r.known[key(repository)]
	r.mu.Unlock()
	if known != nil && known.spec.URL == spec.URL && known.spec.Branch == spec.Branch && slices.Equal(known.spec.Paths, spec.Paths) {
		known.listing.Granted, known.signer = granted, signer
		if known.auth != auth || known.failed != repository.Generation {
			known.retry = time.Time{} // which may be what was wrong
		}
		if err := known.propose(key(repository), spec, auth); err != nil {
			return nil, err
		}
		known.auth = auth
		return known, known.engine.Use(auth, commits)
	}
	if known != nil {
		_ = known.engine.Close() // What it could not write is fetched again.
	}
	config := r.config
	config.Repo, config.Branch, config.Paths, config.Git, config.Commits = spec.URL, spec.Branch, spec.Paths, auth, commits
	o := &opened{listing: &listing{Granted: granted}, spec: spec, since: now, auth: auth, signer: signer}
	config.Policies = o.listing
	if o.engine, err = reconcile.Open(config); err != nil {
		return nil, err
	}
	if err := o.propose(key(repository), spec, auth); err != nil {
		return nil, errors.Join(err, o.engine.Close())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key(repository)] = o
	return o, nil
}

// signer is what a repository signed with the last time, or nil.
func (r *repositories) signer(repository *v1alpha1.ManifestRepository) *credentials.Signer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.known[key(repository)]; known != nil {
		return known.signer
	}
	return nil
}

func (r *repositories) forget(repository types.NamespacedName) {
	r.mu.Lock()
	known := r.known[repository]
	delete(r.known, repository)
	r.mu.Unlock()
	if known != nil {
		_ = known.engine.Close() // What it could not write is fetched again.
	}
}

// lock waits until nobody else in the process works on the same repository.
func (r *repositories) lock(ctx context.Context, spec v1alpha1.ManifestRepositorySpec) (unlock func(), err error) {
	name := sameURL(spec.URL)
	r.mu.Lock()
	defer r.mu.Unlock()
	place := r.working[name]
	if place == nil {
		place = &workplace{room: make(chan struct{}, 1)}
		r.working[name] = place
	}
	place.users++
	r.mu.Unlock()
	select {
	case place.room <- struct{}{}:
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.mu.Lock()
	if err != nil {
		r.away(name, place)
		return nil, err
	}
	return func() {
		<-place.room
		r.mu.Lock()
		defer r.mu.Unlock()
		r.away(name, place)
	}, nil
}

// away forgets a place that nobody uses. The caller has the mutex.
func (r *repositories) away(name string, place *workplace) {
	if place.users--; place.users == 0 {
		delete(r.working, name)
	}
}

// branch is the branch that a repository is about, as far as is known.
func (r *repositories) branch(repository *v1alpha1.ManifestRepository) string {
	r.mu.Lock()
	known := r.known[key(repository)]
	r.mu.Unlock()
	if repository.Spec.Branch == "" && known != nil {
		return known.engine.Branch()
	}
	return repository.Spec.Branch
}

// sameURL is equal for URLs that mean one repository, as far as can be told from them.
func sameURL(text string) string {
	u, err := mirror.URL(text)
	if err != nil {
		return text
	}
	return strings.ToLower(u.Host) + "/" + strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
}

// overlap is a path that two repositories share, or nothing.
func overlap(a, b []string) (string, bool) {
	if len(a) == 0 || len(b) == 0 {
		return cmp.Or(strings.Join(a, ", "), strings.Join(b, ", "), "the whole repository"), true
	}
	for _, one := range a {
		for _, other := range b {
			one, other := path.Clean("/"+one), path.Clean("/"+other)
			if within(one, other) || within(other, one) {
				return cmp.Or(strings.TrimPrefix(max(one, other), "/"), "the whole repository"), true
			}
		}
	}
	return "", false
}

func within(file, folder string) bool {
	return folder == "/" || file == folder || strings.HasPrefix(file, folder+"/")
}

// unresolved counts the policies that no registry answered for yet.
func unresolved(ctx context.Context, granted Granted, resolutions *reconcile.Resolutions) (int, error) {
	policies, err := granted.Policies(ctx)
	count := 0
	for _, p := range policies {
		if _, known := resolutions.Of(p.ImagePolicy); !known && reconcile.CheckPolicy(p.ImagePolicy) == nil {
			count++
		}
	}
	return count, err
}
