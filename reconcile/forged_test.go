// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
)

// digest is that of a tag that push made.
func (w *world) digest(tag string) string {
	w.t.Helper()
	return images.Push(w.t, w.registry, "app", tag, "app:"+tag)
}

// claims is a trailer as Pintle writes it, of the policy app.
func (w *world) claims(revision int, old, now, cause string) string {
	return fmt.Sprintf("Pintle-Update: prod/app %d %s %s -> %s cause=%s", revision, w.image("app"), old, now, cause)
}

// undone is the value 1.1.0 as Pintle wrote it.
func (w *world) undone() string { return "1.1.0@" + w.digest("1.1.0") }

// forge commits all changes with a text that ends with a trailer.
func (u user) forge(trailer string) {
	u.w.t.Helper()
	u.commitText("Forged\n\n"+trailer+"\n", "--allow-empty")
}

// commitText commits all changes with a text that may be long or odd.
func (u user) commitText(text string, args ...string) {
	u.w.t.Helper()
	file := filepath.Join(u.w.t.TempDir(), "message")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		u.w.t.Fatal(err)
	}
	u.git(append([]string{"commit", "--quiet", "--all", "--cleanup=verbatim", "--file", file}, args...)...)
}

// short is the head of the clone as reports name commits.
func (u user) short() string {
	u.w.t.Helper()
	return u.git("rev-parse", "--short=9", "HEAD")
}

// expectProblem checks that the one problem of a report says this much.
func expectProblem(t *testing.T, report *reconcile.Report, says ...string) {
	t.Helper()
	if len(report.Problems) != 1 {
		t.Fatalf("problems: %v, want one", report.Problems)
	}
	for _, s := range says {
		if got := report.Problems[0].Message; !strings.Contains(got, s) {
			t.Errorf("the problem is %q, want %q in it", got, s)
		}
	}
}

// expectRevision checks the revision that the trailer at the branch's head has.
func (w *world) expectRevision(revision int) {
	w.t.Helper()
	trailer := gitserver.Git(w.t, w.repo.Dir, "log", "-1", "--format=%(trailers:key=Pintle-Update,valueonly)", "main")
	if !strings.HasPrefix(trailer, fmt.Sprintf("prod/app %d ", revision)) {
		w.t.Errorf("the trailer reads %q, want revision %d", trailer, revision)
	}
}

// TestForgedTrailersAfterAnUndo: while 1.1.0 is undone, whatever looks like an
// entry and is none lifts no veto and uses up no revision; the report names the
// commit until an entry was written after it.
func TestForgedTrailersAfterAnUndo(t *testing.T) {
	const ignored, byHand = "its diff does not: ignored", "taken for an edit by hand"
	// hand forges beside a real edit to 1.0.5.
	hand := func(trailer func(w *world) string) func(u user) {
		return func(u user) {
			u.setTo("1.0.5")
			u.forge(trailer(u.w))
		}
	}
	text := func(trailer func(w *world) string) func(u user) {
		return func(u user) { u.forge(trailer(u.w)) }
	}
	for name, c := range map[string]struct {
		forge func(u user)
		tag   string
		says  string
	}{
		"a resume without a diff": {
			text(func(w *world) string { return w.claims(2, "1.0.0", w.undone(), "resume") }), "1.0.0", ignored,
		},
		"an update without a diff": {
			text(func(w *world) string { return w.claims(2, "1.0.0", w.undone(), "schedule") }), "1.0.0", ignored,
		},
		"a rollback without a diff": {
			text(func(w *world) string {
				return strings.Replace(w.claims(2, "1.0.0", w.undone(), "rollback"), "Update", "Rollback", 1)
			}), "1.0.0", ignored,
		},
		"a resume that changes nothing": {
			text(func(w *world) string { return w.claims(2, "1.0.0", "1.0.0", "resume") }), "1.0.0", ignored,
		},
		"a resume with a diff of a comment": {func(u user) {
			u.edit(app, "# app runs", "# the app runs")
			u.forge(u.w.claims(2, "1.0.0", u.w.undone(), "resume"))
		}, "1.0.0", ignored},
		"the entry's own trailer on its revert": {func(u user) {
			u.git("commit", "--quiet", "--amend", "--message", "Back\n\n"+u.git("log", "-1", "--format=%(trailers:only)", "HEAD~1"))
		}, "1.0.0", ignored},
		"another old value": {
			hand(func(w *world) string { return w.claims(2, "1.0.4", "1.0.5", "resume") }), "1.0.5", ignored,
		},
		"another new value": {
			hand(func(w *world) string { return w.claims(2, "1.0.0", w.undone(), "resume") }), "1.0.5", ignored,
		},
		"a digest that the field does not have": {
			hand(func(w *world) string { return w.claims(2, "1.0.0@"+w.digest("1.0.0"), "1.0.5", "resume") }), "1.0.5", ignored,
		},
		"no old value": {
			hand(func(w *world) string { return w.claims(2, "?", "1.0.5", "resume") }), "1.0.5", ignored,
		},
		"another image": {
			hand(func(w *world) string {
				return strings.Replace(w.claims(2, "1.0.0", "1.0.5", "resume"), w.image("app"), w.image("other"), 1)
			}), "1.0.5", ignored,
		},
		"the revision of before": {
			hand(func(w *world) string { return w.claims(1, "1.0.0", "1.0.5", "resume") }), "1.0.5", byHand,
		},
		"a revision that is far ahead": {
			hand(func(w *world) string { return w.claims(2_000_000_000, "1.0.0", "1.0.5", "resume") }), "1.0.5", byHand,
		},
		"a merge that brings main to a stale branch": {func(u user) {
			u.git("switch", "--quiet", "--create", "stale", "HEAD~2")
			u.merge("main")
			u.git("commit", "--quiet", "--amend", "--message", "Merge\n\n"+u.w.claims(2, "1.0.0", "1.0.0", "resume"))
			u.git("branch", "--force", "main", "stale")
		}, "1.0.0", "is a merge, and claims to be an entry"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, gitserver.Options{})
			s.expect(reconcile.Updated, at("1.1.0"))
			u := s.user()
			u.revert("HEAD")
			c.forge(u)
			u.push()
			expectProblem(t, s.holds(reconcile.RolledBack, at(c.tag)), u.short(), c.says)
			s.push("app", "1.2.0")
			expectProblem(t, s.expect(reconcile.Updated, at("1.2.0")), u.short(), c.says)
			s.expectRevision(2)
			s.push("app", "1.3.0")
			if report := s.expect(reconcile.Updated, at("1.3.0")); len(report.Problems) != 0 {
				t.Errorf("an entry came since, and there are problems: %v", report.Problems)
			}
			s.expectRevision(3)
			s.refused("2000000000", "nothing in its history is called")
		})
	}
}

// TestForgedTrailerOfAMerge: a merge moves fields against its first parent, which
// is no move of Pintle's. Main goes back to 1.1.0, and a stale branch that main
// is merged into says to resume.
func TestForgedTrailerOfAMerge(t *testing.T) {
	s := newScene(t, gitserver.Options{})
	s.expect(reconcile.Updated, at("1.1.0"))
	s.goesOn("1.2.0", app)
	u := s.user()
	u.revert("HEAD")
	u.git("switch", "--quiet", "--create", "stale", "HEAD~3")
	u.note("stale.yaml")
	u.merge("main")
	u.git("commit", "--quiet", "--amend", "--message", "Merge\n\n"+s.claims(3, "1.0.0", s.undone(), "resume"))
	u.git("branch", "--force", "main", "stale")
	u.push()
	expectProblem(t, s.holds(reconcile.RolledBack, at("1.1.0")), u.short())
}

// TestForgedTrailersPlantNoVeto: what was never undone is written, whatever
// commits say, with the revision that is next.
func TestForgedTrailersPlantNoVeto(t *testing.T) {
	s := newScene(t, gitserver.Options{})
	s.expect(reconcile.Updated, at("1.1.0"))
	u := s.user()
	next := "1.2.0@" + s.digest("1.2.0")
	rollback := func(trailer string) string { return strings.Replace(trailer, "Update", "Rollback", 1) }
	u.edit(app, "# app runs", "# the app runs")
	u.forge(s.claims(2, s.undone(), next, "schedule"))
	u.forge(rollback(s.claims(3, next, s.undone(), "rollback")))
	u.forge(s.claims(900, "1.0.0", s.undone(), "schedule"))
	u.push()
	s.refused("2", "nothing in its history is called")
	s.refused("900", "nothing in its history is called")
	if report := s.expect(reconcile.Updated, at("1.2.0")); len(report.Problems) != 3 {
		t.Errorf("problems: %v, want one for each commit", report.Problems)
	}
	s.expectRevision(2)
	s.expectHistory("2 1.2.0 schedule current by Pintle", "1 1.1.0 schedule earlier by Pintle", "0 1.0.0 by hand earlier by Ada Person")
}

// TestForgedTrailerOfAnotherPolicy: the diff has to be in fields of the policy
// that the trailer names.
func TestForgedTrailerOfAnotherPolicy(t *testing.T) {
	const web = "apps/web.yaml"
	for name, image := range map[string]string{"its own image": "app", "the other's image": "web"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, gitserver.Options{})
			s.push("web", "1.0.0")
			s.repo.Seed(t, map[string]string{"policies/web.yaml": s.policy("web", "web") + "  suspend: true\n", web: s.deployment("web", "web:1.0.0", "web")}, "Second")
			s.reads("prod/app Updated", "prod/web Suspended")
			u := s.user()
			u.revert("HEAD")
			u.set(web, s.image("web:1.1.0"))
			u.forge(strings.Replace(s.claims(2, "1.0.0", "1.1.0", "resume"), s.image("app"), s.image(image), 1))
			u.push()
			expectProblem(t, s.reads("prod/app RolledBack", "prod/web Suspended"), u.short(), "moved prod/app from 1.0.0 to 1.1.0")
			s.push("app", "1.2.0")
			s.reads("prod/app Updated", "prod/web Suspended")
			s.expectRevision(2)
		})
	}
}

// TestForgedByCherryPick: a copy of an entry is an edit by hand. After a revert it
// puts the value back and lifts the veto; its number is not used again.
func TestForgedByCherryPick(t *testing.T) {
	for transport, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, options)
			s.expect(reconcile.Updated, at("1.1.0"))
			u := s.user()
			u.revert("HEAD")
			u.push()
			s.holds(reconcile.RolledBack, at("1.0.0"))
			u.git("cherry-pick", "-x", "HEAD~1")
			u.push()
			s.holds(reconcile.UpToDate, at("1.1.0"))
			s.push("app", "1.2.0")
			expectProblem(t, s.expect(reconcile.Updated, at("1.2.0")), u.short(), "does not follow on 1: taken for an edit by hand")
			s.expectRevision(2)
			u.git("pull", "--quiet")
			u.edit(policyFile, ">=1.0.0", ">=1.0.0 <1.2.0")
			u.commit("Keep below 1.2")
			u.push()
			if report := s.expect(reconcile.Updated, at("1.1.0")); len(report.Problems) != 0 {
				t.Errorf("an entry came since, and there are problems: %v", report.Problems)
			}
			s.expectRevision(3)
		})
	}
}

// TestForgedMalformedTrailers: what looks like an entry and can't be one is named
// too.
func TestForgedMalformedTrailers(t *testing.T) {
	for name, trailer := range map[string]func(w *world) string{
		"no new value":        func(w *world) string { return w.claims(2, "1.0.0", "?", "resume") },
		"revision zero":       func(w *world) string { return w.claims(0, "1.0.0", w.undone(), "resume") },
		"a negative revision": func(w *world) string { return w.claims(-7, "1.0.0", w.undone(), "resume") },
		"an unknown cause":    func(w *world) string { return w.claims(2, "1.0.0", w.undone(), "magic") },
		"a digest cut short":  func(w *world) string { return w.claims(2, "1.0.0", w.undone()[:40], "resume") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, gitserver.Options{})
			s.expect(reconcile.Updated, at("1.1.0"))
			u := s.user()
			u.revert("HEAD")
			u.forge(trailer(s.world))
			u.push()
			expectProblem(t, s.holds(reconcile.RolledBack, at("1.0.0")), u.short())
			s.push("app", "1.2.0")
			s.expect(reconcile.Updated, at("1.2.0"))
			s.expectRevision(2)
		})
	}
}

// TestForgedTexts: commits with control characters and huge lines change nothing,
// and what is reported of them is one short, clean line.
func TestForgedTexts(t *testing.T) {
	const many = 20_000
	for name, text := range map[string]func(w *world) string{
		"control characters": func(w *world) string {
			return "\x1b[2J\x07Forged\r\n\n" + strings.Replace(w.claims(2, "1.0.0", w.undone(), "resume"), "prod/app", "prod/app\x1b[31m", 1) + "\x1b\u2028\u202e\n"
		},
		"control characters around a valid one": func(w *world) string {
			return "\x1b]0;\x07Forged\x7f\n\n\x0b" + w.claims(2, "1.0.0", w.undone(), "resume") + "\x0c\x1b[0m\r\n"
		},
		"no UTF-8": func(w *world) string {
			return "\xff\xfe\n\n" + w.claims(2, "1.0.0", w.undone(), "resume") + " \xff=\xfe\n"
		},
		"a huge title": func(w *world) string {
			return strings.Repeat("Forged ", 1<<20) + "\n\n" + w.claims(2, "1.0.0", w.undone(), "resume") + "\n"
		},
		"a huge trailer": func(w *world) string {
			return "Forged\n\n" + w.claims(2, "1.0.0", strings.Repeat("1.1.0", 1<<20), "resume") + "\n"
		},
		"a huge word behind": func(w *world) string {
			return "Forged\n\n" + w.claims(2, "1.0.0", w.undone(), "resume") + " note=" + strings.Repeat("x", 4<<20) + "\n"
		},
		"very many trailers": func(w *world) string {
			value := w.undone()
			var b strings.Builder
			b.WriteString("Forged\n\n")
			for i := range many {
				b.WriteString(w.claims(2+i, "1.0.0", value, "resume") + "\n")
			}
			return b.String()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, gitserver.Options{})
			s.expect(reconcile.Updated, at("1.1.0"))
			u := s.user()
			u.revert("HEAD")
			u.commitText(text(s.world), "--allow-empty")
			u.push()
			report := s.holds(reconcile.RolledBack, at("1.0.0"))
			const longest = 1000
			for _, p := range report.Problems {
				if strings.ContainsFunc(p.Message, unicode.IsControl) || len(p.Message) > longest || !strings.Contains(p.Message, u.short()) {
					t.Errorf("the problem is %.2000q", p.Message)
				}
			}
			s.push("app", "1.2.0")
			s.expect(reconcile.Updated, at("1.2.0"))
			s.expectRevision(2)
		})
	}
}

// TestForgedByMovingTheRegistry: a policy whose image moves to another host keeps
// its revisions and vetoes, since each entry is proven by the image that its
// trailer names, and a digest is the same on every host.
func TestForgedByMovingTheRegistry(t *testing.T) {
	for name, undo := range map[string]func(u user){
		"revert": func(u user) { u.revert("HEAD") },
		"squash without trailers, then revert": func(u user) {
			u.git("reset", "--quiet", "--soft", "HEAD~1")
			u.commit("Squashed")
			u.revert("HEAD")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, gitserver.Options{})
			s.expect(reconcile.Updated, at("1.1.0"))
			s.goesOn("1.2.0", app)
			u := s.user()
			undo(u)
			u.push()
			s.holds(reconcile.RolledBack, at("1.1.0"))

			other := newWorld(t, gitserver.Options{})
			other.push("app", "1.0.0", "1.1.0", "1.2.0")
			for _, file := range []string{policyFile, app} {
				u.edit(file, s.registry, other.registry)
			}
			u.commit("Move to another registry")
			u.push()
			s.registry = other.registry
			moved := &scene{s.world, s.engine()}
			if report := moved.holds(reconcile.RolledBack, at("1.1.0")); len(report.Problems) != 0 {
				t.Errorf("problems: %v", report.Problems)
			}
			moved.goesOn("1.3.0", app)
			moved.goBack("1", "1.1.0")
			moved.holds(reconcile.RolledBack, at("1.1.0"))
		})
	}
}
