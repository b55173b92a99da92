// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/reconcile/decide"
)

// Pace says when a repository may be written, and how much at once. Rollbacks do not
// wait for it. The zero value is: always, and all that is due.
type Pace struct {
	// Windows are the times in which it may; empty: always.
	Windows []Window
	// Frozen says until when it may not, whatever the windows say, to stand after
	// "moves from 1.1.0 to 1.2.0"; empty where it may.
	Frozen string
	// MaxPerPush is how many policies one push moves at most; 0: all that is due.
	MaxPerPush int
}

// Window is a time in which a repository may be written.
type Window struct {
	// Schedule says when it opens, in its own time zone. It is one that comes.
	Schedule cron.Schedule
	// Duration is how long it stays open.
	Duration time.Duration
	// Zone is what its times are told in.
	Zone *time.Location
}

// open tells whether the window opened so lately that it is open still.
func (w Window) open(now time.Time) bool {
	return !w.Schedule.Next(now.Add(-w.Duration)).After(now)
}

// closed says until when nothing may be written, or nothing.
func (p Pace) closed(now time.Time) string {
	if p.Frozen != "" {
		return p.Frozen
	}
	if len(p.Windows) == 0 || slices.ContainsFunc(p.Windows, func(w Window) bool { return w.open(now) }) {
		return ""
	}
	var next time.Time
	for _, w := range p.Windows {
		if at := w.Schedule.Next(now); next.IsZero() || at.Before(next) {
			next = at.In(w.Zone)
		}
	}
	return "when the next window opens, at " + next.Format(time.RFC3339)
}

// hold lets all but so many of the policies that are due wait for a later push. What
// changes a version goes before what only adds a digest.
func (p Pace) hold(policies []*outcome) {
	var due []*outcome
	for _, o := range policies {
		if o.order == nil && slices.ContainsFunc(o.verdicts, decide.Verdict.Write) {
			due = append(due, o)
		}
	}
	if p.MaxPerPush <= 0 || len(due) <= p.MaxPerPush {
		return
	}
	slices.SortStableFunc(due, func(a, b *outcome) int { return cmp.Compare(a.urgency(), b.urgency()) })
	for _, o := range due[p.MaxPerPush:] {
		for i, v := range o.verdicts {
			if v.Write() {
				o.verdicts[i] = decide.Verdict{Reason: WindowClosed, Message: fmt.Sprintf("%s with a later push, since spec.maxPerPush is %d", v.Message, p.MaxPerPush)}
			}
		}
	}
}

// urgency is 0 where a version changes, and 1 where digests are added alone.
func (o *outcome) urgency() int {
	changes := func(s gitwriter.Slot) bool { return s.Value.Tag() != o.aim.Tag() || s.Value.Digest() != "" }
	for i, v := range o.verdicts {
		if v.Write() && changes(o.slots[i]) {
			return 0
		}
	}
	return 1
}
