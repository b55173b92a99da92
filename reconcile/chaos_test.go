// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// chaos is a registry with faults, a repository that follows it by each kind of
// rule, and one engine for all passes.
type chaos struct {
	*world

	faulty *faults.Registry
	engine *reconcile.Engine
	random *rand.Rand
	// digests are what was pushed of each image, oldest first.
	digests map[string][]string
	wrote   int
}

var chaosRules = map[string]string{
	"semver":       `{semver: {range: ">=1.0.0"}}`,
	"numerical":    `{numerical: {order: Asc}, filter: {pattern: '^1\.(?P<n>\d+)\.0$', extract: '$n'}}`,
	"alphabetical": `{alphabetical: {order: Asc}, filter: {pattern: '^1\.\d{4}\.0$'}}`,
	"newest":       `{newest: {}}`,
	"followed":     `{tag: stable}`,
}

func newChaos(t *testing.T, seed uint64) *chaos {
	t.Helper()
	faulty := faults.New(t, faults.Options{Seed: seed, Tokens: true})
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	w := &world{t, faulty.Host, server, repo, repo.URL, nil}
	c := &chaos{world: w, faulty: faulty, random: rand.New(rand.NewPCG(seed, 1)), digests: map[string][]string{}}
	files := map[string]string{}
	for name, rule := range chaosRules {
		c.publish(name)
		files["policies/"+name+".yaml"] = strings.Replace(w.policy(name, name), anySemver, rule, 1)
		files["apps/"+name+".yaml"] = w.deployment(name, name+":"+c.tag(name, 0)+"@"+c.digests[name][0], name)
	}
	w.repo.Seed(t, files, "First")
	var err error
	c.engine, err = reconcile.Open(reconcile.Config{Repo: w.address, Registry: registry.Options{
		PlainHTTP: []string{w.registry}, Timeout: 100 * time.Millisecond, Limits: registry.NewLimits(-1),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tag is the nth that an image gets.
func (c *chaos) tag(name string, n int) string {
	if name == "followed" {
		return "stable"
	}
	return fmt.Sprintf("1.%04d.0", 1000+n)
}

// publish pushes the next version of an image, past the faults.
func (c *chaos) publish(name string) {
	c.t.Helper()
	n := len(c.digests[name])
	made := time.Date(2025, 1, 1, 0, n, 0, 0, time.UTC)
	digest := images.PushImage(c.t, c.faulty.Calm, name, c.tag(name, n), images.Image{Seed: fmt.Sprint(name, n), Created: made})
	c.digests[name] = append(c.digests[name], digest)
}

// sync makes a pass, and checks that nothing moves but up.
func (c *chaos) sync() *reconcile.Report {
	c.t.Helper()
	report, err := c.engine.Sync(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	for _, commit := range report.Commits {
		for _, change := range commit.Changes {
			name := strings.TrimPrefix(change.Policy, "prod/")
			old, now := c.index(name, change.Old), c.index(name, change.New)
			if now <= old || old < 0 {
				c.t.Fatalf("%s moved from number %d to number %d: %s → %s", name, old, now, change.Old, change.New)
			}
			c.wrote++
		}
	}
	return report
}

// index is the place of a reference among what was pushed; -1 is nowhere.
func (c *chaos) index(name, reference string) int {
	_, digest, _ := strings.Cut(reference, "@")
	return slices.Index(c.digests[name], digest)
}

// settled tells whether all policies hold the newest image.
func (c *chaos) settled(report *reconcile.Report) bool {
	for _, p := range report.Policies {
		all := c.digests[p.Name]
		if p.Reason != reconcile.UpToDate || p.Current == nil || p.Current.Digest != all[len(all)-1] {
			return false
		}
	}
	return len(report.Policies) == len(chaosRules)
}

// TestChaos goes through thousands of passes while the registry does all that can
// go wrong, and new images are pushed. Nothing moves down, and when the registry is
// well again the right images are in Git, and nothing is left behind.
func TestChaos(t *testing.T) {
	const passes, seed = 2000, 5
	goroutines := runtime.NumGoroutine()
	t.Run("passes", func(t *testing.T) {
		c := newChaos(t, seed)
		often := []faults.Fault{faults.TooManyRequests, faults.ServerError, faults.Reset, faults.Truncated, faults.ShortList, faults.LoopingPages, faults.WrongDigest, faults.ExpiredToken}
		kinds := slices.Concat(often, often, often, often, often, often, often, often, often, often, []faults.Fault{faults.Silence, faults.SlowBody})
		names := sortedNames(chaosRules)
		failed := 0
		for pass := range passes {
			// Now and then it is well, so that it gets on; and now and then it is quite ill.
			switch share := []float64{0, 0.02, 0.1, 0.5}[c.random.IntN(4)]; {
			case pass%1000 == 500:
				c.faulty.Inject(0.5, faults.RetryAfter) // costs a second each
			case pass%10 == 0:
				c.faulty.Inject(share, kinds...)
			}
			if pass%20 == 0 && pass < passes-100 {
				c.publish(names[c.random.IntN(len(names))])
			}
			for _, p := range c.sync().Policies {
				if p.Reason == reconcile.Failed {
					failed++
				}
			}
		}
		c.faulty.Inject(0)
		deadline := time.Now().Add(30 * time.Second)
		for report := c.sync(); !c.settled(report); report = c.sync() {
			if time.Now().After(deadline) {
				t.Fatalf("not settled: %+v", report.Policies)
			}
			time.Sleep(10 * time.Millisecond)
		}
		c.repo.Fsck(t)
		for fault, n := range c.faulty.Injected() {
			t.Logf("%s: %d times", fault, n)
		}
		if got := len(c.faulty.Injected()); got != 11 {
			t.Errorf("%d kinds of faults were met, want 11", got)
		}
		t.Logf("%d policies failed in all, %d fields were moved", failed, c.wrote)
		if failed == 0 || c.wrote < len(names) {
			t.Errorf("the faults had no effect: %d failed, %d fields moved", failed, c.wrote)
		}
		if open, most := c.faulty.Connections(); open > 8 || most > 16 {
			t.Errorf("%d connections are open, %d were at the same time; want at most 8 and 16", open, most)
		}
		c.faulty.Server.Close()
		if open, _ := c.faulty.Connections(); open != 0 {
			t.Errorf("%d connections are left", open)
		}
	})
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > goroutines+2 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if got := runtime.NumGoroutine(); got > goroutines+2 {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", got, goroutines, stacks[:runtime.Stack(stacks, true)])
	}
}

func sortedNames(rules map[string]string) []string {
	var names []string
	for name := range rules {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// The last selection stays in reports while a registry is away, marked as such, and
// nothing is written from it.
func TestTheLastSelectionStays(t *testing.T) {
	c := newChaos(t, 1)
	c.publish("numerical")
	if report := c.sync(); len(report.Commits) != 1 {
		t.Fatalf("the first pass made %d commits, want 1", len(report.Commits))
	}
	want := c.sync()
	c.publish("semver")
	c.publish("followed")
	// A field comes while the registry is away, and holds what is below the selection.
	head := c.repo.Seed(t, map[string]string{
		"apps/second.yaml": c.deployment("second", "numerical:"+c.tag("numerical", 0)+"@"+c.digests["numerical"][0], "numerical"),
	}, "A second one")
	c.faulty.Inject(1, faults.ServerError)
	for range 3 {
		got := c.sync()
		for i, p := range got.Policies {
			if diff := cmp.Diff(want.Policies[i].Selected, p.Selected); diff != "" {
				t.Errorf("%s: the selection (-want +got):\n%s", p.Name, diff)
			}
			says := "; the last selection was " + p.Selected.Tag
			if p.Reason != reconcile.Failed || !p.Stale || !strings.HasSuffix(p.Message, says) {
				t.Errorf("%s: %s, stale %v: %s", p.Name, p.Reason, p.Stale, p.Message)
			}
		}
		if got.Head != head {
			t.Errorf("the head moved to %s", got.Head)
		}
	}
	fresh, err := reconcile.OpenBeside(c.engine, reconcile.Config{Repo: c.address, Registry: registry.Options{PlainHTTP: []string{c.registry}}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := fresh.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Policies {
		if p.Selected != nil || p.Stale || strings.Contains(p.Message, "last selection") {
			t.Errorf("a new process says %+v of %s", p.Selected, p.Name)
		}
	}
	c.faulty.Inject(0)
	deadline := time.Now().Add(30 * time.Second)
	for report := c.sync(); !c.settled(report); report = c.sync() {
		if time.Now().After(deadline) {
			t.Fatalf("not well again: %+v", report.Policies)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
