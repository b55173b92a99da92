// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
)

// What can't be opened lets go of its cache, which is there for the next try.
func TestFailedOpenLetsGoOfTheCache(t *testing.T) {
	r, err := newRepositories(nil, reconcile.NewResolutions())
	if err != nil {
		t.Fatal(err)
	}
	r.config.CacheDir, r.config.Warn = t.TempDir(), func(err error) { t.Error(err) }
	repository := &v1alpha1.ManifestRepository{}
	repository.Spec.URL, repository.Spec.Mode = "https://git.example.com/fleet.git", v1alpha1.ModePullRequest
	if _, err := r.open(repository, Granted{}, mirror.Auth{}, nil, time.Now()); err == nil {
		t.Fatal("a forge of no known kind was no error")
	}
	repository.Spec.Mode = v1alpha1.ModePush
	if _, err := r.open(repository, Granted{}, mirror.Auth{}, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
}
