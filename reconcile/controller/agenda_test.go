// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

func followed() *v1alpha1.ImagePolicy {
	p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "app", UID: "uid", Generation: 1}}
	p.Spec.Image, p.Spec.Schedule = podinfo, "@every 5m"
	return p
}

// A policy is looked at when it is new or has changed, when its time has come, and when
// somebody asks; the question tells how old an answer may be.
func TestAgenda(t *testing.T) {
	a, p := newAgenda(), followed()
	expect := func(when string, now time.Time, want time.Time) {
		t.Helper()
		if q, due := a.due(p, now); due != !want.IsZero() || !q.at.Equal(want) {
			t.Errorf("%s: due %v with the question of %s, want that of %s", when, due, q.at, want)
		}
	}
	expect("new", noon, noon.Add(-recent))
	if next := a.next(p, noon); !next.Equal(noon) {
		t.Errorf("a new one is due at %s", next)
	}
	if !a.looked(p, noon, noon, false) || a.looked(p, noon, noon, false) {
		t.Error("the first look is one at something new, the second is not")
	}
	tick := a.next(p, noon)
	if want := time.Date(2026, 3, 1, 12, 0, 55, 18e6, time.UTC); !tick.Equal(want) {
		t.Errorf("its time is %s, want %s", tick, want)
	}
	expect("before its time", tick.Add(-1), time.Time{})
	expect("at its time", tick, tick)
	expect("later, as of its time", tick.Add(time.Minute), tick)

	metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.RefreshAnnotation, "1")
	expect("when asked", noon.Add(time.Second), noon.Add(time.Second))
	a.looked(p, noon.Add(time.Second), noon.Add(time.Second), false)
	expect("when that was done", noon.Add(2*time.Second), time.Time{})
	metav1.SetMetaDataAnnotation(&p.ObjectMeta, "other", "1")
	expect("with another annotation", noon.Add(2*time.Second), time.Time{})

	p.Generation = 2
	expect("changed", noon.Add(3*time.Second), noon.Add(3*time.Second-recent))
	if !a.looked(p, noon.Add(3*time.Second), noon.Add(3*time.Second), false) {
		t.Error("a look at a changed one is no news")
	}
	p.UID = "other"
	expect("made anew", noon.Add(4*time.Second), noon.Add(4*time.Second-recent))
	a.looked(p, noon.Add(4*time.Second), noon.Add(4*time.Second), false)
	a.forget(key(p))
	expect("forgotten", noon.Add(5*time.Second), noon.Add(5*time.Second-recent))
}

// A registry that gave no answer is asked again after a minute, or at the policy's time
// where that is sooner.
func TestAgendaAfterAFailure(t *testing.T) {
	for schedule, want := range map[string]time.Duration{"@daily": retryAfter, "@every 5m": 55*time.Second + 18*time.Millisecond, "@every 1s": 18 * time.Millisecond} {
		a, p := newAgenda(), followed()
		p.Spec.Schedule = schedule
		a.looked(p, noon, noon, true)
		if got := a.next(p, noon).Sub(noon); got != want {
			t.Errorf("%s: again after %v, want %v", schedule, got, want)
		}
	}
}

// An event makes a policy due at once, with its cause; however many come, once in a
// while only, and never one that was not looked at yet, since that is due anyway.
func TestAgendaHints(t *testing.T) {
	const cause = "event/gitea"
	a, p := newAgenda(), followed()
	if a.hint(key(p), cause, noon.Add(-time.Minute)) {
		t.Error("a policy that was never looked at is brought forward")
	}
	a.looked(p, noon, noon, false)
	soon, paused := noon.Add(time.Second), noon.Add(eventPause)
	if !a.hint(key(p), cause, soon) || a.hint(key(p), cause, soon) {
		t.Error("the first hint counts, and the second changes nothing")
	}
	if _, due := a.due(p, paused.Add(-1)); due {
		t.Error("it is due before the pause is over")
	}
	if q, due := a.due(p, paused); !due || q != (question{paused, cause}) {
		t.Errorf("after the pause: %v, %+v", due, q)
	}
	a.looked(p, paused, paused, false)
	tick := a.next(p, noon)
	if q, due := a.due(p, tick); !due || q != (question{tick, "schedule"}) {
		t.Errorf("by the schedule: %v, %+v", due, q)
	}
	a = newAgenda()
	a.looked(p, noon.Add(-time.Minute), noon.Add(-time.Minute), false)
	if at := noon.Add(-eventPause); !a.hint(key(p), cause, at) || a.next(p, noon) != at {
		t.Errorf("after a time of silence it is due at %s, want %s", a.next(p, noon), at)
	}
}

// What an event tells of may have come too late for a look that is under way, the first
// one included: then there is another.
func TestHintDuringALook(t *testing.T) {
	const cause = "event/gitea"
	for title, begin := range map[string]func(*agenda, *v1alpha1.ImagePolicy){
		"the first look": func(*agenda, *v1alpha1.ImagePolicy) {},
		"a scheduled look": func(a *agenda, p *v1alpha1.ImagePolicy) {
			a.looked(p, noon.Add(-time.Hour), noon.Add(-time.Hour), false)
		},
		"a hinted look": func(a *agenda, p *v1alpha1.ImagePolicy) {
			a.looked(p, noon.Add(-time.Minute), noon.Add(-time.Minute), false)
			a.hint(key(p), cause, noon)
		},
	} {
		a, p := newAgenda(), followed()
		begin(a, p)
		q, due := a.due(p, noon)
		if !due {
			t.Fatalf("%s is not due", title)
		}
		a.hint(key(p), cause, noon.Add(time.Second))
		done := noon.Add(2 * time.Second)
		a.looked(p, q.at, done, false)
		again := done.Add(eventPause)
		if next := a.next(p, noon); !next.Equal(again) {
			t.Errorf("after %s, the next is at %s, want %s", title, next, again)
		}
		if q, due := a.due(p, again); !due || q != (question{again, cause}) {
			t.Errorf("after %s: %v, %+v", title, due, q)
		}
		a.looked(p, again, again, false)
		if next := a.next(p, noon); !next.After(again.Add(eventPause)) {
			t.Errorf("after %s, there is a third look at %s", title, next)
		}
	}
}
