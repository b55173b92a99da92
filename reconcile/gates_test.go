// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

func openCache(t *testing.T, folder string) *registry.Cache {
	t.Helper()
	cache, err := registry.OpenCache(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cache.Close(); err != nil {
			t.Error(err)
		}
	})
	return cache
}

// gated is an app whose candidates have to pass gates, and a clock.
type gated struct {
	*scene

	front  *front
	folder string // where the record of first-seen times is; "" for none
	now    time.Time
}

// newGated has a field at a tag. The spec is what stands below select.
func newGated(t *testing.T, rule, spec, tag string) *gated {
	t.Helper()
	s, f := newFront(t)
	s.repo.Seed(t, map[string]string{
		policyFile: strings.Replace(s.policy("app", "app"), anySemver, rule, 1) + spec,
		app:        s.deployment("app", "app:"+tag, "app"),
	}, "First")
	return &gated{s, f, t.TempDir(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// has pushes images with content of their own, for some platforms.
func (g *gated) has(tag string, platforms ...string) string {
	g.t.Helper()
	return g.hasAs(tag, tag, platforms...)
}

func (g *gated) hasAs(tag, seed string, platforms ...string) string {
	g.t.Helper()
	image := images.Image{Seed: seed}
	for _, p := range platforms {
		image.Platforms = append(image.Platforms, images.Image{Platform: p})
	}
	return images.PushImage(g.t, g.registry, "app", tag, image)
}

// process is one with an empty memory, which uses the folder until it ends.
func (g *gated) process(do func(e *reconcile.Engine)) {
	g.t.Helper()
	options := registry.Options{PlainHTTP: []string{g.registry}}
	if g.folder != "" {
		cache, err := registry.OpenCache(g.folder)
		if err != nil {
			g.t.Fatal(err)
		}
		defer func() {
			if err := cache.Close(); err != nil {
				g.t.Error(err)
			}
		}()
		options.Cache = cache
	}
	e, err := reconcile.OpenBeside(g.first, reconcile.Config{Repo: g.address, Registry: options, Now: func() time.Time { return g.now }})
	if err != nil {
		g.t.Fatal(err)
	}
	do(e)
}

// finds syncs in a new process and checks the reason, the tag that the field holds, and
// words of the message.
func (g *gated) finds(reason reconcile.Reason, tag string, says ...string) *reconcile.Report {
	g.t.Helper()
	var report *reconcile.Report
	g.process(func(e *reconcile.Engine) {
		var err error
		if report, err = e.Sync(g.t.Context()); err != nil {
			g.t.Fatal(err)
		}
	})
	g.repo.Fsck(g.t)
	p := report.Policies[0]
	if got := g.tag(app); p.Reason != reason || got != tag {
		g.t.Fatalf("it is %s at %s, want %s at %s: %s", p.Reason, got, reason, tag, p.Message)
	}
	for _, words := range says {
		if !strings.Contains(p.Message, words) {
			g.t.Errorf("the message lacks %q: %s", words, p.Message)
		}
	}
	return report
}

// holdsAt is finds where nothing may be written.
func (g *gated) holdsAt(reason reconcile.Reason, tag string, says ...string) {
	g.t.Helper()
	before := g.repo.Head(g.t, "main")
	g.finds(reason, tag, says...)
	if got := g.repo.Head(g.t, "main"); got != before {
		g.t.Fatalf("something was written: %s", got)
	}
}

// candidates are what explain says of each, as "tag rank" or "tag: why not".
func (g *gated) candidates() []string {
	g.t.Helper()
	var lines []string
	g.process(func(e *reconcile.Engine) {
		x, err := e.Explain(g.t.Context(), "prod/app")
		if err != nil {
			g.t.Fatal(err)
		}
		for _, c := range x.Candidates {
			if c.Rank > 0 {
				lines = append(lines, fmt.Sprintf("%s %d", c.Tag, c.Rank))
			} else {
				lines = append(lines, c.Tag+": "+c.Dropped)
			}
		}
	})
	return lines
}

// A candidate waits from when its digest was first seen, in whatever process; what is
// below it and old enough is written meanwhile.
func TestMinimumAge(t *testing.T) {
	g := newGated(t, anySemver, "  minimumAge: 24h\n", "1.0.0")
	g.has("1.0.0")
	g.has("1.1.0")
	g.finds(reconcile.TooYoung, "1.0.0", "prod/app waits for 1.1.0: first seen 2026-01-01T00:00:00Z, old enough at 2026-01-02T00:00:00Z")
	g.now = g.now.Add(12 * time.Hour)
	g.has("1.2.0")
	g.finds(reconcile.TooYoung, "1.0.0", "waits for 1.1.0", "2026-01-02T00:00:00Z")
	g.now = g.now.Add(12*time.Hour - time.Second)
	g.finds(reconcile.TooYoung, "1.0.0")
	g.now = g.now.Add(time.Second)
	g.finds(reconcile.Updated, "1.1.0")
	g.finds(reconcile.UpToDate, "1.1.0", "holds the selection; 1.2.0 ranks above it and waits: first seen 2026-01-01T12:00:00Z, old enough at 2026-01-02T12:00:00Z")
	if diff := cmp.Diff([]string{
		"1.1.0 1", "1.0.0 2", "1.2.0: first seen 2026-01-01T12:00:00Z, old enough at 2026-01-02T12:00:00Z",
	}, g.candidates()); diff != "" {
		t.Errorf("explain (-want +got):\n%s", diff)
	}
	g.now = g.now.Add(12 * time.Hour)
	g.finds(reconcile.Updated, "1.2.0")
}

// Without a folder there is nobody to know tomorrow what was seen today, and nothing
// moves. A record that was lost costs the wait again.
func TestMinimumAgeNeedsARecord(t *testing.T) {
	g := newGated(t, anySemver, "  minimumAge: 1h\n", "1.0.0")
	folder := g.folder
	g.folder = ""
	g.has("1.1.0")
	for range 2 {
		g.finds(reconcile.Failed, "1.0.0", "spec.minimumAge needs a record", "name a folder for it with --cache-dir")
		g.now = g.now.Add(2 * time.Hour)
	}
	g.folder = folder
	g.finds(reconcile.TooYoung, "1.0.0")
	g.now = g.now.Add(2 * time.Hour)
	if err := os.WriteFile(filepath.Join(folder, "registry.db"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.finds(reconcile.TooYoung, "1.0.0")
	g.now = g.now.Add(time.Hour)
	g.finds(reconcile.Updated, "1.1.0")
}

// A tag that is pushed again is as young as its new digest: nothing goes down for that,
// and the field keeps the digest that it has.
func TestATagThatIsPushedAgainWaits(t *testing.T) {
	for name, c := range map[string]struct{ rule, tag string }{
		"semver": {anySemver, "1.1.0"}, "followed": {"{tag: stable}", "stable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGated(t, c.rule, "  minimumAge: 1h\n", c.tag)
			g.has("1.0.0")
			first := g.has(c.tag)
			g.finds(reconcile.TooYoung, c.tag)
			g.now = g.now.Add(time.Hour)
			g.finds(reconcile.Updated, c.tag)
			second := g.hasAs(c.tag, "again")
			for range 2 {
				g.finds(reconcile.TooYoung, c.tag, "first seen 2026-01-01T01:00:00Z, old enough at 2026-01-01T02:00:00Z")
				if got := g.field(); !strings.HasSuffix(got, first) {
					t.Fatalf("it holds %s, want still %s", got, first)
				}
			}
			g.now = g.now.Add(time.Hour)
			g.finds(reconcile.Updated, c.tag)
			if got := g.field(); !strings.HasSuffix(got, second) {
				t.Errorf("it holds %s, want %s", got, second)
			}
		})
	}
}

// All platforms have to be there, in an index as in a single image. What lacks one is
// passed by, and never makes a field go down.
func TestPlatformsOfCandidates(t *testing.T) {
	g := newGated(t, anySemver, "  platforms: [linux/amd64, linux/arm64/v8]\n", "1.0.0")
	g.has("1.0.0", "linux/amd64", "linux/arm64")
	g.has("1.1.0", "linux/amd64", "linux/arm64/v8", "unknown/unknown")
	g.has("1.2.0", "linux/amd64", "linux/arm/v7")
	g.has("1.3.0")
	g.finds(reconcile.Updated, "1.1.0")
	if diff := cmp.Diff([]string{
		"1.1.0 1", "1.0.0 2", "1.2.0: it is not for linux/arm64/v8, only for linux/amd64, linux/arm", "1.3.0: it is not for linux/arm64/v8, only for linux/amd64",
	}, g.candidates()); diff != "" {
		t.Errorf("explain (-want +got):\n%s", diff)
	}
	g.front.take()
	g.finds(reconcile.UpToDate, "1.1.0", "holds the selection")
	if diff := cmp.Diff([]string{
		"GET ", "GET app/tags/list", "HEAD app/manifests/1.1.0", "HEAD app/manifests/1.2.0", "HEAD app/manifests/1.3.0",
	}, g.front.take()); diff != "" {
		t.Errorf("requests of a new process (-want +got):\n%s", diff)
	}
	u := g.user()
	byHand("app:1.3.0")(u)
	u.push()
	g.holdsAt(reconcile.RolledBack, "1.3.0")
}

// The field holds what the gates keep back by now: it stays, and the message says why.
func TestAPlatformThatIsAskedForLater(t *testing.T) {
	g := newGated(t, anySemver, "", "1.0.0")
	g.has("1.0.0", "linux/amd64", "linux/arm64")
	g.has("1.1.0", "linux/amd64")
	g.finds(reconcile.Updated, "1.1.0")
	u := g.user()
	u.edit(policyFile, "spec:", "spec:\n  platforms: [linux/arm64]")
	u.commit("For another platform too")
	u.push()
	g.finds(reconcile.DowngradeRefused, "1.1.0", "stays at 1.1.0: 1.1.0 can't be taken (it is not for linux/arm64, only for linux/amd64), and the next one, 1.0.0, ranks below")
	g.has("1.2.0", "linux/arm64")
	g.finds(reconcile.Updated, "1.2.0")
}

// A registry may list a tag and not have it: the next one is taken, and nothing lower
// than what the field holds.
func TestACandidateWithoutAnImage(t *testing.T) {
	g := newGated(t, anySemver, "", "1.0.0")
	for _, tag := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		g.has(tag)
	}
	g.front.says("app/manifests/1.2.0", 404, "")
	g.finds(reconcile.Updated, "1.1.0")
	if diff := cmp.Diff([]string{"1.1.0 1", "1.0.0 2", "1.2.0: the registry lists it and has no image of it"}, g.candidates()); diff != "" {
		t.Errorf("explain (-want +got):\n%s", diff)
	}
	g.front.says("app/manifests/1.1.0", 404, "")
	g.finds(reconcile.DowngradeRefused, "1.1.0", "stays at 1.1.0: 1.2.0 can't be taken (the registry lists it and has no image of it), and the next one, 1.0.0, ranks below")
	g.front.says("app/manifests/1.0.0", 404, "")
	g.finds(reconcile.NoMatch, "1.1.0", "none of the 3 best tags", "1.2.0")
	g.front.says("app/manifests/1.2.0", 502, "")
	g.finds(reconcile.Failed, "1.1.0", "502")
	g.front.honest()
	g.finds(reconcile.Updated, "1.2.0")
}

// A look goes down so far and no further.
func TestAWalkIsBounded(t *testing.T) {
	g := newGated(t, anySemver, "", "1.0.0")
	var tags []string
	for i := range 60 {
		tags = append(tags, fmt.Sprintf("1.%d.0", i))
		g.front.says("app/manifests/"+tags[i], 404, "")
	}
	g.front.lists(tags...)
	g.finds(reconcile.NoMatch, "1.0.0", "none of the 50 best tags", "only the best 50 are looked at, so narrow the rule")
	heads := 0
	for _, asked := range g.front.take() {
		if strings.HasPrefix(asked, "HEAD app/manifests/1.") {
			heads++
		}
	}
	if heads != 50 {
		t.Errorf("%d candidates were asked for, want 50", heads)
	}
}

// What is undone holds, also when a gate comes to keep it back: a hold never slips to the
// next best, not by way of a gate either.
func TestAHoldDoesNotSlipThroughAGate(t *testing.T) {
	undone := func(t *testing.T, trailers bool) (*gated, user) {
		g := newGated(t, anySemver, "", "1.0.0")
		g.has("1.0.0", "linux/amd64", "linux/arm64")
		g.has("1.1.0", "linux/amd64", "linux/arm64")
		g.has("1.2.0", "linux/amd64")
		g.finds(reconcile.Updated, "1.2.0")
		u := g.user()
		if !trailers {
			u.git("commit", "--quiet", "--amend", "--message", "As somebody squashed it")
		}
		u.revert("HEAD")
		u.push()
		g.holdsAt(reconcile.RolledBack, "1.0.0", "1.2.0 was undone")
		return g, u
	}
	gates := map[string]string{"platforms": "platforms: [linux/arm64]", "age": "minimumAge: 1h", "platforms, without trailers": "platforms: [linux/arm64]"}
	for name, gate := range gates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, u := undone(t, !strings.HasSuffix(name, "without trailers"))
			if name == "age" { // 1.1.0 is known for long, 1.2.0 is not.
				cache := openCache(t, g.folder)
				for _, tag := range []string{"1.0.0", "1.1.0"} {
					cache.FirstSeen(g.image("app"), g.has(tag, "linux/amd64", "linux/arm64"), g.now.Add(-time.Hour))
				}
				if err := cache.Close(); err != nil {
					t.Fatal(err)
				}
			}
			u.edit(policyFile, "spec:", "spec:\n  "+gate)
			u.commit("A gate")
			u.push()
			g.holdsAt(reconcile.RolledBack, "1.0.0", "1.2.0 was undone")
			u.git("pull", "--quiet")
			if err := os.WriteFile(filepath.Join(u.dir, "apps/new.yaml"), []byte(g.deployment("new", "app:1.0.0", "app")), 0o600); err != nil {
				t.Fatal(err)
			}
			u.git("add", ".")
			u.commit("Another field")
			u.push()
			g.holdsAt(reconcile.RolledBack, "1.0.0", "1.2.0 was undone")
			g.has("1.3.0", "linux/arm64")
			if name == "age" {
				g.holdsAt(reconcile.RolledBack, "1.0.0")
				g.now = g.now.Add(time.Hour)
			}
			g.finds(reconcile.Updated, "1.3.0")
		})
	}
}

// A pin and a person who rolls back name what they want, and no gate counts. Who resumes
// asks for the selection, as the gates let it pass.
func TestWhoNamesAnImagePassesTheGates(t *testing.T) {
	g := newGated(t, anySemver, "  minimumAge: 1h\n", "1.0.0")
	g.has("1.0.0")
	g.has("1.1.0")
	g.finds(reconcile.TooYoung, "1.0.0")
	g.now = g.now.Add(time.Hour)
	g.finds(reconcile.Updated, "1.1.0")
	young := g.has("1.2.0")
	u := g.user()
	u.edit(policyFile, "spec:", "spec:\n  pin: {tag: 1.2.0}")
	u.commit("Pin")
	u.push()
	report := g.finds(reconcile.Updated, "1.2.0")
	if got := report.Policies[0].Selected; got == nil || got.Tag != "1.1.0" {
		t.Errorf("the rule picks %v", got)
	}
	g.holdsAt(reconcile.Pinned, "1.2.0")
	u.git("pull", "--quiet")
	u.edit(policyFile, "\n  pin: {tag: 1.2.0}", "")
	u.commit("Unpin")
	u.push()
	g.holdsAt(reconcile.TooYoung, "1.2.0", "stays at 1.2.0: 1.2.0 waits")
	g.process(func(e *reconcile.Engine) {
		report, err := e.Resume(t.Context(), "prod/app")
		if err != nil || report.Policies[0].Reason != reconcile.TooYoung || len(report.Commits) > 0 {
			t.Fatalf("resume: %v: %+v", err, report)
		}
	})
	g.process(func(e *reconcile.Engine) {
		if _, err := e.Rollback(t.Context(), "prod/app", reconcile.RollbackOptions{To: "1.1.0"}); err != nil {
			t.Fatal(err)
		}
	})
	g.holdsAt(reconcile.UpToDate, "1.1.0", "1.2.0 ranks above it and waits")
	g.process(func(e *reconcile.Engine) {
		if _, err := e.Rollback(t.Context(), "prod/app", reconcile.RollbackOptions{To: young}); err != nil {
			t.Fatal(err)
		}
	})
	if got := g.tag(app); got != "1.2.0" {
		t.Errorf("it holds %s after a rollback to what is too young", got)
	}
}
