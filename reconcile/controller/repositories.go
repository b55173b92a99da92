// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
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
	failures int
	// forge is that of the login auth, where pull requests are opened.
	forge forge.Forge
	auth  mirror.Auth
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
	working map[string]*sync.Mutex // by URL and branch: two objects may be about one
}

func newRepositories(plainHTTP []string, resolutions *reconcile.Resolutions) (*repositories, error) {
	validator, err := document.NewValidator()
	if err != nil {
		return nil, fmt.Errorf("cannot read the schema of policies: %w", err)
	}
	config := reconcile.Config{Resolutions: resolutions, Validator: validator, Dates: true}
	config.Registry.PlainHTTP = plainHTTP
	return &repositories{config: config, known: map[types.NamespacedName]*opened{}, working: map[string]*sync.Mutex{}}, nil
}

// open gives the engine of a repository, a new one only where it points elsewhere.
func (r *repositories) open(repository *v1alpha1.ManifestRepository, granted Granted, auth mirror.Auth, now time.Time) (*opened, error) {
	spec := repository.Spec
	author := reconcile.Signature{}
	if a := spec.Commit.Author; a != nil {
		author = reconcile.Signature{Name: a.Name, Email: a.Email}
	}
	r.mu.Lock()
	known := r.known[key(repository)]
	r.mu.Unlock()
	if known != nil && known.spec.URL == spec.URL && known.spec.Branch == spec.Branch && slices.Equal(known.spec.Paths, spec.Paths) {
		known.listing.Granted = granted
		if err := known.propose(spec, auth); err != nil {
			return nil, err
		}
		return known, known.engine.Use(auth, author)
	}
	config := r.config
	config.Repo, config.Branch, config.Paths, config.Git, config.Author = spec.URL, spec.Branch, spec.Paths, auth, author
	o := &opened{listing: &listing{Granted: granted}, spec: spec, since: now}
	config.Policies = o.listing
	var err error
	if o.engine, err = reconcile.Open(config); err != nil {
		return nil, err
	}
	if err := o.propose(spec, auth); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[key(repository)] = o
	return o, nil
}

func (r *repositories) forget(repository types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, repository)
}

// lock waits until nobody else in the process works on the same branch.
func (r *repositories) lock(spec v1alpha1.ManifestRepositorySpec) (unlock func()) {
	name := sameURL(spec.URL)
	r.mu.Lock()
	if r.working[name] == nil {
		r.working[name] = &sync.Mutex{}
	}
	lock := r.working[name]
	r.mu.Unlock()
	lock.Lock()
	return lock.Unlock
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
	u, err := url.Parse(text)
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
