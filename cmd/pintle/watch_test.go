// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry/events"
)

// fakeEngine counts passes and can be told to fail; real passes are tested with
// the real engine.
type fakeEngine struct {
	started time.Time
	// schedules are crons, with " | " and the rest of the spec behind.
	schedules map[string]string
	// changed are the schedules from changeAt after the start on.
	changed  map[string]string
	changeAt time.Duration
	passes   []string // "<seconds since the start> <policies>", each with "=" and its cause where that is not the schedule
	inbox    *events.Inbox
	fail     func(pass int) error
	reports  func(pass int) *reconcile.Report
}

func (f *fakeEngine) Sync(ctx context.Context) (*reconcile.Report, error) {
	return f.pass(ctx, "all")
}

func (f *fakeEngine) SyncDue(ctx context.Context, due map[string]string) (*reconcile.Report, error) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(due)) {
		if due[name] != reconcile.BySchedule {
			name += "=" + due[name]
		}
		names = append(names, name)
	}
	return f.pass(ctx, strings.Join(names, " "))
}

func (f *fakeEngine) Schedules(context.Context) (map[string]reconcile.Schedule, error) {
	now := f.schedules
	if f.changed != nil && time.Since(f.started) >= f.changeAt {
		now = f.changed
	}
	schedules := map[string]reconcile.Schedule{}
	for name, cron := range now {
		cron, spec, _ := strings.Cut(cron, " | ")
		_, own, _ := strings.Cut(name, "/")
		schedules[name] = reconcile.Schedule{Cron: cron, Spec: spec, Image: "ghcr.io/acme/" + own}
	}
	return schedules, nil
}

func (f *fakeEngine) pass(ctx context.Context, what string) (*reconcile.Report, error) {
	n := len(f.passes)
	f.passes = append(f.passes, fmt.Sprintf("%d %s", int(time.Since(f.started).Seconds()), what))
	if f.fail != nil {
		if err := f.fail(n); err != nil {
			return nil, err
		}
	}
	if f.reports != nil {
		return f.reports(n), nil
	}
	return &reconcile.Report{}, ctx.Err()
}

// watchFor runs watch for a while of the bubble's time.
func watchFor(t *testing.T, engine *fakeEngine, duration time.Duration, format output) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	engine.started = time.Now()
	if engine.inbox == nil {
		engine.inbox = events.NewInbox()
	}
	err = watch(ctx, engine, engine.inbox, newJournal(&program{stdout: &out, stderr: &complaints}, format))
	return out.String(), complaints.String(), err
}

func TestWatchFollowsEachSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{schedules: map[string]string{"prod/a": "@every 20s", "prod/b": "@every 30s", "prod/c": "@daily"}}
		if _, _, err := watchFor(t, engine, 61*time.Second, output{}); err != nil {
			t.Fatal(err)
		}
		want := []string{"0 all", "20 prod/a", "30 prod/b", "40 prod/a", "60 prod/a prod/b"}
		if diff := cmp.Diff(want, engine.passes); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
	})
}

func TestWatchNoticesChangedSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{
			schedules: map[string]string{"prod/a": "@daily", "prod/b": "@daily", "prod/c": "@daily", "prod/gone": "@every 10s"},
			changed:   map[string]string{"prod/a": "@every 1h", "prod/b": "@daily | with a pin", "prod/c": "@daily", "prod/new": "@every 45s"},
			changeAt:  5 * time.Second,
		}
		if _, _, err := watchFor(t, engine, 150*time.Second, output{}); err != nil {
			t.Fatal(err)
		}
		// At 10 s the list is read again; what is new or changed does not wait.
		want := []string{"0 all", "10 prod/gone", "10 prod/a prod/b prod/new", "55 prod/new", "100 prod/new", "145 prod/new"}
		if diff := cmp.Diff(want, engine.passes); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
	})
}

func TestWatchWithoutPoliciesWaitsForSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{changed: map[string]string{"prod/a": "@every 1s"}, changeAt: 90 * time.Second}
		if _, _, err := watchFor(t, engine, 122*time.Second+time.Millisecond, output{}); err != nil {
			t.Fatal(err)
		}
		want := []string{"0 all", "120 prod/a", "121 prod/a", "122 prod/a"}
		if diff := cmp.Diff(want, engine.passes); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
	})
}

func TestWatchOutlivesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{
			schedules: map[string]string{"prod/a": "CRON_TZ=UTC @daily"},
			fail: func(pass int) error {
				if pass == 1 || pass == 2 {
					return errors.New("the registry is down")
				}
				return nil
			},
		}
		_, stderr, err := watchFor(t, engine, 25*time.Hour, output{})
		if err != nil {
			t.Fatal(err)
		}
		// The bubble starts at midnight UTC; the failed pass is tried each minute.
		day := 24 * 60 * 60
		want := []string{"0 all", fmt.Sprint(day, " prod/a"), fmt.Sprint(day+60, " prod/a"), fmt.Sprint(day+120, " prod/a")}
		if diff := cmp.Diff(want, engine.passes); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
		if got := strings.Count(stderr, "the registry is down"); got != 1 {
			t.Errorf("the trouble is told %d times, want once:\n%s", got, stderr)
		}
		if !strings.Contains(stderr, "syncing works again") {
			t.Errorf("the end of the trouble is not told:\n%s", stderr)
		}
	})
}

// Policies whose image was pushed do not wait, however many hints come; others do.
func TestWatchFollowsHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{
			schedules: map[string]string{"prod/a": "@daily", "prod/b": "@daily", "prod/c": "@every 50s"},
			inbox:     events.NewInbox(),
		}
		put := func(after time.Duration, source events.Source, images ...string) {
			time.AfterFunc(after, func() {
				for _, image := range images {
					engine.inbox.Put([]events.Hint{{Source: source, Image: image, Below: image == "ghcr.io/acme"}})
				}
			})
		}
		put(10*time.Second, events.GitHub, "ghcr.io/acme/a", "ghcr.io/acme/none", "ghcr.io/acme/a", "ghcr.io/acme/c")
		for i := range 100 { // a flood
			put(20*time.Second+time.Duration(i)*50*time.Millisecond, events.Harbor, "ghcr.io/acme/b")
		}
		put(30*time.Second, events.Harbor, "ghcr.io/acme/none")
		put(40*time.Second, events.GitLab, "ghcr.io/acme")
		if _, _, err := watchFor(t, engine, 55*time.Second, output{}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"0 all",
			"10 prod/a=event/github prod/c=event/github",
			"20 prod/b=event/harbor", "22 prod/b=event/harbor", "24 prod/b=event/harbor", "26 prod/b=event/harbor",
			"40 prod/a=event/gitlab prod/b=event/gitlab prod/c=event/gitlab",
		}
		if diff := cmp.Diff(want, engine.passes); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
	})
}

// A look that failed is tried again, and keeps its cause.
func TestWatchKeepsAHintThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{
			schedules: map[string]string{"prod/a": "@daily"},
			inbox:     events.NewInbox(),
			fail: func(pass int) error {
				if pass == 1 {
					return errors.New("the registry is down")
				}
				return nil
			},
		}
		time.AfterFunc(10*time.Second, func() { engine.inbox.Put([]events.Hint{{Source: events.Quay, Image: "ghcr.io/acme/a"}}) })
		if _, _, err := watchFor(t, engine, 2*time.Minute, output{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"0 all", "10 prod/a=event/quay", "70 prod/a=event/quay"}, engine.passes); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
	})
}

func TestWatchEndsOnAnErrorOfTheFirstPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := errors.New("no such repository")
		engine := &fakeEngine{fail: func(int) error { return wrong }}
		if _, _, err := watchFor(t, engine, time.Hour, output{}); !errors.Is(err, wrong) {
			t.Errorf("watch ends with %v, want %v", err, wrong)
		}
	})
}

func TestWatchSaysWhatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{schedules: map[string]string{"prod/a": "whenever", "prod/b": "@every 1m"}}
		_, stderr, err := watchFor(t, engine, 61*time.Second, output{})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(stderr, "cannot follow the schedule of prod/a") {
			t.Errorf("says %q", stderr)
		}
		if diff := cmp.Diff([]string{"0 all", "60 prod/b"}, engine.passes); diff != "" {
			t.Errorf("passes (-want +got):\n%s", diff)
		}
	})
}

func TestJournal(t *testing.T) {
	policy := func(reason reconcile.Reason, message string) []reconcile.Policy {
		return []reconcile.Policy{{Namespace: "prod", Name: "a", Reason: reason, Message: message}}
	}
	problem := reconcile.Problem{File: "x.yaml", Line: 3, Message: "no policy"}
	reports := []*reconcile.Report{
		{Policies: policy(reconcile.UpToDate, "")},
		{Policies: policy(reconcile.Updated, ""), Commits: []reconcile.Commit{{SHA: strings.Repeat("a", 40), Subject: "Update a to 2"}}},
		{Policies: policy(reconcile.RolledBack, "undone"), Problems: []reconcile.Problem{problem}},
		{Policies: policy(reconcile.RolledBack, "undone"), Problems: []reconcile.Problem{problem}},
		{Policies: policy(reconcile.UpToDate, "")},
	}
	wantOut := "2000-01-01T00:00:01Z aaaaaaaaaaaa Update a to 2 (0 fields)\n"
	wantErr := "2000-01-01T00:00:02Z prod/a RolledBack: undone\n" +
		"2000-01-01T00:00:02Z x.yaml:3: no policy\n" +
		"2000-01-01T00:00:04Z prod/a UpToDate\n"
	for _, format := range []output{{}, {json: true}} {
		synctest.Test(t, func(t *testing.T) {
			engine := &fakeEngine{
				schedules: map[string]string{"prod/a": "@every 1s"},
				reports:   func(pass int) *reconcile.Report { return reports[pass] },
			}
			stdout, stderr, err := watchFor(t, engine, 4500*time.Millisecond, format)
			if err != nil {
				t.Fatal(err)
			}
			if format.json {
				if got := strings.Count(stdout, "\n"); got != len(reports) {
					t.Errorf("%d lines of JSON for %d passes:\n%s", got, len(reports), stdout)
				}
				return
			}
			if diff := cmp.Diff(wantOut, stdout); diff != "" {
				t.Errorf("standard output (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(wantErr, stderr); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
		})
	}
}
