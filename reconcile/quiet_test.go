// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
)

// Whatever happens after a pass that had nothing to do, the next one finds what an
// engine finds that remembers nothing.
func TestQuietPasses(t *testing.T) {
	const steps = 60
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	c.push("web", "1.0.0", "1.1.0")
	web := "apps/web.yaml"
	c.repo.Seed(t, map[string]string{app: c.deployment("app", "app:1.0.0", "app"), web: c.deployment("web", "web:1.0.0", "web")}, "First")
	c.cluster.declare(c.object("app", "app"), c.object("web", "web"))
	newest := map[string]int{"app": 1, "web": 1}
	happenings := []struct {
		name   string
		happen func(policy string, p *v1alpha1.ImagePolicy)
	}{
		{"a newer tag", func(name string, _ *v1alpha1.ImagePolicy) {
			newest[name]++
			c.push(name, fmt.Sprintf("1.%d.0", newest[name]))
		}},
		{"another rule", func(_ string, p *v1alpha1.ImagePolicy) {
			p.Spec.Select.Semver.Range = []string{">=1.0.0", "1.x", "<1.1.0", ">=9"}[random.IntN(4)]
		}},
		{"another image of a tag", func(name string, _ *v1alpha1.ImagePolicy) {
			images.Push(t, c.registry, name, "1.0.0", fmt.Sprint(random.Uint64()))
		}},
		{"an empty commit", func(string, *v1alpha1.ImagePolicy) {
			u := c.user()
			u.git("commit", "--quiet", "--allow-empty", "--message", "Say nothing")
			u.push()
		}},
		{"a pin", func(_ string, p *v1alpha1.ImagePolicy) { p.Spec.Pin = &v1alpha1.Pin{Tag: "1.0.0"} }},
		{"no pin", func(_ string, p *v1alpha1.ImagePolicy) { p.Spec.Pin = nil }},
		{"a suspension", func(_ string, p *v1alpha1.ImagePolicy) { p.Spec.Suspend = !p.Spec.Suspend }},
		{"a gate", func(_ string, p *v1alpha1.ImagePolicy) { p.Spec.MinimumAge = &metav1.Duration{Duration: time.Hour} }},
		{"no gate", func(_ string, p *v1alpha1.ImagePolicy) { p.Spec.MinimumAge = nil }},
		{"a revert", func(string, *v1alpha1.ImagePolicy) {
			if c.user().git("diff", "--name-only", "HEAD~1") != "" {
				c.revert()
			}
		}},
		{"an edit elsewhere", func(string, *v1alpha1.ImagePolicy) {
			u := c.user()
			u.edit(web, "kind:", "# A comment.\nkind:")
			u.commit("Say more")
			u.push()
		}},
		{"nothing", func(string, *v1alpha1.ImagePolicy) {}},
	}
	c.look()
	for range steps {
		c.sync() // After it there is nothing to do.
		at := random.IntN(len(c.cluster.list))
		changed := c.cluster.list[at].DeepCopy()
		what := happenings[random.IntN(len(happenings))]
		what.happen(changed.Name, changed)
		if !equality.Semantic.DeepEqual(changed.Spec, c.cluster.list[at].Spec) {
			changed.Generation++ // As an API server counts.
		}
		c.cluster.list[at].ImagePolicy = changed
		if random.IntN(4) > 0 {
			c.look()
		}
		report := c.sync()
		fresh, err := c.open().Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for field, pair := range map[string][2]any{
			"policies": {fresh.Policies, report.Settled}, "problems": {fresh.Problems, report.Problems}, "head": {fresh.Head, report.Head},
		} {
			if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
				t.Fatalf("after %s at %s, %s (-fresh +this):\n%s", what.name, changed.Name, field, diff)
			}
		}
	}
}

// A pass with nothing to do looks the policies up, and at no field. It says what the one
// before it said, until something changes.
func TestAQuietPassIsCheap(t *testing.T) {
	c := newClustered(t)
	files := map[string]string{}
	const many = 300
	c.push("app", "1.0.0", "1.1.0")
	for n := range many {
		name := fmt.Sprintf("app-%03d", n)
		c.cluster.declare(c.object(name, "app"))
		files["apps/"+name+".yaml"] = c.deployment(name, "app:1.0.0", name)
	}
	c.repo.Seed(t, files, "First")
	c.look()
	c.expectUpdated(c.sync(), many)
	pass := func() {
		c.engine.Keep(reconcile.Pace{}) // The controller tells it before each pass.
		if err := c.engine.Use(reconcile.GitAuth{}, reconcile.Commits{}); err != nil {
			t.Error(err)
		}
		report, err := c.engine.Sync(t.Context())
		if err != nil || len(report.Policies) != many || report.Policies[0].Reason != reconcile.UpToDate {
			t.Errorf("a quiet pass: %v %+v", err, report)
		}
	}
	pass()
	if allocations := testing.AllocsPerRun(10, pass); allocations > 10*many {
		t.Errorf("a quiet pass over %d policies makes %v allocations", many, allocations)
	}
	c.push("app", "1.2.0")
	c.look()
	c.expectUpdated(c.sync(), many)
}

// A race that was lost before there was nothing to do is told of once.
func TestAQuietPassLosesNoRace(t *testing.T) {
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	c.repo.Seed(t, map[string]string{app: c.deployment("app", "app:1.0.0", "app")}, "First")
	c.cluster.declare(c.object("app", "app"))
	c.look()
	before := c.repo.Head(t, "main")
	if _, err := c.open().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	same := c.repo.Head(t, "main")
	gitserver.Git(t, c.repo.Dir, "update-ref", "refs/heads/main", before)
	c.now = c.now.Add(time.Minute) // Else the commits would be the same.
	c.repo.Hook(t, "pre-receive", "unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main "+same+"; exit 1")
	for pass, want := range []int{1, 0} {
		report, err := c.engine.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report.Races != want || report.Policies[0].Reason != reconcile.UpToDate {
			t.Errorf("pass %d tells of %d lost races and %s, want %d", pass, report.Races, report.Policies[0].Reason, want)
		}
	}
}

func (c *clustered) expectUpdated(report *reconcile.Report, want int) {
	c.t.Helper()
	count := 0
	for _, p := range report.Policies {
		if p.Reason == reconcile.Updated {
			count++
		}
	}
	if count != want {
		c.t.Fatalf("%d policies are updated, not %d", count, want)
	}
}
