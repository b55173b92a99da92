// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// declaredHere are the policies of a cluster.
type declaredHere struct {
	list []reconcile.Declared
	err  error
}

func (d *declaredHere) Policies(context.Context) ([]reconcile.Declared, error) { return d.list, d.err }

func (d *declaredHere) declare(policies ...*v1alpha1.ImagePolicy) {
	for _, p := range policies {
		d.list = append(d.list, reconcile.Declared{ImagePolicy: p})
	}
}

// clustered is a world with a cluster, and an engine that works for it.
type clustered struct {
	*world

	cluster     *declaredHere
	resolutions *reconcile.Resolutions
	account     *reconcile.Account
	engine      *reconcile.Engine
	now         time.Time
}

func newClustered(t *testing.T, paths ...string) *clustered {
	t.Helper()
	w := newWorld(t, gitserver.Options{})
	c := &clustered{world: w, cluster: &declaredHere{}, resolutions: reconcile.NewResolutions(), now: time.Now(),
		account: reconcile.NewAccount(registry.Options{PlainHTTP: []string{w.registry}})}
	c.engine = c.open(paths...)
	return c
}

// open makes another engine for the cluster.
func (c *clustered) open(paths ...string) *reconcile.Engine {
	c.t.Helper()
	c.world.engine() // whose schema is shared
	e, err := reconcile.OpenBeside(c.first, reconcile.Config{Repo: c.address, Policies: c.cluster, Resolutions: c.resolutions,
		Paths: paths, Dates: true, Now: func() time.Time { return c.now }})
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

// look asks the registry about all policies.
func (c *clustered) look() {
	c.t.Helper()
	var policies []*v1alpha1.ImagePolicy
	for _, d := range c.cluster.list {
		if reconcile.CheckPolicy(d.ImagePolicy) == nil {
			policies = append(policies, d.ImagePolicy)
		}
	}
	if err := c.resolutions.Look(c.t.Context(), c.account, policies, time.Now(), reconcile.BySchedule); err != nil {
		c.t.Fatal(err)
	}
}

// sync checks that what is settled is what the next pass finds.
func (c *clustered) sync() *reconcile.Report {
	c.t.Helper()
	report, err := c.engine.Sync(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	again, err := c.engine.Plan(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	if diff := cmp.Diff(again.Policies, report.Settled); diff != "" {
		c.t.Errorf("what is settled is not what the next pass finds (-next +settled):\n%s", diff)
	}
	c.repo.Fsck(c.t)
	return report
}

func (c *clustered) expectReasons(report *reconcile.Report, want ...string) {
	c.t.Helper()
	if diff := cmp.Diff(want, reasons(report)); diff != "" {
		c.t.Fatalf("reasons (-want +got):\n%s", diff)
	}
}

func problemsIn(report *reconcile.Report) []string {
	var lines []string
	for _, p := range report.Problems {
		lines = append(lines, fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message))
	}
	return lines
}

// In a cluster its objects count, once their registry answered; documents in the
// repository do not.
func TestPoliciesOfACluster(t *testing.T) {
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	c.push("web", "1.0.0", "1.1.0")
	c.repo.Seed(t, map[string]string{
		"policies/web.yaml": c.policy("web", "web"), "policies/nobody.yaml": "apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: nobody}\n",
		app: c.deployment("app", "app:1.0.0", "app"), "apps/web.yaml": c.deployment("web", "web:1.0.0", "web"),
	}, "First")
	p := c.object("app", "app")
	c.cluster.declare(p)
	c.expectReasons(c.sync())
	c.look()
	first := c.sync()
	c.expectReasons(first, "prod/app Updated")
	want := []string{"apps/web.yaml:11: the marker names the policy prod/web, which does not exist in the cluster, or may not write here: create it, mend the marker, or widen spec.policies of the ManifestRepository"}
	if diff := cmp.Diff(want, problemsIn(first)); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if got := first.Settled[0]; got.UID != "uid" || got.Generation != 1 || got.Reason != reconcile.UpToDate || len(got.Digests) != 1 || got.Digests[0] != got.Selected.Digest {
		t.Errorf("settled: %+v", got)
	}

	// Another rule: what the old one picked does not count any more.
	p = p.DeepCopy()
	p.Generation, p.Spec.Select.Semver.Range = 2, "<1.1.0"
	c.cluster.list = []reconcile.Declared{{ImagePolicy: p}}
	c.expectReasons(c.sync())
	c.look()
	if second := c.sync(); second.Policies[0].Reason != reconcile.Updated || c.tag(app) != "1.0.0" || second.Policies[0].Generation != 2 {
		t.Errorf("after another rule: %+v", second.Policies[0])
	}

	// One that can't be followed is told of, and does not hinder others.
	wrong := c.object("wrong", "app")
	wrong.Spec.Select.Semver.Range = "banana"
	c.cluster.declare(wrong, c.object("web", "web"))
	c.look()
	third := c.sync()
	c.expectReasons(third, "prod/app UpToDate", "prod/web Updated")
	if got := problemsIn(third); len(got) != 1 || !strings.HasPrefix(got[0], ":0: prod/wrong: spec.select.semver.range: ") {
		t.Errorf("problems: %q", got)
	}

	c.cluster.err = errors.New("the API server is away")
	if _, err := c.engine.Sync(t.Context()); !errors.Is(err, c.cluster.err) {
		t.Errorf("without the cluster a pass says %v", err)
	}
}

// A policy of another namespace binds by marker alone, and is told so.
func TestTargetsOfOtherNamespaces(t *testing.T) {
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	unmarked, _, _ := strings.Cut(c.deployment("other", "app:1.0.0", "app"), " #")
	c.repo.Seed(t, map[string]string{app: c.deployment("app", "app:1.0.0", "app"), "apps/other.yaml": strings.TrimSuffix(unmarked, "\n") + "\n"}, "First")
	p := c.object("app", "app")
	p.Spec.Targets = []v1alpha1.Target{{Workloads: &v1alpha1.WorkloadsTarget{Path: "**"}}}
	c.cluster.list = []reconcile.Declared{{ImagePolicy: p, MarkersOnly: true}}
	c.look()
	before := c.repo.Read(t, "main", "apps/other.yaml")
	report := c.sync()
	if len(report.Policies[0].Fields) != 1 || c.tag(app) != "1.1.0" || c.repo.Read(t, "main", "apps/other.yaml") != before {
		t.Errorf("by marker alone: %+v", report.Policies[0])
	}
	if got := problemsIn(report); len(got) != 1 || !strings.Contains(got[0], "prod/app: spec.targets do not count here") {
		t.Errorf("problems: %q", got)
	}
	c.cluster.list[0].MarkersOnly = false
	report = c.sync()
	if len(report.Policies[0].Fields) != 2 || c.tag("apps/other.yaml") != "1.1.0" || len(report.Problems) != 0 {
		t.Errorf("with its target: %+v, %v", report.Policies[0], report.Problems)
	}
}

// What lies outside of the paths is no field, is not written, tells nothing of policies,
// and proves no entry.
func TestPaths(t *testing.T) {
	c := newClustered(t, "./apps/", "single.yaml")
	c.push("app", "1.0.0", "1.1.0")
	files := map[string]string{
		app: c.deployment("app", "app:1.0.0", "app"), "single.yaml": c.deployment("app", "app:1.0.0", "app"),
		"infra/app.yaml": c.deployment("app", "app:1.0.0", "app"), "apps2/app.yaml": c.deployment("app", "app:1.0.0", "app"),
		"single.yaml.d/app.yaml": c.deployment("app", "app:1.0.0", "app"),
		"infra/typo.yaml":        c.deployment("app", "app:1.0.0", "nobody"), "infra/broken.yaml": "a: [ # {\"$imagepolicy\": \"prod:app\"}\n",
	}
	c.repo.Seed(t, files, "First")
	p := c.object("app", "app")
	p.Spec.Targets = []v1alpha1.Target{{Workloads: &v1alpha1.WorkloadsTarget{Path: "**"}}}
	c.cluster.declare(p)
	c.look()
	report := c.sync()
	var bound []string
	for _, f := range report.Policies[0].Fields {
		bound = append(bound, f.File)
	}
	if diff := cmp.Diff([]string{app, "single.yaml"}, bound); diff != "" {
		t.Errorf("bound files (-want +got):\n%s", diff)
	}
	if len(report.Problems) != 0 {
		t.Errorf("problems: %v", problemsIn(report))
	}
	changed := gitserver.Git(t, c.repo.Dir, "diff", "--name-only", "main~1", "main")
	if diff := cmp.Diff(app+"\nsingle.yaml", changed); diff != "" {
		t.Errorf("changed files (-want +got):\n%s", diff)
	}

	// Another object writes the rest, whose entries are none of this one's.
	c.push("app", "1.2.0")
	c.look()
	if elsewhere, err := c.open("infra/app.yaml").Sync(t.Context()); err != nil || len(elsewhere.Commits) != 1 {
		t.Fatalf("the other object: %+v, %v", elsewhere, err)
	}
	for engine, want := range map[*reconcile.Engine]string{c.engine: "1 1.1.0 schedule current", c.open("infra/app.yaml"): "1 1.2.0 schedule current"} {
		if _, err := engine.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{want}, recalled(t, engine, "prod/app")); diff != "" {
			t.Errorf("revisions (-want +got):\n%s", diff)
		}
	}
}

// recalled are a policy's revisions, as a line each.
func recalled(t *testing.T, e *reconcile.Engine, name string) []string {
	t.Helper()
	memories, err := e.Recall(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range memories[name].Revisions {
		lines = append(lines, fmt.Sprintf("%d %s %s %s", r.Revision, r.Tag, r.Cause, r.State))
	}
	return lines
}

// Messages name dates, so that they are the same tomorrow.
func TestMessagesWithDates(t *testing.T) {
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	c.repo.Seed(t, map[string]string{app: c.deployment("app", "app:1.0.0", "app")}, "First")
	c.cluster.declare(c.object("app", "app"))
	c.look()
	c.sync()
	u := c.user()
	u.git("revert", "--no-edit", "HEAD")
	u.push()
	when, err := time.Parse(time.RFC3339, u.git("log", "-1", "--format=%cI"))
	if err != nil {
		t.Fatal(err)
	}
	first := c.sync().Policies[0]
	if want := when.UTC().Format(time.RFC3339); first.Reason != reconcile.RolledBack || !strings.Contains(first.Message, "(Ada Person, "+want+")") {
		t.Errorf("%s: %s; want the date %s", first.Reason, first.Message, want)
	}
	c.now = c.now.Add(240 * time.Hour)
	if diff := cmp.Diff(first, c.sync().Policies[0]); diff != "" {
		t.Errorf("ten days later (-before +after):\n%s", diff)
	}
}

// What is settled after a write is what the next pass finds, whatever the policy is like.
func TestSettled(t *testing.T) {
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	kustomization := fmt.Sprintf("images:\n- name: %s\n  newTag: 1.0.0\n", c.image("app"))
	c.repo.Seed(t, map[string]string{
		app: c.deployment("app", "app:1.0.0", "app"), "apps/pinned.yaml": c.deployment("pinned", "app:1.1.0", "pinned"),
		"apps/partly.yaml": c.deployment("partly", "app:1.0.0", "partly"), "apps/foreign.yaml": c.deployment("partly", "web:1.0.0", "partly"),
		"k/kustomization.yaml": kustomization,
	}, "First")
	pinned, tagOnly := c.object("pinned", "app"), c.object("tag-only", "app")
	pinned.Spec.Pin = &v1alpha1.Pin{Tag: "1.0.0"}
	tagOnly.Spec.Targets = []v1alpha1.Target{{Kustomize: &v1alpha1.KustomizeTarget{Path: "k"}}}
	c.cluster.declare(c.object("app", "app"), c.object("partly", "app"), pinned, tagOnly)
	c.look()
	report := c.sync()
	c.expectReasons(report, "prod/app Updated", "prod/partly Failed", "prod/pinned Updated", "prod/tag-only Updated")
	settled := map[string]string{}
	for _, p := range report.Settled {
		settled[p.Name] = fmt.Sprintf("%s: %s", p.Reason, p.Message)
	}
	want := map[string]string{
		"app":      "UpToDate: holds the selection",
		"partly":   "Failed: it holds another image than " + c.image("app") + ", which prod/partly follows",
		"pinned":   "Pinned: prod/pinned stays at 1.0.0 while spec.pin names tag 1.0.0",
		"tag-only": "UpToDate: holds the selection; there is no key for the digest beside it, so the tag alone is followed",
	}
	if diff := cmp.Diff(want, settled); diff != "" {
		t.Errorf("settled (-want +got):\n%s", diff)
	}
}

// Each digest that fields hold of the image is told, also where they differ.
func TestDigestsThatAreHeld(t *testing.T) {
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	one, other := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	c.repo.Seed(t, map[string]string{
		"a.yaml": c.deployment("a", "app:1.0.0@"+one, "app"), "b.yaml": c.deployment("b", "app:1.0.0@"+other, "app"),
		"c.yaml": c.deployment("c", "app:1.0.0@"+one, "app"), "d.yaml": c.deployment("d", "app:1.0.0", "app"),
		"e.yaml": c.deployment("e", "web:1.0.0@sha256:"+strings.Repeat("3", 64), "app"),
	}, "First")
	c.cluster.declare(c.object("app", "app"))
	c.look()
	plan, err := c.engine.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{one, other}, plan.Policies[0].Digests); diff != "" {
		t.Errorf("digests (-want +got):\n%s", diff)
	}
}

// What is recalled is the history without edits by hand, and the vetoes that are known to
// explain; neither the registry nor the server is asked for it.
func TestRecall(t *testing.T) {
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	c.push("web", "1.0.0", "1.1.0")
	c.repo.Seed(t, map[string]string{app: c.deployment("app", "app:1.0.0", "app"), "apps/web.yaml": c.deployment("web", "web:1.0.0", "web")}, "First")
	c.cluster.declare(c.object("app", "app"), c.object("web", "web"), c.object("idle", "web"))
	next := func(tag string) {
		c.push("app", tag)
		c.look()
		c.sync()
	}
	c.look()
	c.sync()
	next("1.2.0")
	u := c.user()
	u.edit(app, ":1.2.0@", ":1.1.9@")
	u.commit("By hand")
	u.push()
	next("1.3.0")
	u = c.user()
	u.git("revert", "--no-edit", "HEAD")
	u.push()
	c.sync()

	before := c.server.Counts()
	memories, err := c.engine.Recall(t.Context(), []string{"prod/app", "prod/web", "prod/idle", "prod/unknown"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, c.server.Counts()); diff != "" {
		t.Errorf("the server was asked (-before +after):\n%s", diff)
	}
	if _, known := memories["prod/unknown"]; known || len(memories) != 3 {
		t.Errorf("%d policies are recalled", len(memories))
	}
	for name, memory := range memories {
		history, err := c.engine.History(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		byHand := func(r reconcile.Revision) bool { return r.Cause == reconcile.ByHand }
		if name == "prod/app" && (len(memory.Revisions) != 3 || len(history) < 3+2) {
			t.Errorf("%d of %d lines are revisions", len(memory.Revisions), len(history))
		}
		if diff := cmp.Diff(slices.DeleteFunc(history, byHand), memory.Revisions, cmp.Transformer("none", func(r []reconcile.Revision) []reconcile.Revision {
			return append([]reconcile.Revision{}, r...)
		})); diff != "" {
			t.Errorf("revisions of %s (-history +recalled):\n%s", name, diff)
		}
		explanation, err := c.engine.Explain(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(explanation.Vetoes, append([]reconcile.Veto{}, memory.Vetoes...)); diff != "" {
			t.Errorf("vetoes of %s (-explained +recalled):\n%s", name, diff)
		}
	}
	if got := memories["prod/app"].Vetoes; len(got) == 0 || got[0].Tag != "1.3.0" {
		t.Errorf("vetoes of the one that was reverted: %+v", got)
	}
	if got := memories["prod/idle"]; len(got.Revisions)+len(got.Vetoes) != 0 {
		t.Errorf("one without a field has %+v", got)
	}
}

// What an API server takes and can't be followed is told with its field.
func TestCheckPolicyOfACluster(t *testing.T) {
	w := &world{t: t, registry: "registry.example.com"}
	if err := reconcile.CheckPolicy(w.object("app", "app")); err != nil {
		t.Errorf("a policy that is well: %v", err)
	}
	for field, change := range map[string]func(*v1alpha1.ImagePolicySpec){
		"spec.schedule":              func(s *v1alpha1.ImagePolicySpec) { s.Schedule = "every day" },
		"spec.select.semver.range":   func(s *v1alpha1.ImagePolicySpec) { s.Select.Semver.Range = "banana" },
		"spec.select.filter.pattern": func(s *v1alpha1.ImagePolicySpec) { s.Select.Filter = &v1alpha1.Filter{Pattern: "("} },
		"spec.select.exclude[1]":     func(s *v1alpha1.ImagePolicySpec) { s.Select.Exclude = []string{"a", "["} },
		"spec.image":                 func(s *v1alpha1.ImagePolicySpec) { s.Image = "UPPER" },
		"spec.targets[1].workloads.path": func(s *v1alpha1.ImagePolicySpec) {
			s.Targets = []v1alpha1.Target{{Kustomize: &v1alpha1.KustomizeTarget{Path: "x"}}, {Workloads: &v1alpha1.WorkloadsTarget{Path: "["}}}
		},
	} {
		p := w.object("app", "app")
		change(&p.Spec)
		wrong, is := errors.AsType[*reconcile.SpecError](reconcile.CheckPolicy(p))
		if !is || wrong.Field != field || wrong.Policy != "prod/app" || wrong.Reason == "" || strings.HasPrefix(wrong.Reason, field) {
			t.Errorf("%s: %+v", field, wrong)
		}
	}
}
