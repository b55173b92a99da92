// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

const (
	// retryAfter is when a registry that gave no answer is asked again, at the latest.
	retryAfter = time.Minute
	// recent is how old an answer may be for a policy that is new or has changed: a
	// thousand policies that are applied at once share their questions.
	recent = 10 * time.Second
	// eventPause is how long a policy is left alone after a look before events make it
	// due again, however many come.
	eventPause = 2 * time.Second
)

// agenda is when each policy is to be looked at.
type agenda struct {
	mu    sync.Mutex
	known map[types.NamespacedName]appointment
}

type appointment struct {
	uid        types.UID
	generation int64
	refresh    string // what RefreshAnnotation said at the last look
	next       time.Time
	cause      string    // of next
	looked     time.Time // the last time
	hinted     time.Time // the last event
	hintedBy   string    // its cause
}

func newAgenda() *agenda { return &agenda{known: map[types.NamespacedName]appointment{}} }

// question is one to a registry: why it came up, and when. Answers from before do not
// count.
type question struct {
	at    time.Time
	cause string
}

// due tells whether a policy is to be looked at now.
func (a *agenda) due(p *v1alpha1.ImagePolicy, now time.Time) (q question, due bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.known[key(p)]
	switch {
	case !ok, known.uid != p.UID:
		return question{now.Add(-recent), reconcile.BySchedule}, true
	case known.refresh != p.Annotations[v1alpha1.RefreshAnnotation]:
		return question{now, reconcile.BySchedule}, true
	case known.generation != p.Generation:
		return question{now.Add(-recent), reconcile.BySchedule}, true
	case !known.next.After(now):
		if known.hinted.After(known.next) && !known.hinted.After(now) {
			return question{known.hinted, known.hintedBy}, true
		}
		return question{known.next, known.cause}, true
	}
	return question{}, false
}

// hint brings a policy forward that an event is about. It tells whether that changes
// when it is due. A look that is under way may have been answered before the event, and
// is followed by another.
func (a *agenda) hint(policy types.NamespacedName, cause string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.known[policy]
	known.hinted, known.hintedBy = now, cause
	defer func() { a.known[policy] = known }()
	at := now
	if pause := known.looked.Add(eventPause); pause.After(now) {
		at = pause
	}
	if !ok || !at.Before(known.next) {
		return false
	}
	known.next, known.cause = at, cause
	return true
}

// looked puts a policy down for its next time, after a look that asked what came up at a
// time. It tells whether its spec changed since the last look, or was not known.
func (a *agenda) looked(p *v1alpha1.ImagePolicy, asked, now time.Time, failed bool) (changed bool) {
	next, cause := now.Add(retryAfter), reconcile.BySchedule
	if schedule, err := document.ParseSchedule(p.Spec.Schedule); err == nil {
		tick := nextTick(schedule, p.Spec.Image, now)
		if !failed || tick.Before(next) {
			next = tick
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.known[key(p)]
	if again := now.Add(eventPause); known.hinted.After(asked) && again.Before(next) {
		next, cause = again, known.hintedBy
	}
	a.known[key(p)] = appointment{p.UID, p.Generation, p.Annotations[v1alpha1.RefreshAnnotation], next, cause, now, known.hinted, known.hintedBy}
	return !ok || known.uid != p.UID || known.generation != p.Generation
}

// next is when a policy is due; now where it was never looked at.
func (a *agenda) next(p *v1alpha1.ImagePolicy, now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.known[key(p)]; ok {
		return known.next
	}
	return now
}

func (a *agenda) forget(policy types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, policy)
}
