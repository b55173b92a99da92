// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
)

// TestFollowedTagGoesBack: a followed tag may go back to a digest that it had,
// but not to and fro.
func TestFollowedTagGoesBack(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	stable := func(seed string) string { return images.Push(t, w.registry, "app", "stable", seed) }
	first := stable("first")
	w.repo.Seed(t, map[string]string{
		"policies/app.yaml": strings.ReplaceAll(w.policy("app", "app"), `{semver: {range: ">=1.0.0"}}`, "{tag: stable}"),
		app:                 w.deployment("app", "app:stable@"+first, "app"),
	}, "First")
	steps := []struct {
		seed   string
		reason reconcile.Reason
	}{
		{"first", reconcile.UpToDate},
		{"second", reconcile.Updated},
		{"first", reconcile.Updated},
		{"second", reconcile.Updated},
		{"first", reconcile.Updated},
		{"second", reconcile.DowngradeRefused},
		{"first", reconcile.UpToDate},
		{"third", reconcile.Updated},
	}
	for i, s := range steps {
		digest := stable(s.seed)
		report := w.sync()
		if got := report.Policies[0]; got.Reason != s.reason {
			t.Fatalf("step %d: the reason is %s (%s), want %s", i, got.Reason, got.Message, s.reason)
		}
		holds := strings.Contains(gitserver.Git(t, w.repo.Dir, "show", "main:"+app), digest)
		if want := s.reason != reconcile.DowngradeRefused; holds != want {
			t.Fatalf("step %d: that the field holds the new digest is %v, want %v", i, holds, want)
		}
	}
}
