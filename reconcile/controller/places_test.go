// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
)

// Who waits for a repository that somebody works on gives up when it is told to, and
// nothing is kept of repositories that nobody works on.
func TestWaitingForARepositoryEnds(t *testing.T) {
	r, err := newRepositories(nil, reconcile.NewResolutions())
	if err != nil {
		t.Fatal(err)
	}
	spec := v1alpha1.ManifestRepositorySpec{URL: "https://git.example.com/fleet.git"}
	unlock, err := r.lock(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error)
	go func() {
		_, err := r.lock(ctx, spec)
		waited <- err
	}()
	cancel()
	select {
	case err := <-waited:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it is called off", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits although it was called off")
	}
	same := spec
	same.URL = "https://GIT.example.com/fleet/"
	entered := make(chan func())
	go func() {
		next, err := r.lock(t.Context(), same)
		if err != nil {
			t.Error(err)
		}
		entered <- next
	}()
	select {
	case <-entered:
		t.Fatal("two are at work on one repository")
	case <-time.After(50 * time.Millisecond):
	}
	unlock()
	(<-entered)()
	for i := range 100 {
		unlock, err := r.lock(t.Context(), v1alpha1.ManifestRepositorySpec{URL: fmt.Sprintf("https://git.example.com/%d.git", i)})
		if err != nil {
			t.Fatal(err)
		}
		unlock()
	}
	if len(r.working) != 0 {
		t.Errorf("%d repositories are remembered that nobody works on", len(r.working))
	}
}

// After a failure, news brings the next try forward once in a while, and another spec
// or other credentials do at once.
func TestNextTry(t *testing.T) {
	for title, test := range map[string]struct {
		change func(*v1alpha1.ManifestRepository, *mirror.Auth)
		news   bool
		tried  time.Duration // ago
		want   time.Duration
	}{
		"nothing new":                {want: 5 * time.Minute},
		"news":                       {news: true, want: newsRetry},
		"news after a while":         {news: true, tried: newsRetry},
		"another spec":               {change: func(r *v1alpha1.ManifestRepository, _ *mirror.Auth) { r.Generation++ }},
		"another spec, and its news": {change: func(r *v1alpha1.ManifestRepository, _ *mirror.Auth) { r.Generation++ }, news: true},
		"other credentials":          {change: func(_ *v1alpha1.ManifestRepository, a *mirror.Auth) { a.Password = "two" }},
	} {
		t.Run(title, func(t *testing.T) {
			c := objects(t)
			resolutions := reconcile.NewResolutions()
			known, err := newRepositories(nil, resolutions)
			if err != nil {
				t.Fatal(err)
			}
			wake := newWake(newGates(0), func() time.Time { return noon })
			r := &repositoryReconciler{client: c, repositories: known, gates: wake.gates, wake: wake, resolutions: resolutions, now: wake.now}
			repository, auth := repositoryOf(), mirror.Auth{Username: "bot", Password: "one"}
			granted := Granted{c, repository}
			work, err := known.open(repository, granted, auth, nil, noon)
			if err != nil {
				t.Fatal(err)
			}
			work.passed, work.tried, work.retry, work.failed = true, noon.Add(-test.tried), noon.Add(5*time.Minute), repository.Generation
			if test.change != nil {
				test.change(repository, &auth)
			}
			if test.news {
				r.wake.gates.of(key(repository)).arrive(noon)
			}
			if work, err = known.open(repository, granted, auth, nil, noon); err != nil {
				t.Fatal(err)
			}
			if wait, err := r.wait(t.Context(), work, granted); err != nil || max(0, wait) != test.want {
				t.Errorf("it waits for %v, %v, want %v", wait, err, test.want)
			}
		})
	}
}
