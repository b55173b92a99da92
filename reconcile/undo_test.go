// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

const app = "apps/app.yaml"

func at(tag string) map[string]string { return map[string]string{app: tag} }

// TestUndo shows that what people undo stays undone until something newer comes,
// each step by a process that knows nothing but the repository.
func TestUndo(t *testing.T) {
	cases := map[string]struct {
		undo   func(w *world)
		reason reconcile.Reason
		tag    string
		// next is the reason after 1.2.0 was pushed to the registry.
		next reconcile.Reason
	}{
		"revert": {undo: func(w *world) {
			u := w.user()
			u.git("revert", "--no-edit", "HEAD")
			u.push()
		}, reason: reconcile.RolledBack, tag: "1.0.0", next: reconcile.Updated},
		"merged revert": {undo: func(w *world) {
			u := w.user()
			u.git("switch", "--quiet", "--create", "undo")
			u.git("revert", "--no-edit", "HEAD")
			u.git("switch", "--quiet", "main")
			u.git("merge", "--quiet", "--no-ff", "--no-edit", "undo")
			u.push()
		}, reason: reconcile.RolledBack, tag: "1.0.0", next: reconcile.Updated},
		"squash without trailers, then revert": {undo: func(w *world) {
			u := w.user()
			u.git("reset", "--quiet", "--soft", "HEAD~1")
			u.commit("Squashed")
			u.git("revert", "--no-edit", "HEAD")
			u.push()
		}, reason: reconcile.RolledBack, tag: "1.0.0", next: reconcile.Updated},
		"squash with text after the trailers, then revert": {undo: func(w *world) {
			u := w.user()
			message := u.git("log", "-1", "--format=%B")
			u.git("commit", "--quiet", "--amend", "--message", message+"\n\nSomething else, as a squash appends it.\n")
			u.git("revert", "--no-edit", "HEAD")
			u.push()
		}, reason: reconcile.RolledBack, tag: "1.0.0", next: reconcile.Updated},
		"hand edit to an older tag": {undo: func(w *world) {
			u := w.user()
			u.edit(app, u.reference(), w.image("app:1.0.0"))
			u.commit("Back to 1.0.0")
			u.push()
		}, reason: reconcile.RolledBack, tag: "1.0.0", next: reconcile.Updated},
		"hand edit to an unknown tag": {undo: func(w *world) {
			u := w.user()
			u.edit(app, u.reference(), w.image("app:hotfix"))
			u.commit("Try a fix")
			u.push()
		}, reason: reconcile.ManuallySet, tag: "hotfix", next: reconcile.ManuallySet},
		"hand edit to another image": {undo: func(w *world) {
			u := w.user()
			u.edit(app, u.reference(), w.image("other:2.0.0"))
			u.commit("Try another image")
			u.push()
		}, reason: reconcile.ManuallySet, tag: "2.0.0", next: reconcile.ManuallySet},
		"hand edit to a tag that the registry does not have": {undo: func(w *world) {
			u := w.user()
			u.edit(app, u.reference(), w.image("app:1.0.9"))
			u.commit("Try 1.0.9")
			u.push()
		}, reason: reconcile.RolledBack, tag: "1.0.9", next: reconcile.Updated},
		"revert of the revert": {undo: func(w *world) {
			u := w.user()
			u.git("revert", "--no-edit", "HEAD")
			u.git("revert", "--no-edit", "HEAD")
			u.push()
		}, reason: reconcile.UpToDate, tag: "1.1.0", next: reconcile.Updated},
	}
	for name, c := range cases {
		for transport, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
			t.Run(name+"/"+transport, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, options)
				w.seed()
				w.expect(reconcile.Updated, at("1.1.0"))
				w.expect(reconcile.UpToDate, at("1.1.0"))
				c.undo(w)
				before := w.repo.Head(t, "main")
				for range 2 {
					w.expect(c.reason, at(c.tag))
				}
				if w.repo.Head(t, "main") != before {
					t.Fatal("something was written during the hold")
				}
				w.push("app", "1.2.0")
				if c.next == reconcile.Updated {
					w.expect(reconcile.Updated, at("1.2.0"))
					w.expect(reconcile.UpToDate, at("1.2.0"))
					return
				}
				w.expect(c.next, at(c.tag))
			})
		}
	}
}

func TestUndoOfOneOfTwoFields(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.repo.Seed(t, map[string]string{"apps/second.yaml": w.deployment("second", "app:1.0.0", "app")}, "Second")
	w.expect(reconcile.Updated, map[string]string{app: "1.1.0", "apps/second.yaml": "1.1.0"})
	u := w.user()
	u.edit(app, u.reference(), w.image("app:1.0.0"))
	u.commit("Back, here only")
	u.push()
	w.expect(reconcile.RolledBack, map[string]string{app: "1.0.0", "apps/second.yaml": "1.1.0"})

	// A field that is new during the hold stays as the human wrote it too.
	w.repo.Seed(t, map[string]string{"apps/third.yaml": w.deployment("third", "app:1.0.0", "app")}, "Third")
	w.expect(reconcile.RolledBack, map[string]string{"apps/third.yaml": "1.0.0"})
	w.push("app", "1.2.0")
	w.expect(reconcile.Updated, map[string]string{app: "1.2.0", "apps/second.yaml": "1.2.0", "apps/third.yaml": "1.2.0"})
}

// TestVetoOutlivesNewerWrites is the way down through a narrowed and widened
// rule: what was undone once is not written again.
func TestVetoOutlivesNewerWrites(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	u := w.user()
	u.git("revert", "--no-edit", "HEAD")
	u.push()
	held := w.expect(reconcile.RolledBack, at("1.0.0")).Policies[0].Message
	want := "prod/app stays at 1.0.0: 1.1.0 was undone by " + w.repo.Head(t, "main")[:9] + " (Ada Person, "
	if !strings.HasPrefix(held, want) {
		t.Errorf("the message is %q, want it to start with %q", held, want)
	}
	w.push("app", "1.2.0")
	w.expect(reconcile.Updated, at("1.2.0"))
	u.git("pull", "--quiet")
	u.edit("policies/app.yaml", ">=1.0.0", ">=1.0.0 <1.2.0")
	u.commit("Keep below 1.2")
	u.push()
	report := w.expect(reconcile.RolledBack, at("1.2.0"))
	if !strings.Contains(report.Policies[0].Message, "1.1.0 was undone") {
		t.Errorf("the message is %q", report.Policies[0].Message)
	}
}

func TestNarrowedRuleMovesDownWhatPintleWrote(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.push("app", "2.0.0")
	w.expect(reconcile.Updated, at("2.0.0"))
	u := w.user()
	u.edit("policies/app.yaml", ">=1.0.0", ">=1.0.0 <2.0.0")
	u.commit("Stay below 2")
	u.push()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.expect(reconcile.UpToDate, at("1.1.0"))
}

func TestNeverDownAtAdoption(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{
		"policies/app.yaml": w.policy("app", "app"),
		app:                 w.deployment("app", "app:1.5.0", "app"),
	}, "First")
	w.expect(reconcile.DowngradeRefused, at("1.5.0"))
}

// TestForgedTrailers shows that text alone neither plants nor lifts a veto.
func TestForgedTrailers(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	digest := "sha256:" + strings.Repeat("a", 64)
	u := w.user()
	u.git("commit", "--quiet", "--allow-empty", "--message",
		"Forged\n\nPintle-Update: prod/app 7 "+w.image("app")+" 1.1.0@"+digest+" -> 1.0.0 cause=schedule\n")
	u.push()
	report := w.expect(reconcile.Updated, at("1.1.0"))
	if len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Message, "its diff does not") {
		t.Errorf("problems: %v", report.Problems)
	}
	trailer := gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%(trailers:key=Pintle-Update,valueonly)", "main")
	if !strings.HasPrefix(trailer, "prod/app 1 ") {
		t.Errorf("the trailer reads %q, want revision 1", trailer)
	}
}
