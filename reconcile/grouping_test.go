// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// grouped is a world with two policies on one image, and one on another.
func groupedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	w.push("web", "1.0.0", "1.1.0")
	files := map[string]string{}
	for policy, image := range map[string]string{"app": "app", "app-too": "app", "web": "web"} {
		files["policies/"+policy+".yaml"] = w.policy(policy, image)
		files["apps/"+policy+".yaml"] = w.deployment(policy, image+":1.0.0", policy)
	}
	w.repo.Seed(t, files, "First")
	return w
}

// with syncs by a fresh process whose commits look like this.
func (w *world) with(commits reconcile.Commits) *reconcile.Report {
	w.t.Helper()
	w.engine()
	e, err := reconcile.OpenBeside(w.first, reconcile.Config{Repo: w.address, Registry: registry.Options{PlainHTTP: []string{w.registry}}, Commits: commits})
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := e.Sync(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.repo.Fsck(w.t)
	return report
}

// entries are the trailers of the newest commits, each as "<policy> <revision>".
func (w *world) entries(commits int) []string {
	w.t.Helper()
	var found []string
	for i := range commits {
		var one []string
		trailers := gitserver.Git(w.t, w.repo.Dir, "log", "-1", "--format=%(trailers:only,unfold)", fmt.Sprintf("main~%d", i))
		for line := range strings.Lines(trailers) {
			if words := strings.Fields(line); len(words) > 2 {
				one = append(one, words[1]+" "+words[2])
			}
		}
		found = append(found, strings.Join(one, ", "))
	}
	return found
}

func TestGrouping(t *testing.T) {
	cases := map[reconcile.Grouping]struct {
		// entries are those of each commit, the newest first.
		entries []string
		// reverted is what one revert of the newest commit does.
		reverted map[string]string
		reasons  []string
	}{
		reconcile.ByImage: {[]string{"prod/web 1", "prod/app-too 1, prod/app 1"},
			map[string]string{"apps/app.yaml": "1.1.0", "apps/app-too.yaml": "1.1.0", "apps/web.yaml": "1.0.0"},
			[]string{"prod/app UpToDate", "prod/app-too UpToDate", "prod/web RolledBack"}},
		reconcile.ByPolicy: {[]string{"prod/web 1", "prod/app-too 1", "prod/app 1"},
			map[string]string{"apps/app.yaml": "1.1.0", "apps/app-too.yaml": "1.1.0", "apps/web.yaml": "1.0.0"},
			[]string{"prod/app UpToDate", "prod/app-too UpToDate", "prod/web RolledBack"}},
		reconcile.AllInOne: {[]string{"prod/app-too 1, prod/app 1, prod/web 1"},
			map[string]string{"apps/app.yaml": "1.0.0", "apps/app-too.yaml": "1.0.0", "apps/web.yaml": "1.0.0"},
			[]string{"prod/app RolledBack", "prod/app-too RolledBack", "prod/web RolledBack"}},
	}
	for grouping, c := range cases {
		t.Run(string(grouping), func(t *testing.T) {
			w := groupedWorld(t)
			commits := reconcile.Commits{Grouping: grouping}
			if report := w.with(commits); len(report.Commits) != len(c.entries) {
				t.Fatalf("there are %d commits, want %d", len(report.Commits), len(c.entries))
			}
			if diff := cmp.Diff(c.entries, w.entries(len(c.entries))); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			u := w.user()
			u.git("revert", "--no-edit", "HEAD")
			u.push()
			report := w.with(commits)
			if diff := cmp.Diff(c.reasons, reasons(report)); diff != "" {
				t.Errorf("after the revert (-want +got):\n%s", diff)
			}
			for file, tag := range c.reverted {
				if got := w.tag(file); got != tag {
					t.Errorf("%s holds %s, want %s", file, got, tag)
				}
			}
			w.expectNext(commits)
		})
	}
}

// expectNext: what is newer than what was undone ends each hold, and each policy
// counts on.
func (w *world) expectNext(commits reconcile.Commits) {
	w.t.Helper()
	w.push("app", "1.2.0")
	w.push("web", "1.2.0")
	report := w.with(commits)
	for _, p := range report.Policies {
		if p.Reason != reconcile.Updated {
			w.t.Errorf("%s is %s: %s", p.Name, p.Reason, p.Message)
		}
	}
	if got := strings.Join(w.entries(len(report.Commits)), ", "); strings.Count(got, " 2") != 3 {
		w.t.Errorf("the entries are %s, want the second revision of each", got)
	}
}

// TestRevertOfOnePolicyByHand: of an entry of several policies each is undone alone.
func TestRevertOfOnePolicyByHand(t *testing.T) {
	w := groupedWorld(t)
	commits := reconcile.Commits{Grouping: reconcile.AllInOne}
	w.with(commits)
	u := w.user()
	u.git("checkout", "--quiet", "HEAD~1", "--", "apps/web.yaml")
	u.commit("Back, of the web alone")
	u.push()
	want := []string{"prod/app UpToDate", "prod/app-too UpToDate", "prod/web RolledBack"}
	if diff := cmp.Diff(want, reasons(w.with(commits))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The trailers of one commit say the same whatever the grouping is now.
	if diff := cmp.Diff(want, reasons(w.with(reconcile.Commits{}))); diff != "" {
		t.Errorf("by another grouping (-want +got):\n%s", diff)
	}
}
