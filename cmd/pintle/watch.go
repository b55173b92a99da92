// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/reconcile"
)

// lookAgain is how long watch sleeps at most, so that policies that come or
// change are noticed however rare the others' schedules are. It is also when
// a pass that failed is tried again.
const lookAgain = time.Minute

// watched is what watch needs of the engine.
type watched interface {
	Sync(ctx context.Context) (*reconcile.Report, error)
	// SyncDue syncs the policies that are true in due, by namespace/name.
	SyncDue(ctx context.Context, due map[string]bool) (*reconcile.Report, error)
	// Schedules is the schedule of each policy, by namespace/name.
	Schedules(ctx context.Context) (map[string]reconcile.Schedule, error)
}

// watch syncs all policies once, then each one on its schedule, until the
// context ends. An error of the first pass ends it, because a wrong
// configuration shows there; later errors are told and tried again.
func watch(ctx context.Context, engine watched, told *journal) error {
	report, err := engine.Sync(ctx)
	if err != nil {
		return err
	}
	if err := told.report(report); err != nil {
		return err
	}
	plan, synced := agenda{}, true
	for {
		schedules, err := engine.Schedules(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // a signal is the usual end
		}
		if err == nil {
			err = plan.update(schedules, time.Now(), synced)
			synced = false
		}
		told.trouble("reading the schedules", err)

		if !sleep(ctx, time.Until(plan.earliest(time.Now().Add(lookAgain)))) {
			return nil
		}
		due := plan.takeDue(time.Now())
		if len(due) == 0 {
			continue
		}
		report, err := engine.SyncDue(ctx, due)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // as above
		}
		told.trouble("syncing", err)
		if err != nil {
			plan.retry(due, time.Now().Add(lookAgain))
			continue
		}
		if err := told.report(report); err != nil {
			return err
		}
	}
}

// sleep is false when the context ended first.
func sleep(ctx context.Context, duration time.Duration) bool {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// agenda is when each policy is due next, by namespace/name.
type agenda map[string]appointment

type appointment struct {
	schedule reconcile.Schedule
	next     time.Time
}

// update takes in new and changed policies, which are due at once unless all were
// synced a moment ago, and forgets policies that are gone. A schedule that cannot
// be read leaves its policy as it was.
func (a agenda) update(schedules map[string]reconcile.Schedule, now time.Time, synced bool) error {
	maps.DeleteFunc(a, func(name string, _ appointment) bool {
		_, stays := schedules[name]
		return !stays
	})
	var failed error
	for name, schedule := range schedules {
		if known, found := a[name]; found && known.schedule == schedule {
			continue
		}
		next, err := nextTime(schedule, now)
		if err != nil {
			failed = fmt.Errorf("cannot follow the schedule of %s: %w", name, err)
			continue
		}
		if !synced {
			next = now
		}
		a[name] = appointment{schedule, next}
	}
	return failed
}

// earliest is the first time that something is due, and latest if nothing is
// due before.
func (a agenda) earliest(latest time.Time) time.Time {
	for _, appointment := range a {
		if appointment.next.Before(latest) {
			latest = appointment.next
		}
	}
	return latest
}

// takeDue returns the policies that are due now, and puts each down for its
// next time.
func (a agenda) takeDue(now time.Time) map[string]bool {
	due := map[string]bool{}
	for name, known := range a {
		if known.next.After(now) {
			continue
		}
		due[name] = true
		next, err := nextTime(known.schedule, now)
		if err != nil {
			// It could be read before: only the time zone's file can have gone.
			next = now.Add(lookAgain)
		}
		a[name] = appointment{known.schedule, next}
	}
	return due
}

// retry brings policies forward, for those with a rare schedule.
func (a agenda) retry(due map[string]bool, at time.Time) {
	for name := range due {
		if known := a[name]; at.Before(known.next) {
			a[name] = appointment{known.schedule, at}
		}
	}
}

func nextTime(schedule reconcile.Schedule, now time.Time) (time.Time, error) {
	parsed, err := document.ParseSchedule(schedule.Cron)
	if err != nil {
		return time.Time{}, err
	}
	return parsed.Next(now), nil
}
