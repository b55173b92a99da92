// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// TestOneCleanCommit checks the commit with the git command as the judge.
func TestOneCleanCommit(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	head := w.repo.Head(t, "main")
	plan, err := w.engine().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if plan.Policies[0].Reason != reconcile.Due || len(plan.Commits) != 1 || plan.Commits[0].SHA != "" || w.repo.Head(t, "main") != head {
		t.Fatalf("the plan is %+v", plan)
	}
	report := w.expect(reconcile.Updated, at("1.1.0"))
	if diff := cmp.Diff([]reconcile.Problem{}, report.Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if got := w.repo.Head(t, "main"); report.Head != got || report.Commits[0].SHA != got {
		t.Errorf("the report names %s and %s, the head is %s", report.Head, report.Commits[0].SHA, got)
	}
	words := gitserver.Git(t, w.repo.Dir, "diff", "--word-diff=porcelain", "--unified=0", "main~1", "main")
	digest := report.Policies[0].Selected.Digest
	var changed []string
	for line := range strings.SplitSeq(words, "\n") {
		if regexp.MustCompile(`^[+-][^+-]`).MatchString(line) {
			changed = append(changed, line)
		}
	}
	want := []string{"-" + w.image("app:1.0.0"), "+" + w.image("app:1.1.0@"+digest)}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("changed words (-want +got):\n%s", diff)
	}
	clone := w.repo.Clone(t)
	message := gitserver.Git(t, clone, "log", "-1", "--format=%(trailers:only,unfold)")
	wantTrailer := fmt.Sprintf("Pintle-Update: prod/app 1 %s 1.0.0 -> 1.1.0@%s cause=schedule", w.image("app"), digest)
	if diff := cmp.Diff(wantTrailer, strings.TrimSpace(message)); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
}

// TestFixpoint is rule 7: with nothing changed, a second pass of the same or of
// a fresh process writes nothing and moves no pack.
func TestFixpoint(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	e := w.engine()
	if _, err := e.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.server.Reset()
	report, err := e.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Commits) != 0 || report.Policies[0].Reason != reconcile.UpToDate {
		t.Errorf("a second pass reports %+v", report)
	}
	if diff := cmp.Diff(gitserver.Counts{Lookups: 1}, w.server.Counts()); diff != "" {
		t.Errorf("requests of an idle pass (-want +got):\n%s", diff)
	}
	w.server.Reset()
	w.expect(reconcile.UpToDate, at("1.1.0"))
	if diff := cmp.Diff(gitserver.Counts{Lookups: 1, UploadPacks: 1}, w.server.Counts()); diff != "" {
		t.Errorf("requests of a fresh process (-want +got):\n%s", diff)
	}
}

// TestRace has several writers on one branch: engines of disjoint policies and a
// person. Nothing is lost and nothing written twice.
func TestRace(t *testing.T) {
	const writers = 5
	w := newWorld(t, gitserver.Options{})
	files := map[string]string{"notes.yaml": "notes: 0\n"}
	names := make([]string, 0, writers)
	for i := range writers {
		name := fmt.Sprintf("app%d", i)
		names = append(names, name)
		w.push(name, "1.0.0", "1.1.0")
		files["policies/"+name+".yaml"] = w.policy(name, name)
		files["apps/"+name+".yaml"] = w.deployment(name, name+":1.0.0", name)
	}
	w.repo.Seed(t, files, "First")
	u := w.user()

	var group sync.WaitGroup
	errs := make(chan error, writers)
	for _, name := range names {
		e := w.engine()
		group.Go(func() {
			_, err := e.SyncDue(context.WithoutCancel(t.Context()), map[string]string{"prod/" + name: reconcile.ByEvent("generic")})
			errs <- err
		})
	}
	for i := range 3 {
		u.edit("notes.yaml", fmt.Sprintf("notes: %d", i), fmt.Sprintf("notes: %d", i+1))
		u.commit("Note")
		pushed := false
		for try := 0; try < 50 && !pushed; try++ {
			u.git("pull", "--quiet", "--rebase")
			_, err := gitserver.Try(t, u.dir, "push", "--quiet", "origin", "main")
			pushed = err == nil
		}
		if !pushed {
			t.Fatal("the person could not push in 50 tries")
		}
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	w.repo.Fsck(t)
	for _, name := range names {
		if got := w.tag("apps/" + name + ".yaml"); got != "1.1.0" {
			t.Errorf("%s holds %s", name, got)
		}
	}
	if got := gitserver.Git(t, w.repo.Dir, "show", "main:notes.yaml"); got != "notes: 3" {
		t.Errorf("the person's notes hold %q", got)
	}
	if got := gitserver.Git(t, w.repo.Dir, "rev-list", "--count", "main"); got != fmt.Sprint(1+writers+3) {
		t.Errorf("the branch has %s commits, want %d", got, 1+writers+3)
	}
}

// TestAllTransports syncs a bare repository by path, a file URL and a checkout.
func TestAllTransports(t *testing.T) {
	for name, address := range map[string]func(w *world) string{
		"path":     func(w *world) string { return w.repo.Dir },
		"file URL": func(w *world) string { return "file://" + w.repo.Dir },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, gitserver.Options{})
			w.seed()
			w.address = address(w)
			w.expect(reconcile.Updated, at("1.1.0"))
			u := w.user()
			u.git("revert", "--no-edit", "HEAD")
			u.push()
			w.expect(reconcile.RolledBack, at("1.0.0"))
		})
	}
	t.Run("checkout", func(t *testing.T) {
		w := newWorld(t, gitserver.Options{})
		w.seed()
		u := w.user()
		before := w.repo.Head(t, "main")
		w.address = u.dir
		report := w.sync()
		if !report.Checkout || report.Policies[0].Reason != reconcile.Updated || w.repo.Head(t, "main") != before {
			t.Errorf("the report is %+v", report)
		}
		if status := u.git("status", "--porcelain"); status != "" {
			t.Errorf("the checkout is not clean: %s", status)
		}
	})
}

// TestTargets binds without markers.
func TestTargets(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	policy := w.policy("app", "app") + `  targets:
  - kustomize: {path: "apps/*/prod"}
  - workloads: {path: "plain/**"}
  - helmValues: {path: charts/app/values.yaml, repository: image.repository, tag: image.tag}
`
	w.repo.Seed(t, map[string]string{
		"policies/app.yaml":                policy,
		"apps/app/prod/kustomization.yaml": "images:\n- name: " + w.image("app") + "\n  newTag: 1.0.0\n  digest: sha256:" + strings.Repeat("0", 64) + "\n",
		"plain/deploy.yaml":                strings.ReplaceAll(w.deployment("app", "app:1.0.0", "x"), `# {"$imagepolicy": "prod:x"}`, ""),
		"charts/app/values.yaml":           "image:\n  repository: " + w.image("app") + "\n  tag: 1.0.0\n",
	}, "First")
	report := w.expect(reconcile.Updated, map[string]string{"plain/deploy.yaml": "1.1.0"})
	digest := report.Policies[0].Selected.Digest
	got := gitserver.Git(t, w.repo.Dir, "show", "main:apps/app/prod/kustomization.yaml", "main:charts/app/values.yaml")
	want := "images:\n- name: " + w.image("app") + "\n  newTag: 1.1.0\n  digest: " + digest + "\nimage:\n  repository: " + w.image("app") + "\n  tag: 1.1.0"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	report = w.expect(reconcile.UpToDate, nil)
	for _, f := range report.Policies[0].Fields {
		lacks := strings.Contains(f.Message, "no key for the digest")
		if want := f.File == "charts/app/values.yaml"; lacks != want {
			t.Errorf("%s:%d: that there is no place for the digest is told: %v, want %v", f.File, f.Line, lacks, want)
		}
	}
}

// TestTwoImagesInOneFile makes one commit for each image, so that reverting one
// rolls back one image, though both stand in one file.
func TestTwoImagesInOneFile(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	w.push("web", "1.0.0", "1.1.0")
	both := "app: " + w.image("app:1.0.0") + " # {\"$imagepolicy\": \"prod:app\"}\n" +
		strings.Repeat("# So far apart that git can revert one alone.\n", 5) + "web: " + w.image("web:1.0.0") + " # {\"$imagepolicy\": \"prod:web\"}\n"
	w.repo.Seed(t, map[string]string{"policies/app.yaml": w.policy("app", "app"), "policies/web.yaml": w.policy("web", "web"), "both.yaml": both}, "First")
	report := w.sync()
	if len(report.Commits) != 2 || len(report.Diffs) != 1 {
		t.Fatalf("%d commits change %d files, want 2 and 1", len(report.Commits), len(report.Diffs))
	}
	for i, c := range report.Commits {
		if got := gitserver.Git(t, w.repo.Dir, "diff", "--shortstat", c.SHA+"~1", c.SHA); got != " 1 file changed, 1 insertion(+), 1 deletion(-)" {
			t.Errorf("commit %d: %s", i, got)
		}
	}
	u := w.user()
	u.git("revert", "--no-edit", report.Commits[0].SHA)
	u.push()
	after := w.sync()
	if diff := cmp.Diff([]string{"prod/app RolledBack", "prod/web UpToDate"}, reasons(after)); diff != "" {
		t.Errorf("after reverting the first commit (-want +got):\n%s", diff)
	}
}
