// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
)

// The tests in this file are cases in which other tools are known to go wrong,
// from the registry to Git; each names the behaviour that it keeps out, and where
// it is told. Package policy has those of the order of tags alone.

// ruled seeds an app with a rule and a field at one of its tags.
func ruled(t *testing.T, rule, tag string) (*scene, *front) {
	t.Helper()
	s, f := newFront(t)
	s.repo.Seed(t, map[string]string{
		policyFile: strings.Replace(s.policy("app", "app"), anySemver, rule, 1),
		app:        s.deployment("app", "app:"+tag, "app"),
	}, "First")
	return s, f
}

// built pushes an image that says it was made on a day of January 2026.
func (s *scene) built(tag, seed string, day int) string {
	s.t.Helper()
	return images.PushImage(s.t, s.registry, "app", tag, images.Image{Seed: seed, Created: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)})
}

// builds is an app that follows the newest build, and went back from bbb to aaa.
func builds(t *testing.T) (s *scene, f *front, undone string) {
	t.Helper()
	s, f = ruled(t, "{newest: {}}", "aaa")
	s.built("aaa", "a", 1)
	s.expect(reconcile.Updated, at("aaa"))
	undone = s.built("bbb", "b", 2)
	s.expect(reconcile.Updated, at("bbb"))
	u := s.user()
	u.revert("HEAD")
	u.push()
	s.holds(reconcile.RolledBack, at("aaa"))
	return s, f, undone
}

// TestPriorArtRollingBack has the table "Rolling back".
func TestPriorArtRollingBack(t *testing.T) {
	// updated is an app at 1.2.0, which Pintle wrote after 1.1.0.
	updated := func(t *testing.T) (*scene, user) {
		t.Helper()
		s := newScene(t, gitserver.Options{})
		s.expect(reconcile.Updated, at("1.1.0"))
		s.goesOn("1.2.0", app)
		return s, s.user()
	}
	for name, undo := range map[string]func(u user){
		"Flux flux2#4676, image-reflector-controller#116, #117: a reverted version is written over on the next pass":    func(u user) { u.revert("HEAD") },
		"Argo CD Image Updater argocd-image-updater#1249, #464: a version set by hand is written over on the next pass": byHand("app:1.1.0"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, u := updated(t)
			undo(u)
			u.push()
			for range 3 {
				s.holds(reconcile.RolledBack, at("1.1.0"))
			}
			s.goesOn("1.3.0", app)
		})
	}
	t.Run("Flux: the marker has to be deleted to make a rollback stick", func(t *testing.T) {
		t.Parallel()
		s, u := updated(t)
		u.git("checkout", "--quiet", "HEAD~2", "--", ".")
		u.commit("All as it was")
		u.push()
		s.holds(reconcile.RolledBack, at("1.0.0"))
		if diff := gitserver.Git(t, s.repo.Dir, "diff", "--stat", "main~3", "main"); diff != "" {
			t.Errorf("the undo needs more than the old files: %s", diff)
		}
		s.goesOn("1.3.0", app)
	})
	t.Run("Renovate renovate#16820, #17699, #22279: what was merged and reverted comes back, until the version is excluded by hand", func(t *testing.T) {
		t.Parallel()
		w, main, release := branches(t)
		release.expect(reconcile.Updated, "1.1.0")
		main.on(func(u user) {
			u.merge("origin/release")
			u.revert("--mainline", "1", "HEAD")
		})
		refs := gitserver.Git(t, w.repo.Dir, "for-each-ref")
		for range 3 {
			main.expect(reconcile.RolledBack, "1.0.0")
		}
		if got := gitserver.Git(t, w.repo.Dir, "for-each-ref"); got != refs {
			t.Errorf("branches moved from %s to %s", refs, got)
		}
		w.push("app", "1.2.0")
		main.expect(reconcile.Updated, "1.2.0")
	})
	t.Run("tagger spec.generation, oc tag spec.tags[].from: a rollback shares a field with tracking, and the next push undoes it", func(t *testing.T) {
		t.Parallel()
		s, _ := updated(t)
		policy := s.repo.Read(t, "main", policyFile)
		s.goBack("", "1.1.0")
		if got := s.repo.Read(t, "main", policyFile); got != policy {
			t.Errorf("the policy is now %s", got)
		}
		s.push("app", "1.1.9")
		s.holds(reconcile.RolledBack, at("1.1.0"))
		s.goesOn("1.3.0", app)
		if got := s.repo.Read(t, "main", policyFile); got != policy {
			t.Errorf("the policy is now %s", got)
		}
	})
	t.Run("OpenShift oc rollback: triggers are off for good", func(t *testing.T) {
		t.Parallel()
		s, _ := updated(t)
		s.goBack("", "1.1.0")
		s.holds(reconcile.RolledBack, at("1.1.0"))
		s.goesOn("1.3.0", app)
		s.goBack("1", "1.1.0")
		s.goesOn("1.4.0", app)
	})
	t.Run("Flux observedPreviousRef, Image Updater recentUpdates, OpenShift: the history is one reference, or three", func(t *testing.T) {
		t.Parallel()
		s, _ := updated(t)
		const newest = 8
		for minor := 3; minor <= newest; minor++ {
			s.goesOn(fmt.Sprintf("1.%d.0", minor), app)
		}
		var want []string
		for minor := newest; minor > 0; minor-- {
			state := map[bool]string{true: "current", false: "earlier"}[minor == newest]
			want = append(want, fmt.Sprintf("%d 1.%d.0 schedule %s by Pintle", minor, minor, state))
		}
		s.expectHistory(append(want, "0 1.0.0 by hand earlier by Ada Person")...)
		s.goBack("1", "1.1.0")
		s.goBack("1.0.0", "1.0.0")
		s.holds(reconcile.RolledBack, at("1.0.0"))
	})
	t.Run("Argo CD Image Updater argocd-image-updater#681: an older build is pushed again after a rollback, and the newer one comes back", func(t *testing.T) {
		t.Parallel()
		s, _, _ := builds(t)
		s.built("ccc", "a", 1)
		s.holds(reconcile.RolledBack, at("aaa"))
		s.built("bbb2", "b", 2)
		s.holds(reconcile.RolledBack, at("aaa"))
		s.built("ddd", "d", 3)
		s.expect(reconcile.Updated, at("ddd"))
	})
	for what, also := range map[string]bool{"its tag": false, "its content": true} {
		t.Run("Argo CD Image Updater argocd-image-updater#681: the undone build is deleted, "+what, func(t *testing.T) {
			t.Parallel()
			s, f, undone := builds(t)
			f.says("app/manifests/bbb", http.StatusNotFound, "{}")
			if also {
				f.says("app/manifests/"+undone, http.StatusNotFound, "{}")
			}
			f.lists("aaa")
			s.holds(reconcile.UpToDate, at("aaa"))
			s.built("ddd", "d", 3)
			f.lists("aaa", "ddd")
			s.expect(reconcile.Updated, at("ddd"))
		})
	}
	t.Run("Argo CD Image Updater argocd-image-updater#681: with semantic versions", func(t *testing.T) {
		t.Parallel()
		s, u := updated(t)
		u.revert("HEAD")
		u.push()
		s.holds(reconcile.RolledBack, at("1.1.0"))
		before := u.reference()
		images.Push(t, s.registry, "app", "1.1.0", "the older one, again")
		s.holds(reconcile.RolledBack, at("1.1.0"))
		images.Push(t, s.registry, "app", "1.2.0", "the undone one, again")
		s.holds(reconcile.RolledBack, at("1.1.0"))
		images.Push(t, s.registry, "app", "1.2.1", "app:1.2.0") // The undone image by another name.
		s.holds(reconcile.RolledBack, at("1.1.0"))
		if got := u.reference(); got != before {
			t.Errorf("the field moved from %s to %s", before, got)
		}
		s.goesOn("1.3.0", app)
	})
}

// TestPriorArtPicking has the table "Picking".
func TestPriorArtPicking(t *testing.T) {
	// settles expects one write to a tag, and none after it whatever the order in
	// which the registry lists.
	settles := func(t *testing.T, s *scene, f *front, tag string, tags ...string) {
		t.Helper()
		s.push("app", tags...)
		f.lists(tags...)
		s.expect(reconcile.Updated, at(tag))
		for range 3 {
			slices.Reverse(tags)
			f.lists(tags...)
			s.holds(reconcile.UpToDate, at(tag))
		}
		f.honest()
	}
	for name, c := range map[string]struct {
		rule, field, want string
		tags              []string
	}{
		"Flux: of two tags that are equal in order, the pick is random":     {anySemver, "1.2.2", "v1.2.3", []string{"1.2.3", "v1.2.3", "1.2.2"}},
		"Flux: 17 digits through float64 pick the older tag":                {"{numerical: {order: Asc}}", "20240115093012001", "20240115093012003", []string{"20240115093012003", "20240115093012002", "20240115093012001"}},
		"Flux: one tag that is no number fails the whole policy":            {"{numerical: {order: Asc}}", "1", "2", []string{"latest", "1", "2", "sha-0f3a"}},
		"argocd-image-updater#375: 1.20 and 1.20.0 flip for ever":           {anySemver, "1.20", "1.20.0", []string{"1.20", "1.20.0"}},
		"argocd-image-updater#375: from a version below":                    {anySemver, "1.19.5", "1.20.0", []string{"1.19.5", "1.20", "1.20.0"}},
		"argocd-image-updater#1672, #482, #905: no semver pick with digest": {anySemver, "1.0.0", "1.1.0", []string{"1.0.0", "1.1.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := ruled(t, c.rule, c.field)
			settles(t, s, f, c.want, c.tags...)
			if got, want := s.field(), s.image("app:"+c.want+"@"+s.digest(c.want)); got != want {
				t.Errorf("the field holds %s, want %s", got, want)
			}
		})
	}
	t.Run("argocd-image-updater#375: 1.20.0 is not listed for a while", func(t *testing.T) {
		t.Parallel()
		s, f := ruled(t, anySemver, "1.20")
		settles(t, s, f, "1.20.0", "1.20", "1.20.0")
		f.lists("1.20")
		s.holds(reconcile.DowngradeRefused, at("1.20.0"))
	})
	t.Run("image-automation-controller#231, #396, flux2#4984: an outage or a partial list moves images down", func(t *testing.T) {
		t.Parallel()
		s, f := ruled(t, anySemver, "1.0.0")
		settles(t, s, f, "1.2.0", "1.0.0", "1.1.0", "1.2.0")
		for _, outage := range []func(){
			func() { f.lists("1.1.0") }, func() { f.says("app/tags/list", http.StatusOK, `{"name":"app","tags":[]}`) },
			func() { f.says("app/tags/list", http.StatusBadGateway, "") }, func() { f.says("app/tags/list", http.StatusOK, "") },
			func() { f.says("app/manifests/1.2.0", http.StatusBadGateway, "") },
		} {
			outage()
			before := s.repo.Head(t, "main")
			if report := s.sync(); len(report.Commits) != 0 || s.repo.Head(t, "main") != before {
				t.Errorf("written: %v", report.Commits)
			}
			f.honest()
			s.holds(reconcile.UpToDate, at("1.2.0"))
		}
	})
	t.Run("renovate#38659, #39064, #44820: a minimum age by the publisher's own label", func(t *testing.T) {
		t.Parallel()
		s, _ := ruled(t, "{newest: {}}\n  minimumAge: 24h", "aaa")
		s.built("aaa", "a", 1)
		s.built("bbb", "b", 2) // It says that it is old enough.
		message := s.holds(reconcile.Failed, at("aaa")).Policies[0].Message
		if !strings.Contains(message, "minimumAge") || !strings.Contains(message, "--cache-dir") {
			t.Errorf("the message is %q", message)
		}
	})
	t.Run("renovate#38659, #39064, #44820: a registry that gives no time makes it wait for ever", func(t *testing.T) {
		t.Parallel()
		s, _ := ruled(t, "{newest: {}}", "aaa")
		images.PushImage(t, s.registry, "app", "aaa", images.Image{Seed: "a", Created: time.Unix(0, 0)})
		report := s.holds(reconcile.NoMatch, at("aaa"))
		if got := report.Policies[0].Message; !strings.Contains(got, "as reproducible builds do") {
			t.Errorf("the message is %q", got)
		}
		s.built("bbb", "b", 2)
		report = s.expect(reconcile.DowngradeRefused, at("aaa"))
		if got := report.Policies[0].Message; !strings.Contains(got, "can't be told") {
			t.Errorf("the message is %q", got)
		}
	})
	t.Run("OpenShift oc#1572: a multi-arch index is flattened to one platform", func(t *testing.T) {
		t.Parallel()
		s, _ := ruled(t, anySemver, "1.0.0")
		s.push("app", "1.0.0")
		index := images.PushImage(t, s.registry, "app", "1.1.0", images.Image{Seed: "x", Platforms: []images.Image{{Platform: "linux/amd64"}, {Platform: "linux/arm64"}}})
		s.expect(reconcile.Updated, at("1.1.0"))
		if got, want := s.field(), s.image("app:1.1.0@"+index); got != want {
			t.Errorf("the field holds %s, want the index %s", got, want)
		}
		s.holds(reconcile.UpToDate, at("1.1.0"))
	})
	t.Run("keel#187: three tags on one digest are three rollouts", func(t *testing.T) {
		t.Parallel()
		for write, rollouts := range map[string]struct{ atOnce, inARow int }{
			"Digest": {1, 1}, "TagAndDigest": {1, 3}, "Tag": {1, 3},
		} {
			t.Run(write, func(t *testing.T) {
				t.Parallel()
				s, _ := ruled(t, anySemver+"\n  write: "+write, "1.0.0")
				tags := []string{"1.1", "1.1.0", "v1.1.0"}
				for _, tag := range tags {
					images.Push(t, s.registry, "app", tag, "one")
				}
				if report := s.expect(reconcile.Updated, nil); len(report.Commits) != rollouts.atOnce {
					t.Errorf("at once, there are %d commits", len(report.Commits))
				}
				s.holds(reconcile.UpToDate, nil)
				count := 0
				for _, tag := range []string{"1.2", "1.2.0", "v1.2.0"} {
					images.Push(t, s.registry, "app", tag, "two")
					count += len(s.sync().Commits)
				}
				if count != rollouts.inARow {
					t.Errorf("one after the other, there are %d commits, want %d", count, rollouts.inARow)
				}
			})
		}
	})
}
