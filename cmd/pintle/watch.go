// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry/events"
)

// lookAgain is how long watch sleeps at most, so that policies that come or
// change are noticed however rare the others' schedules are. It is also when
// a pass that failed is tried again.
const lookAgain = time.Minute

// eventPause is how long a policy is left alone after a look before events make it
// due again.
const eventPause = 2 * time.Second

// watched is what watch needs of the engine.
type watched interface {
	Sync(ctx context.Context) (*reconcile.Report, error)
	// SyncDue syncs some policies, by namespace/name, each for a cause.
	SyncDue(ctx context.Context, due map[string]string) (*reconcile.Report, error)
	// Schedules is the schedule of each policy, by namespace/name.
	Schedules(ctx context.Context) (map[string]reconcile.Schedule, error)
}

// watch syncs all policies once, then each one on its schedule, and when a hint
// in the inbox concerns it, until the context ends. An error of the first pass ends it, because a wrong
// configuration shows there; later errors are told and tried again.
func watch(ctx context.Context, engine watched, inbox *events.Inbox, told *journal) error {
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

		if !plan.wait(ctx, inbox, time.Now().Add(lookAgain)) {
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

// agenda is when each policy is due next, by namespace/name.
type agenda map[string]appointment

type appointment struct {
	schedule reconcile.Schedule
	next     time.Time
	cause    string    // of next
	looked   time.Time // the last time that it was due
}

// wait waits until something is due, or it is latest. It is false when the context
// ended first. A hint that concerns no policy costs nothing more than this.
func (a agenda) wait(ctx context.Context, inbox *events.Inbox, latest time.Time) bool {
	for {
		timer := time.NewTimer(time.Until(a.earliest(latest)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			return true
		case <-inbox.Ready():
			timer.Stop()
			a.hint(inbox.Take(), time.Now())
		}
	}
}

// hint brings forward the policies whose image is to be looked at. However many
// hints come, true or forged, a policy is due for them once in eventPause.
func (a agenda) hint(hints []events.Hint, now time.Time) {
	find := events.Find(hints)
	for name, known := range a {
		hint, found := find(known.schedule.Image)
		if !found {
			continue
		}
		at := now
		if pause := known.looked.Add(eventPause); pause.After(now) {
			at = pause
		}
		if at.Before(known.next) {
			known.next, known.cause = at, reconcile.ByEvent(string(hint.Source))
			a[name] = known
		}
	}
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
		a[name] = appointment{schedule: schedule, next: next, cause: reconcile.BySchedule, looked: a[name].looked}
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

// takeDue returns the policies that are due now, each with the cause, and puts each
// down for its next time.
func (a agenda) takeDue(now time.Time) map[string]string {
	due := map[string]string{}
	for name, known := range a {
		if known.next.After(now) {
			continue
		}
		due[name] = known.cause
		next, err := nextTime(known.schedule, now)
		if err != nil {
			// It could be read before: only the time zone's file can have gone.
			next = now.Add(lookAgain)
		}
		a[name] = appointment{schedule: known.schedule, next: next, cause: reconcile.BySchedule, looked: now}
	}
	return due
}

// retry brings policies forward, for those with a rare schedule.
func (a agenda) retry(due map[string]string, at time.Time) {
	for name, cause := range due {
		if known := a[name]; at.Before(known.next) {
			known.next, known.cause = at, cause
			a[name] = known
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
