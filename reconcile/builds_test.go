// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// What only a cluster can do is told where there is none, and the rest goes on.
func TestATriggerNeedsACluster(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{
		"policies/app.yaml": w.policy("app", "app") + "  trigger: {builds: {matchLabels: {base: app}}}\n",
		app:                 w.deployment("app", "app:1.0.0", "app"),
	}, "First")
	report := w.sync()
	want := []string{"policies/app.yaml:1: spec.trigger of prod/app is ignored: without a cluster, there are no Builds to start"}
	if diff := cmp.Diff(want, report.Notices); diff != "" || len(report.Commits) != 1 {
		t.Errorf("notices (-want +got):\n%s\ncommits: %v", diff, report.Commits)
	}
}

// makers know builds by the tag that they made.
type makers map[string]reconcile.Build

func (m makers) MadeBy(_, _ string, selected reconcile.TagDigest, _ time.Time) (reconcile.Build, bool) {
	build, known := m[selected.Tag]
	return build, known
}

// A build that made the selection is its cause, whoever looked; and no other's.
func TestABuildIsTheCauseOfWhatItMade(t *testing.T) {
	const source = "0123456789abcdef0123456789abcdef01234567"
	c := newClustered(t)
	c.push("app", "1.0.0", "1.1.0")
	c.repo.Seed(t, map[string]string{app: c.deployment("app", "app:1.0.0", "app")}, "First")
	c.cluster.declare(c.object("app", "app"))
	c.resolutions.Ask(makers{
		"1.1.0": {Cause: reconcile.ByBuild("ci", "app-1"), Source: source},
		"1.3.0": {Cause: reconcile.ByBuild("ci", "app-3")},
	})
	for _, tag := range []string{"1.1.0", "1.2.0", "1.3.0"} {
		c.push("app", tag)
		c.look()
		c.look() // Whoever looks again knows no better.
		c.sync()
	}
	rows, err := c.engine.History(t.Context(), "prod/app")
	if err != nil {
		t.Fatal(err)
	}
	want := []reconcile.Revision{
		{Revision: 3, Tag: "1.3.0", Cause: "build/ci/app-3", State: reconcile.Current},
		{Revision: 2, Tag: "1.2.0", Cause: "schedule", State: reconcile.Earlier},
		{Revision: 1, Tag: "1.1.0", Cause: "build/ci/app-1", Source: source, State: reconcile.Earlier},
		{Tag: "1.0.0", Cause: reconcile.ByHand, State: reconcile.Earlier},
	}
	if diff := cmp.Diff(want, rows, cmpopts.IgnoreFields(reconcile.Revision{}, "Digest", "Commit", "Author", "Time")); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}
