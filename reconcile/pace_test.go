// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// While nothing may be written, what is due waits and says until when; going back does
// not wait, and resuming is refused, and lifts nothing.
func TestClosed(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.upTo("1.1.0", "1.2.0")
	w.push("app", "1.3.0")
	frozen := reconcile.Pace{Frozen: "when the freeze ends, at 2027-01-02T00:00:00Z"}
	keeper := w.engine()
	keeper.Keep(frozen)
	closed := func(want reconcile.Reason, tag string) {
		t.Helper()
		head := w.repo.Head(t, "main")
		report, err := keeper.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Policies[0]; got.Reason != want || got.Fields[0].Reason != want || w.tag(app) != tag || w.repo.Head(t, "main") != head {
			t.Fatalf("%s (%s), %s holds %s; want %s and %s", got.Reason, got.Message, app, w.tag(app), want, tag)
		}
	}
	closed(reconcile.WindowClosed, "1.2.0")
	report, err := keeper.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Policies[0].Message; got != "moves from 1.2.0 to 1.3.0 when the freeze ends, at 2027-01-02T00:00:00Z" || len(report.Commits) > 0 {
		t.Errorf("a plan says %q, with %d commits", got, len(report.Commits))
	}

	if _, err := keeper.Rollback(t.Context(), "prod/app", reconcile.RollbackOptions{}); err != nil {
		t.Fatal(err)
	}
	closed(reconcile.WindowClosed, "1.1.0") // 1.3.0 is not vetoed, and newer than what is.
	_, err = keeper.Resume(t.Context(), "prod/app")
	var refused *reconcile.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "nothing may be written to its repository now: try again when the freeze ends, at") {
		t.Errorf("resume says %v", err)
	}
	closed(reconcile.WindowClosed, "1.1.0")

	keeper.Keep(reconcile.Pace{})
	w.push("app", "1.4.0")
	if report, err = keeper.Sync(t.Context()); err != nil || report.Policies[0].Reason != reconcile.Updated {
		t.Fatalf("after the freeze: %v, %+v", err, report)
	}
	w.repo.Fsck(t)
	if got := w.tag(app); got != "1.4.0" {
		t.Errorf("%s holds %s after the freeze", app, got)
	}
}

// A hold stays a hold while nothing may be written.
func TestHeldWhileClosed(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	w.upTo("1.1.0", "1.2.0")
	u := w.user()
	u.git("revert", "--no-edit", "HEAD")
	u.push()
	e := w.engine()
	e.Keep(reconcile.Pace{Frozen: "later"})
	report, err := e.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Policies[0]; got.Reason != reconcile.RolledBack {
		t.Errorf("%s (%s)", got.Reason, got.Message)
	}
}

// With a pace, each push moves so many policies, new versions before mere digests, and
// in the end all hold what they select.
func TestMaxPerPush(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	files := map[string]string{}
	for i := range 5 {
		name := fmt.Sprintf("app%d", i)
		w.push(name, "1.0.0")
		files["policies/"+name+".yaml"] = w.policy(name, name)
		files["apps/"+name+".yaml"] = w.deployment(name, name+":1.0.0", name)
	}
	w.push("app3", "1.1.0")
	w.repo.Seed(t, files, "First")
	e := w.engine()
	e.Keep(reconcile.Pace{MaxPerPush: 2})
	for push, want := range [][]string{
		{"prod/app0 Updated", "prod/app1 WindowClosed", "prod/app2 WindowClosed", "prod/app3 Updated", "prod/app4 WindowClosed"},
		{"prod/app0 UpToDate", "prod/app1 Updated", "prod/app2 Updated", "prod/app3 UpToDate", "prod/app4 WindowClosed"},
		{"prod/app0 UpToDate", "prod/app1 UpToDate", "prod/app2 UpToDate", "prod/app3 UpToDate", "prod/app4 Updated"},
		{"prod/app0 UpToDate", "prod/app1 UpToDate", "prod/app2 UpToDate", "prod/app3 UpToDate", "prod/app4 UpToDate"},
	} {
		report, err := e.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, reasons(report)); diff != "" {
			t.Errorf("push %d (-want +got):\n%s", push+1, diff)
		}
		for _, p := range report.Policies {
			if p.Reason == reconcile.WindowClosed && !strings.HasSuffix(p.Message, " with a later push, since spec.maxPerPush is 2") {
				t.Errorf("push %d says %q", push+1, p.Message)
			}
		}
	}
	w.repo.Fsck(t)
}
