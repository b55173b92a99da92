// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
)

const policyFile = "policies/app.yaml"

// upTo pushes and syncs one version after the other.
func (w *world) upTo(tags ...string) {
	w.t.Helper()
	for _, tag := range tags {
		w.push("app", tag)
		w.expect(reconcile.Updated, at(tag))
	}
}

// rollback runs a fresh engine once.
func (w *world) rollback(options reconcile.RollbackOptions) (*reconcile.Report, error) {
	w.t.Helper()
	report, err := w.engine().Rollback(w.t.Context(), "prod/app", options)
	w.repo.Fsck(w.t)
	return report, err
}

// goBack rolls back and checks where to.
func (w *world) goBack(to, want string) {
	w.t.Helper()
	report, err := w.rollback(reconcile.RollbackOptions{To: to})
	if err != nil {
		w.t.Fatal(err)
	}
	if got := report.Policies[0]; got.Reason != reconcile.Updated || w.tag(app) != want {
		w.t.Fatalf("after the rollback: %s (%s), %s holds %s, want %s", got.Reason, got.Message, app, w.tag(app), want)
	}
}

// refused rolls back and expects not to.
func (w *world) refused(to, says string) {
	w.t.Helper()
	before := w.repo.Head(w.t, "main")
	_, err := w.rollback(reconcile.RollbackOptions{To: to})
	var refused *reconcile.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), says) {
		w.t.Errorf("rollback --to %q says %v, want %q", to, err, says)
	}
	if w.repo.Head(w.t, "main") != before {
		w.t.Errorf("rollback --to %q wrote something", to)
	}
}

func (w *world) resume() *reconcile.Report {
	w.t.Helper()
	report, err := w.engine().Resume(w.t.Context(), "prod/app")
	if err != nil {
		w.t.Fatal(err)
	}
	w.repo.Fsck(w.t)
	return report
}

// declare gives the policy's file a line more in spec, or none.
func (w *world) declare(line string) {
	w.t.Helper()
	text := w.policy("app", "app")
	if line != "" {
		text += "  " + line + "\n"
	}
	w.repo.Seed(w.t, map[string]string{policyFile: text}, "Declare "+line)
}

// history is a fresh engine's, a line for each revision.
func (w *world) history() []string {
	w.t.Helper()
	rows, err := w.engine().History(w.t.Context(), "prod/app")
	if err != nil {
		w.t.Fatal(err)
	}
	lines := make([]string, 0, len(rows))
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf("%d %s %s %s by %s", r.Revision, r.Tag, r.Cause, r.State, r.Author))
	}
	return lines
}

func (w *world) expectHistory(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.history()); diff != "" {
		w.t.Errorf("history (-want +got):\n%s", diff)
	}
}

// TestRollback walks back, holds, and goes on with something newer.
func TestRollback(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.upTo("1.2.0", "1.3.0")

	dry, err := w.rollback(reconcile.RollbackOptions{DryRun: true})
	if err != nil || dry.Policies[0].Reason != reconcile.Due || w.tag(app) != "1.3.0" || len(dry.Commits) != 1 {
		t.Fatalf("a dry run gives %+v, %v", dry, err)
	}
	w.goBack("", "1.2.0")
	subject := gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%s%n%(trailers:only,unfold)", "main")
	if !strings.HasPrefix(subject, "Roll back "+w.image("app")+" to 1.2.0\nPintle-Rollback: prod/app 4 ") || !strings.HasSuffix(strings.TrimSpace(subject), "cause=rollback") {
		t.Errorf("the commit reads %q", subject)
	}
	held := w.expect(reconcile.RolledBack, at("1.2.0")).Policies[0].Message
	if want := "1.3.0 was rolled back by " + w.repo.Head(t, "main")[:9] + " (Pintle, "; !strings.Contains(held, want) {
		t.Errorf("the message is %q, want %q", held, want)
	}
	w.goBack("", "1.1.0")
	w.refused("", "there is no revision below what it holds; before its first revision it held 1.0.0")
	w.push("app", "1.2.5") // Above what is held, below what was rolled back.
	w.expect(reconcile.RolledBack, at("1.1.0"))
	w.push("app", "1.4.0")
	w.expect(reconcile.Updated, at("1.4.0"))
	w.expect(reconcile.UpToDate, at("1.4.0"))
	w.expectHistory("6 1.4.0 schedule current by Pintle", "5 1.1.0 rollback earlier by Pintle", "4 1.2.0 rollback vetoed by Pintle",
		"3 1.3.0 schedule vetoed by Pintle", "2 1.2.0 schedule vetoed by Pintle", "1 1.1.0 schedule earlier by Pintle", "0 1.0.0 by hand earlier by Ada Person")
	w.goBack("", "1.1.0")
}

func TestRollbackTargets(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.upTo("1.2.0", "1.3.0")
	rows, err := w.engine().History(t.Context(), "prod/app")
	if err != nil {
		t.Fatal(err)
	}
	w.refused("9", `nothing in its history is called "9"`)
	w.refused("2.0.0", `nothing in its history is called "2.0.0"`)
	w.refused("sha256:", "nothing in its history")
	w.refused("abcd", "nothing in its history")
	w.goBack("1", "1.1.0")
	w.goBack("1.3.0", "1.3.0")
	w.goBack(rows[1].Digest, "1.2.0")
	w.goBack(rows[0].Digest[:19], "1.3.0")
	w.goBack(strings.TrimPrefix(rows[1].Digest, "sha256:")[:12], "1.2.0")
	w.goBack("1.0.0", "1.0.0") // What was there before Pintle; its digest is the registry's.
	if got := w.user().reference(); !strings.Contains(got, "1.0.0@sha256:") {
		t.Errorf("the field holds %s, want a digest", got)
	}
	report, err := w.rollback(reconcile.RollbackOptions{To: "1.0.0"})
	if err != nil || len(report.Commits) != 0 || report.Policies[0].Reason != reconcile.UpToDate {
		t.Errorf("going where it is gives %+v, %v", report, err)
	}

	// A tag that was pushed again names two digests.
	images.Push(t, w.registry, "app", "1.4.0", "first")
	w.expect(reconcile.Updated, at("1.4.0"))
	images.Push(t, w.registry, "app", "1.4.0", "second")
	w.expect(reconcile.Updated, at("1.4.0"))
	w.refused("1.4.0", `"1.4.0" is ambiguous: it may be revision`)
}

// TestRollbackOfWhatTheRegistryLost is refused before anything is written.
func TestRollbackOfWhatTheRegistryLost(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.upTo("1.2.0")
	other := newWorld(t, gitserver.Options{})
	other.push("app", "1.2.0")
	// The same repository, with a registry that has 1.2.0 alone.
	for _, file := range []string{policyFile, app} {
		text := strings.ReplaceAll(w.repo.Read(t, "main", file), w.registry, other.registry)
		w.repo.Seed(t, map[string]string{file: text}, "Move to another registry")
	}
	w.registry = other.registry
	w.refused("", "the registry does not have 1.1.0@sha256:")
	if _, err := w.rollback(reconcile.RollbackOptions{Force: true}); err != nil || w.tag(app) != "1.1.0" {
		t.Errorf("with force: %v, %s holds %s", err, app, w.tag(app))
	}
	w.expect(reconcile.RolledBack, at("1.1.0"))
}

func TestRollbackIsRefused(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.refused("", "there is no revision below what it holds")
	w.expect(reconcile.Updated, at("1.1.0"))
	w.upTo("1.2.0")
	w.declare("pin: {revision: 1}")
	w.refused("", "spec.pin at policies/app.yaml:7 names revision 1")
	w.declare("suspend: true")
	w.goBack("", "1.1.0")
	if _, err := w.engine().Resume(t.Context(), "prod/app"); err == nil || !strings.Contains(err.Error(), "it is suspended") {
		t.Errorf("resume says %v", err)
	}
	w.repo.Seed(t, map[string]string{app: "a: 1\n"}, "Bind nothing")
	w.refused("", "no field is bound to it")
	_, err := w.engine().Rollback(t.Context(), "prod/none", reconcile.RollbackOptions{})
	var unknown *reconcile.UnknownPolicyError
	if !errors.As(err, &unknown) || !strings.HasPrefix(err.Error(), "cannot roll back prod/none") {
		t.Errorf("an unknown policy: %v", err)
	}
}

// TestResume lifts all vetoes with what it writes, and nothing where it can't.
func TestResume(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.upTo("1.2.0")
	w.goBack("1", "1.1.0")
	w.expect(reconcile.RolledBack, at("1.1.0"))
	w.resume()
	w.expect(reconcile.UpToDate, at("1.2.0"))
	w.expectHistory("4 1.2.0 resume current by Pintle", "3 1.1.0 rollback earlier by Pintle", "2 1.2.0 schedule earlier by Pintle",
		"1 1.1.0 schedule earlier by Pintle", "0 1.0.0 by hand earlier by Ada Person")
	report := w.resume()
	if len(report.Commits) != 0 || !strings.Contains(report.Policies[0].Message, "nothing was written, and so no veto lifted") {
		t.Errorf("with nothing to write: %+v", report.Policies[0])
	}

	for _, by := range []string{"app:hotfix", "other:2.0.0"} {
		u := w.user()
		u.edit(app, u.reference(), w.image(by))
		u.commit("By hand")
		u.push()
		w.expect(reconcile.ManuallySet, nil)
		w.resume()
		w.expect(reconcile.UpToDate, at("1.2.0"))
	}
	if got := w.user().reference(); !strings.HasPrefix(got, w.image("app:1.2.0@")) {
		t.Errorf("the field holds %s", got)
	}
}

// TestPin holds a past choice until it is removed.
func TestPin(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.upTo("1.2.0", "1.3.0")
	digest := w.sync().Policies[0].Selected.Digest
	pins := map[string]string{
		"pin: {revision: 1}":                     "1.1.0",
		"pin: {tag: 1.2.0}":                      "1.2.0",
		fmt.Sprintf("pin: {digest: %q}", digest): "1.3.0",
		"pin: {tag: 1.0.0}":                      "1.0.0",
	}
	for _, pin := range slices.Sorted(maps.Keys(pins)) {
		w.declare(pin)
		report := w.sync()
		if got := report.Policies[0].Reason; got != reconcile.Updated && pins[pin] != "1.3.0" {
			t.Errorf("%s: the reason is %s (%s)", pin, got, report.Policies[0].Message)
		}
		w.expect(reconcile.Pinned, at(pins[pin]))
		w.push("app", "1.4.0")
		w.expect(reconcile.Pinned, at(pins[pin]))
	}
	w.declare("")
	w.expect(reconcile.Updated, at("1.4.0"))
	w.expect(reconcile.UpToDate, at("1.4.0"))
}

// TestPinUndone: what a pin wrote and a person undid is left alone while the pin
// stands, and a pin that is declared later beats the veto.
func TestPinUndone(t *testing.T) {
	for transport, options := range map[string]gitserver.Options{"filters": {}, "no filters": {NoFilter: true}} {
		t.Run(transport, func(t *testing.T) {
			w := newWorld(t, options)
			w.seed()
			w.expect(reconcile.Updated, at("1.1.0"))
			w.upTo("1.2.0")
			w.declare("pin: {revision: 1}")
			w.expect(reconcile.Updated, at("1.1.0"))
			u := w.user()
			u.git("revert", "--no-edit", "HEAD")
			u.push()
			held := w.expect(reconcile.Pinned, at("1.2.0")).Policies[0].Message
			if want := "prod/app stays at 1.2.0: 1.1.0, which spec.pin names (revision 1), was undone by " + w.repo.Head(t, "main")[:9]; !strings.HasPrefix(held, want) {
				t.Errorf("the message is %q, want %q", held, want)
			}
			w.repo.Seed(t, map[string]string{"notes.yaml": "a: 1\n"}, "Something else")
			w.expect(reconcile.Pinned, at("1.2.0"))
			w.declare("")
			w.expect(reconcile.UpToDate, at("1.2.0"))
			w.declare("pin: {revision: 1}")
			w.expect(reconcile.Updated, at("1.1.0"))
			w.expect(reconcile.Pinned, at("1.1.0"))
			u.git("pull", "--quiet")
			u.git("revert", "--no-edit", "HEAD")
			u.push()
			w.expect(reconcile.Pinned, at("1.2.0"))
			w.resume()
			w.expect(reconcile.Pinned, at("1.1.0"))
			// Removing the pin lifts no veto, and none stands.
			w.declare("")
			w.expect(reconcile.Updated, at("1.2.0"))
		})
	}
}

// TestPinThatNamesNothing moves nothing and says so.
func TestPinThatNamesNothing(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.push("app", "1.2.0")
	for pin, says := range map[string]string{
		"pin: {revision: 7}": "prod/app stays as it is, since spec.pin names revision 7: the ledger has revision 1 alone",
		"pin: {tag: 9.9.9}":  "spec.pin names tag 9.9.9: cannot resolve",
		"pin: {digest: \"sha256:" + strings.Repeat("a", 64) + "\"}": "spec.pin names digest sha256:aaa",
	} {
		w.declare(pin)
		report := w.expect(reconcile.Failed, at("1.1.0"))
		if !strings.Contains(report.Policies[0].Message, says) {
			t.Errorf("%s: the message is %q, want %q", pin, report.Policies[0].Message, says)
		}
		if len(report.Problems) != 1 || report.Problems[0].File != policyFile || report.Problems[0].Line != 7 {
			t.Errorf("%s: problems: %v", pin, report.Problems)
		}
	}
	w.declare("pin: {revision: 1, tag: 1.1.0}")
	report := w.sync()
	if len(report.Policies) != 0 || len(report.Problems) == 0 || !strings.Contains(report.Problems[0].Message, "exactly one of revision, tag and digest") || w.tag(app) != "1.1.0" {
		t.Errorf("a pin on two things gives %+v, %+v", report.Policies, report.Problems)
	}
	w.declare("")
	w.expect(reconcile.Updated, at("1.2.0"))
}

// TestUnpinnedAsFarAsVetoesAllow: removing a pin lifts no veto.
func TestUnpinnedAsFarAsVetoesAllow(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.upTo("1.2.0")
	w.goBack("", "1.1.0")
	w.declare("pin: {tag: 1.0.0}")
	w.expect(reconcile.Updated, at("1.0.0"))
	w.declare("pin: {tag: 1.2.0}") // A pin beats a veto that is older.
	w.expect(reconcile.Updated, at("1.2.0"))
	w.declare("pin: {tag: 1.0.0}")
	w.expect(reconcile.Updated, at("1.0.0"))
	w.declare("")
	w.expect(reconcile.RolledBack, at("1.0.0"))
	w.push("app", "1.3.0")
	w.expect(reconcile.Updated, at("1.3.0"))
}

// TestPinDoesNotFollowItsTag: a tag that is pushed again does not move a pin.
func TestPinDoesNotFollowItsTag(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.expect(reconcile.Updated, at("1.1.0"))
	w.declare("pin: {tag: 1.1.0}")
	before := w.user().reference()
	images.Push(t, w.registry, "app", "1.1.0", "again")
	w.expect(reconcile.Pinned, at("1.1.0"))
	if got := w.user().reference(); got != before {
		t.Errorf("the field moved from %s to %s", before, got)
	}
}
