// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// untilSeen waits until the status has first-seen times of so many digests.
func (w *world) untilSeen(p *v1alpha1.ImagePolicy, digests int) map[string]time.Time {
	w.t.Helper()
	seen := map[string]time.Time{}
	w.until("first-seen times are in the status", func() (string, bool) {
		is := w.status(p)
		return is, p.Status.FirstSeen != nil && len(p.Status.FirstSeen.Digests) == digests
	})
	for _, s := range p.Status.FirstSeen.Digests {
		seen[s.Digest] = s.At.UTC()
	}
	return seen
}

// A candidate that is too young waits, and that is no fault. The record is in the status:
// a process that knows nothing else goes on with it.
func TestMinimumAgeOverRestarts(t *testing.T) {
	w := newOwnWorld(t)
	digests := map[string]string{}
	push := func(tag string) { digests[tag] = images.Push(t, w.store, "app", tag, tag) }
	push("1.0.0")
	push("1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	policy := w.policy("app", "app")
	policy.Spec.MinimumAge = &metav1.Duration{Duration: 24 * time.Hour}
	stop := w.controller(controller.Options{})
	w.create(policy, w.repository("fleet"))
	ready := w.untilReady(policy, "TooYoung")
	first := w.untilSeen(policy, 2)
	at := first[digests["1.1.0"]]
	expectSays(t, "too young", ready, []string{"waits for 1.", "first seen " + at.Format(time.RFC3339), "old enough at " + at.Add(24*time.Hour).Format(time.RFC3339)})
	if ready.Status != metav1.ConditionTrue {
		t.Errorf("to wait is a fault: %v", ready)
	}
	stop()

	stop = w.controller(controller.Options{})
	push("1.2.0")
	second := w.untilSeen(policy, 3)
	delete(second, digests["1.2.0"])
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("first-seen times over a restart (-before +after):\n%s", diff)
	}
	stop()

	// As if a day had passed for one of them.
	w.changeStatus(policy, func() {
		for i, s := range policy.Status.FirstSeen.Digests {
			if s.Digest == digests["1.1.0"] {
				policy.Status.FirstSeen.Digests[i].At = metav1.NewTime(s.At.Add(-24 * time.Hour))
			}
		}
	})
	w.controller(controller.Options{})
	w.untilTag("app.yaml", "1.1.0")
	ready = w.untilReady(policy, "UpToDate")
	expectSays(t, "up to date", ready, []string{"holds the selection; 1.2.0 ranks above it and waits: first seen "})
	if got := policy.Status.Selected; got == nil || got.Digest != digests["1.1.0"] || !got.FirstSeen.Time.Equal(at.Add(-24*time.Hour)) {
		t.Errorf("the selection is %v", got)
	}
	w.change(policy, func() { policy.Spec.MinimumAge = nil })
	w.untilTag("app.yaml", "1.2.0")
	w.until("the record is gone", func() (string, bool) { return w.status(policy), policy.Status.FirstSeen == nil })
}

// changeStatus patches a status, as the controller does.
func (w *world) changeStatus(p *v1alpha1.ImagePolicy, how func()) {
	w.t.Helper()
	w.status(p)
	before := p.DeepCopy()
	how()
	if err := w.client.Status().Patch(w.t.Context(), p, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// Once it is old enough, the schedule finds it.
func TestMinimumAgePasses(t *testing.T) {
	w := newOwnWorld(t)
	const age = 2 * time.Second
	digest := images.Push(t, w.store, "app", "1.1.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	policy := w.policy("app", "app")
	policy.Spec.MinimumAge = &metav1.Duration{Duration: age}
	w.controller(controller.Options{})
	w.create(policy, w.repository("fleet"))
	seen := w.untilSeen(policy, 1)[digest]
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(policy, "UpToDate")
	written, err := time.Parse(time.RFC3339, gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%aI", "main"))
	if err != nil {
		t.Fatal(err)
	}
	if written.Before(seen.Add(age)) {
		t.Errorf("first seen at %s, written at %s", seen, written)
	}
}
