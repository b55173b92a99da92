// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// scene is a world with an engine that has been there from the start. What it
// plans must be what each fresh process does.
type scene struct {
	*world

	warm *reconcile.Engine
}

func newScene(t *testing.T, options gitserver.Options) *scene {
	t.Helper()
	w := newWorld(t, options)
	w.seed()
	return &scene{w, w.engine()}
}

func (s *scene) expect(reason reconcile.Reason, tags map[string]string) *reconcile.Report {
	s.t.Helper()
	plan, err := s.warm.Plan(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	report := s.world.expect(reason, tags)
	again, err := s.warm.Plan(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := gocmp.Diff(forgetful(again.Policies), report.Settled); diff != "" {
		s.t.Errorf("what is settled is not what the next pass finds (-next +settled):\n%s", diff)
	}
	planned := reasons(plan)
	for i := range planned {
		planned[i] = strings.ReplaceAll(planned[i], string(reconcile.Due), string(reconcile.Updated))
	}
	if diff := gocmp.Diff(planned, reasons(report)); diff != "" {
		s.t.Fatalf("a fresh process sees it otherwise (-warm +fresh):\n%s", diff)
	}
	if diff := gocmp.Diff(plan.Problems, report.Problems); diff != "" {
		s.t.Fatalf("a fresh process reports otherwise (-warm +fresh):\n%s", diff)
	}
	return report
}

// reads syncs and checks the reasons of all policies.
func (s *scene) reads(want ...string) *reconcile.Report {
	s.t.Helper()
	report := s.expect(reconcile.Reason(want[0][strings.Index(want[0], " ")+1:]), nil)
	if diff := gocmp.Diff(want, reasons(report)); diff != "" {
		s.t.Fatalf("reasons (-want +got):\n%s", diff)
	}
	return report
}

// holds expects that neither a fresh process nor the one that has been there
// writes anything, and gives the fresh one's report.
func (s *scene) holds(reason reconcile.Reason, tags map[string]string) *reconcile.Report {
	s.t.Helper()
	before := s.repo.Head(s.t, "main")
	report := s.expect(reason, tags)
	again, err := s.warm.Sync(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := gocmp.Diff(reasons(report), reasons(again)); diff != "" {
		s.t.Fatalf("a second pass sees it otherwise (-first +second):\n%s", diff)
	}
	if len(report.Commits)+len(again.Commits) > 0 || s.repo.Head(s.t, "main") != before {
		s.t.Fatal("something was written during the hold")
	}
	return report
}

// goesOn expects that a newer version is written, once.
func (s *scene) goesOn(tag string, files ...string) {
	s.t.Helper()
	s.push("app", tag)
	tags := map[string]string{}
	for _, f := range files {
		tags[f] = tag
	}
	s.expect(reconcile.Updated, tags)
	s.expect(reconcile.UpToDate, tags)
}

var imageLine = regexp.MustCompile(`(image: {3})\S+`)

// set gives the fields of a file a reference, whatever they hold.
func (u user) set(file, reference string) {
	u.w.t.Helper()
	path := filepath.Join(u.dir, file)
	content, err := os.ReadFile(path)
	if err != nil {
		u.w.t.Fatal(err)
	}
	if err := os.WriteFile(path, imageLine.ReplaceAll(content, []byte("${1}"+reference)), 0o600); err != nil {
		u.w.t.Fatal(err)
	}
}

// setTo is set of the app's field to one of its tags.
func (u user) setTo(tag string) {
	u.w.t.Helper()
	u.set(app, u.w.image("app:"+tag))
}

// note commits something that concerns no policy.
func (u user) note(name string) {
	u.w.t.Helper()
	if err := os.WriteFile(filepath.Join(u.dir, name), []byte("note: 1\n"), 0o600); err != nil {
		u.w.t.Fatal(err)
	}
	u.git("add", name)
	u.commit("Note " + name)
}

func (u user) revert(args ...string) {
	u.w.t.Helper()
	u.git(append([]string{"revert", "--no-edit"}, args...)...)
}

// merge makes a merge commit, also where none is needed.
func (u user) merge(args ...string) {
	u.w.t.Helper()
	u.git(append([]string{"merge", "--quiet", "--no-ff", "--no-edit"}, args...)...)
}

// held is what the app's field holds in a commit.
func (u user) held(commit string) string {
	u.w.t.Helper()
	return strings.TrimPrefix(imageLine.FindString(u.git("show", commit+":"+app)), "image:   ")
}

// resolve merges a branch that conflicts in the app's file, to a reference.
func (u user) resolve(branch, reference string) {
	u.w.t.Helper()
	if _, err := gitserver.Try(u.w.t, u.dir, "merge", "--quiet", "--no-ff", branch); err == nil {
		u.w.t.Fatal("nothing conflicts")
	}
	u.git("checkout", "--quiet", "--ours", app)
	u.set(app, reference)
	u.git("add", app)
	u.git("commit", "--quiet", "--no-edit")
}

// pulled does something in a clone that has all that was pushed.
func pulled(do func(u user)) func(u user) {
	return func(u user) {
		u.w.t.Helper()
		u.git("pull", "--quiet")
		do(u)
	}
}

// byHand edits the app's field and commits.
func byHand(reference string) func(u user) {
	return pulled(func(u user) {
		u.set(app, u.w.image(reference))
		u.commit("By hand")
	})
}

// form is one way in which people undo, or do something else that must not be
// taken for it.
type form struct {
	// written are the versions that Pintle wrote; 1.1.0 alone if there is none.
	written []string
	// before is done in a clone before Pintle writes, and not pushed.
	before func(u user)
	// do is done in the same clone afterwards, and pushed by force.
	do func(u user)
	// reason is the next passes', and file holds the tag then.
	reason reconcile.Reason
	tag    string
	file   string // app if empty
	// by is the commit, as the clone names it, that the message has to name; HEAD
	// if empty, none if "-".
	by string
	// next is the reason after a newer version came; Updated if empty.
	next reconcile.Reason
}

func (f form) run(t *testing.T, options gitserver.Options) {
	t.Helper()
	s := newScene(t, options)
	u := s.user()
	if f.before != nil {
		f.before(u)
	}
	next := "1.2.0"
	s.expect(reconcile.Updated, at("1.1.0"))
	for range max(len(f.written)-1, 0) {
		s.push("app", next)
		s.expect(reconcile.Updated, at(next))
		next = "1.3.0"
	}
	f.do(u)
	u.push()
	file := cmp.Or(f.file, app)
	report := s.holds(f.reason, map[string]string{file: f.tag})
	if held := f.reason == reconcile.RolledBack || f.reason == reconcile.ManuallySet; held && f.by != "-" {
		by := u.git("rev-parse", "--short=9", cmp.Or(f.by, "HEAD"))
		if got := report.Policies[0].Message; !strings.Contains(got, "by "+by) {
			t.Errorf("the message is %q, want it to name %s (%s)", got, by, cmp.Or(f.by, "HEAD"))
		}
	}
	s.push("app", next)
	if next := cmp.Or(f.next, reconcile.Updated); next != reconcile.Updated {
		s.holds(next, map[string]string{file: f.tag})
		return
	}
	s.expect(reconcile.Updated, map[string]string{file: next})
	s.expect(reconcile.UpToDate, map[string]string{file: next})
}

// runForms runs each form on servers with and without filters.
func runForms(t *testing.T, forms map[string]form) {
	t.Helper()
	for name, f := range forms {
		for transport, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				f.run(t, options)
			})
		}
	}
}

// TestFormsOfCommits has the undo in every form that git gives it: reverts,
// squashes and rewritten branches.
func TestFormsOfCommits(t *testing.T) {
	undone := func(do func(u user)) form {
		return form{do: pulled(do), reason: reconcile.RolledBack, tag: "1.0.0"}
	}
	ofTwo := func(do func(u user)) form {
		return form{written: []string{"1.1.0", "1.2.0"}, do: pulled(do), reason: reconcile.RolledBack, tag: "1.0.0"}
	}
	onTop := undone(func(u user) {
		u.revert("HEAD")
		u.note("a.yaml")
		u.note("b.yaml")
	})
	onTop.by = "HEAD~2"
	branch := undone(func(u user) {
		u.git("switch", "--quiet", "--create", "undo")
		u.revert("HEAD")
		u.git("switch", "--quiet", "main")
		u.note("a.yaml")
		u.merge("undo")
	})
	branch.by = "HEAD^2"
	runForms(t, map[string]form{
		"revert":                           undone(func(u user) { u.revert("HEAD") }),
		"revert with other commits on top": onTop,
		"merged revert":                    branch,
		"revert of both updates": ofTwo(func(u user) {
			u.revert("--no-commit", "HEAD~1..HEAD")
			u.revert("--no-commit", "HEAD~1")
			u.commit("Both back")
		}),
		"reset of the tree to what it was": ofTwo(func(u user) { u.git("checkout", "--quiet", "HEAD~2", "--", "."); u.commit("As it was") }),
		"squash without trailers, then revert": undone(func(u user) {
			u.git("reset", "--quiet", "--soft", "HEAD~1")
			u.commit("Squashed")
			u.revert("HEAD")
		}),
		"merge --squash with indented trailers, then revert": undone(func(u user) {
			u.git("branch", "topic")
			u.git("reset", "--quiet", "--hard", "HEAD~1")
			u.git("merge", "--quiet", "--squash", "topic")
			u.git("commit", "--quiet", "--no-edit")
			if !strings.Contains(u.git("log", "-1", "--format=%B"), "\n    Pintle-Update: ") {
				u.w.t.Fatal("the squash has no indented trailer")
			}
			u.revert("HEAD")
		}),
		"merge --squash of two updates, then revert": ofTwo(func(u user) {
			u.git("branch", "topic")
			u.git("reset", "--quiet", "--hard", "HEAD~2")
			u.git("merge", "--quiet", "--squash", "topic")
			u.git("commit", "--quiet", "--no-edit")
			u.revert("HEAD")
		}),
		"squash of two updates with the last one's trailer, then revert": ofTwo(func(u user) {
			last := u.git("rev-parse", "HEAD")
			u.git("reset", "--quiet", "--soft", "HEAD~2")
			u.git("commit", "--quiet", "--reuse-message", last)
			u.revert("HEAD")
		}),
		"squash of two updates with both trailers, then revert": ofTwo(func(u user) {
			trailers := u.git("log", "-2", "--format=%(trailers:only,unfold)")
			u.git("reset", "--quiet", "--soft", "HEAD~2")
			u.commit("Squashed\n\n" + strings.ReplaceAll(trailers, "\n\n", "\n") + "\n")
			u.revert("HEAD")
		}),
		"another paragraph after the trailers, then revert": undone(func(u user) {
			u.git("commit", "--quiet", "--amend", "--message", u.git("log", "-1", "--format=%B")+"\n\nReviewed in the meeting, as a squash appends it.\n")
			u.revert("HEAD")
		}),
		"rebase onto a rewritten base, then revert": ofTwo(func(u user) {
			base := u.git("rev-parse", "HEAD~2")
			u.git("switch", "--quiet", "--detach", base)
			u.git("commit", "--quiet", "--amend", "--message", "First, in better words")
			u.git("rebase", "--quiet", "--onto", u.git("rev-parse", "HEAD"), base, "main")
			u.revert("--no-commit", "HEAD~2..HEAD")
			u.commit("Both back")
		}),
		"amended by somebody, then revert": undone(func(u user) {
			u.git("commit", "--quiet", "--amend", "--no-edit", "--reset-author")
			u.revert("HEAD")
		}),
		"revert of the revert": {do: pulled(func(u user) {
			u.revert("HEAD")
			u.revert("HEAD")
		}), reason: reconcile.UpToDate, tag: "1.1.0"},
		"revert of a rollback": {written: []string{"1.1.0", "1.2.0"}, do: pulled(func(u user) {
			u.w.goBack("", "1.1.0")
			u.git("pull", "--quiet")
			u.revert("HEAD")
		}), reason: reconcile.UpToDate, tag: "1.2.0"},
		"revert of the revert of the revert": undone(func(u user) {
			u.revert("HEAD")
			u.revert("HEAD")
			u.revert("HEAD")
		}),
	})
}

// TestFormsOfHandEdits has what people may write into a field.
func TestFormsOfHandEdits(t *testing.T) {
	old := "sha256:" + strings.Repeat("0", 64)
	hand := func(reference string, reason reconcile.Reason, tag string, next reconcile.Reason) form {
		return form{do: byHand(reference), reason: reason, tag: tag, next: next}
	}
	newer := hand("app:1.5.0", reconcile.RolledBack, "1.5.0", reconcile.DowngradeRefused)
	runForms(t, map[string]form{
		"older":                                hand("app:1.0.0", reconcile.RolledBack, "1.0.0", ""),
		"older, with a digest of nothing":      hand("app:1.0.0@"+old, reconcile.RolledBack, "1.0.0", ""),
		"older, not in the registry":           hand("app:1.0.9", reconcile.RolledBack, "1.0.9", ""),
		"older, not admitted":                  hand("app:0.9.0", reconcile.ManuallySet, "0.9.0", reconcile.ManuallySet),
		"newer, not in the registry":           newer,
		"newer, not admitted":                  hand("app:1.2.0-rc.1", reconcile.ManuallySet, "1.2.0-rc.1", reconcile.ManuallySet),
		"unknown":                              hand("app:hotfix", reconcile.ManuallySet, "hotfix", reconcile.ManuallySet),
		"no tag":                               hand("app", reconcile.ManuallySet, "", reconcile.ManuallySet),
		"a digest alone":                       hand("app@"+old, reconcile.RolledBack, strings.TrimPrefix(old, "sha256:"), ""),
		"another image":                        hand("other/app:1.0.0", reconcile.ManuallySet, "1.0.0", reconcile.ManuallySet),
		"another image with the tag of before": hand("other/app:1.1.0", reconcile.ManuallySet, "1.1.0", reconcile.ManuallySet),
		"nothing": {do: pulled(func(u user) {
			u.set(app, `""`)
			u.commit("By hand")
		}), reason: reconcile.ManuallySet, tag: "", next: reconcile.ManuallySet},
		"unknown, in the registry": {do: pulled(func(u user) {
			u.w.push("app", "hotfix")
			u.setTo("hotfix")
			u.commit("By hand")
		}), reason: reconcile.ManuallySet, tag: "hotfix", next: reconcile.ManuallySet},
		"unknown, then set back": {do: pulled(func(u user) {
			before := u.reference()
			u.setTo("hotfix")
			u.commit("Try a fix")
			u.push()
			u.w.expect(reconcile.ManuallySet, at("hotfix"))
			u.set(app, before)
			u.commit("No fix")
		}), reason: reconcile.UpToDate, tag: "1.1.0"},
		"to and fro in one push": {do: pulled(func(u user) {
			before := u.reference()
			u.setTo("1.0.0")
			u.commit("Back")
			u.set(app, before)
			u.commit("And forth")
		}), reason: reconcile.UpToDate, tag: "1.1.0"},
		"twice": {do: pulled(func(u user) {
			u.setTo("1.0.9")
			u.commit("By hand")
			u.setTo("1.0.0")
			u.commit("By hand again")
		}), reason: reconcile.RolledBack, tag: "1.0.0"},
	})
}

// TestFormOfHandEditToNewer: who sets the newest version by hand agrees with the
// rule, and the digest is added.
func TestFormOfHandEditToNewer(t *testing.T) {
	s := newScene(t, gitserver.Options{})
	s.expect(reconcile.Updated, at("1.1.0"))
	s.push("app", "1.2.0")
	u := s.user()
	byHand("app:1.2.0")(u)
	u.push()
	s.expect(reconcile.Updated, at("1.2.0"))
	if got := u.reference(); !strings.Contains(got, "1.2.0@sha256:") {
		t.Errorf("the field holds %s, want a digest", got)
	}
	s.goesOn("1.3.0", app)
}

// TestFormOfAddedDigest: an update that only adds the digest can be undone too.
func TestFormOfAddedDigest(t *testing.T) {
	s := newScene(t, gitserver.Options{})
	s.repo.Seed(t, map[string]string{app: s.deployment("app", "app:1.1.0", "app")}, "By hand")
	s.expect(reconcile.Updated, at("1.1.0"))
	u := s.user()
	u.revert("HEAD")
	u.push()
	s.holds(reconcile.RolledBack, at("1.1.0"))
	if got := u.reference(); strings.Contains(got, "@") {
		t.Errorf("the field holds %s, want no digest", got)
	}
	s.goesOn("1.2.0", app)
}

// TestFormsOfMerges has merges with an undo in them, and merges without.
func TestFormsOfMerges(t *testing.T) {
	mine := func(u user) { u.note("mine.yaml") }
	stale := func(change func(u user)) func(u user) {
		return func(u user) {
			u.git("switch", "--quiet", "--create", "stale")
			change(u)
			u.git("switch", "--quiet", "main")
		}
	}
	older := stale(func(u user) {
		u.setTo("1.0.5")
		u.commit("Move to 1.0.5")
	})
	runForms(t, map[string]form{
		"pull of the update": {before: mine, do: func(u user) {
			u.git("pull", "--quiet", "--no-rebase", "--no-edit")
		}, reason: reconcile.UpToDate, tag: "1.1.0"},
		"pull that keeps what was": {before: mine, do: func(u user) {
			u.git("fetch", "--quiet")
			u.merge("--strategy", "ours", "origin/main")
		}, reason: reconcile.RolledBack, tag: "1.0.0"},
		"pull of the update, then revert of the merge": {before: mine, do: func(u user) {
			u.git("pull", "--quiet", "--no-rebase", "--no-edit")
			u.revert("--mainline", "1", "HEAD")
		}, reason: reconcile.RolledBack, tag: "1.0.0"},
		"pull of the update, then revert of the update": {before: mine, do: func(u user) {
			u.git("pull", "--quiet", "--no-rebase", "--no-edit")
			u.revert("HEAD^2")
		}, reason: reconcile.RolledBack, tag: "1.0.0"},
		"pull of the update by rebase": {before: mine, do: func(u user) {
			u.git("pull", "--quiet", "--rebase")
		}, reason: reconcile.UpToDate, tag: "1.1.0"},
		"a stale branch": {before: stale(mine), do: pulled(func(u user) {
			u.merge("stale")
		}), reason: reconcile.UpToDate, tag: "1.1.0"},
		"a stale branch with another change of the file": {before: stale(func(u user) {
			u.edit(app, "# app runs", "# The app runs")
			u.commit("Better words")
		}), do: pulled(func(u user) {
			u.merge("stale")
		}), reason: reconcile.UpToDate, tag: "1.1.0"},
		"a stale branch that becomes the main one": {before: stale(mine), do: pulled(func(u user) {
			u.git("switch", "--quiet", "stale")
			u.merge("main")
			u.git("branch", "--force", "main", "stale")
		}), reason: reconcile.UpToDate, tag: "1.1.0"},
		"a stale branch, resolved to the update": {before: older, do: pulled(func(u user) {
			u.merge("--strategy-option", "ours", "stale")
		}), reason: reconcile.UpToDate, tag: "1.1.0"},
		"a stale branch, resolved to its value": {before: older, do: pulled(func(u user) {
			u.merge("--strategy-option", "theirs", "stale")
		}), reason: reconcile.RolledBack, tag: "1.0.5"},
		"a stale branch, resolved to the old value": {before: older, do: pulled(func(u user) {
			u.resolve("stale", u.w.image("app:1.0.0"))
		}), reason: reconcile.RolledBack, tag: "1.0.0"},
	})
}

// TestFormsOfMoves has fields that went elsewhere, or were away for a while.
func TestFormsOfMoves(t *testing.T) {
	const moved, other = "apps/elsewhere/app.yaml", "prod:podinfo"
	move := func(u user) {
		if err := os.MkdirAll(filepath.Join(u.dir, filepath.Dir(moved)), 0o700); err != nil {
			u.w.t.Fatal(err)
		}
		u.git("mv", app, moved)
		u.commit("Move it")
	}
	rename := func(u user) {
		u.edit(policyFile, "name: app", "name: podinfo")
		u.edit(app, "prod:app", other)
		u.commit("Rename the policy")
	}
	container := func(u user) {
		u.edit(app, "name: main", "name: web")
		u.commit("Rename the container")
	}
	absent := func(u user, then string) {
		u.git("rm", "--quiet", app)
		u.commit("Away")
		u.git("checkout", "--quiet", "HEAD~1", "--", app)
		u.set(app, then)
		u.commit("Back again")
	}
	back := func(u user) { u.revert("HEAD") }
	undone := func(file, by string, do ...func(u user)) form {
		return form{do: pulled(func(u user) {
			for _, d := range do {
				d(u)
			}
		}), reason: reconcile.RolledBack, tag: "1.0.0", file: file, by: by}
	}
	undoThere := func(u user) {
		u.set(moved, u.w.image("app:1.0.0"))
		u.commit("Back to 1.0.0")
	}
	again := undone(app, "", func(u user) { absent(u, u.w.image("app:1.0.0")) })
	as := undone(app, "", func(u user) { absent(u, u.reference()) })
	as.reason, as.tag = reconcile.UpToDate, "1.1.0"
	runForms(t, map[string]form{
		"undone, then moved":            undone(moved, "-", back, move),
		"moved, then undone":            undone(moved, "", move, undoThere),
		"moved, then reverted":          undone(moved, "", move, func(u user) { u.revert("HEAD~1") }),
		"undone, moved, and moved back": undone(app, "-", back, move, back),
		"moved on a stale branch": {before: func(u user) {
			u.git("switch", "--quiet", "--create", "stale")
			u.note("stale.yaml")
			move(u)
			u.git("switch", "--quiet", "main")
		}, do: pulled(func(u user) {
			u.note("main.yaml")
			u.merge("stale")
		}), reason: reconcile.UpToDate, tag: "1.1.0", file: moved},
		"undone by a merge, then moved": {before: func(u user) { u.note("mine.yaml") }, do: func(u user) {
			u.git("fetch", "--quiet")
			u.merge("--strategy", "ours", "origin/main")
			move(u)
		}, reason: reconcile.RolledBack, tag: "1.0.0", file: moved, by: "HEAD~1"},
		"undone, then the container renamed":        undone(app, "-", back, container),
		"the container renamed, then undone":        undone(app, "", container, byHand("app:1.0.0")),
		"undone, then the policy renamed":           undone(app, "HEAD~1", back, rename),
		"the policy renamed, then undone":           undone(app, "", rename, byHand("app:1.0.0")),
		"removed, and added with the old value":     again,
		"removed, and added with Pintle's value":    as,
		"undone, removed, and added as it was then": undone(app, "", back, func(u user) { absent(u, u.w.image("app:1.0.0")) }),
	})
}
