// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// turns are what the condition Ready of policies was, one after the other, as
// "<name> <generation> <reason>".
type turns struct {
	mu   sync.Mutex
	seen []string
}

func (w *world) follow() *turns {
	w.t.Helper()
	watching, err := client.NewWithWatch(w.cluster, client.Options{Scheme: newScheme()})
	if err != nil {
		w.t.Fatal(err)
	}
	events, err := watching.Watch(w.t.Context(), &v1alpha1.ImagePolicyList{}, client.InNamespace(w.namespace))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(events.Stop)
	f := &turns{}
	go func() {
		for e := range events.ResultChan() {
			p, ok := e.Object.(*v1alpha1.ImagePolicy)
			if !ok {
				continue
			}
			if ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
				f.note(fmt.Sprintf("%s %d %s", p.Name, ready.ObservedGeneration, ready.Reason))
			}
		}
	}()
	return f
}

func (f *turns) note(turn string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.seen); n == 0 || f.seen[n-1] != turn {
		f.seen = append(f.seen, turn)
	}
}

func (f *turns) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// A status tells only what is so: nothing in between, of a policy that the repository was
// not looked at for yet, or of a spec that no pass has seen.
func TestStatusDoesNotFlap(t *testing.T) {
	w := newOwnWorld(t)
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app"), "idle.yaml": w.deployment("idle", "app:1.0.0", "idle")}, "First")
	repository := w.repository("fleet")
	w.create(w.policy("idle", "app"), repository)
	w.controller(controller.Options{})
	w.untilTag("idle.yaml", "1.1.0")
	w.untilReady(repository, "Problems") // a marker names no policy yet
	seen := w.follow()

	app := w.policy("app", "app")
	w.create(app)
	w.untilReady(app, "UpToDate")
	w.change(app, func() { app.Spec.Pin = &v1alpha1.Pin{Tag: "1.0.0"} })
	w.untilReady(app, "Pinned")
	w.change(app, func() { app.Spec.Pin, app.Spec.Select.Semver.Range = nil, ">=9" })
	w.untilReady(app, "NoMatch")
	w.change(app, func() { app.Spec.Select.Semver.Range = ">=1.0.0" })
	w.untilReady(app, "UpToDate")
	w.push("app", "1.2.0")
	w.untilTag("app.yaml", "1.2.0")
	w.until("the status has three revisions and more", func() (string, bool) {
		return w.status(app), app.Status.History != nil && app.Status.History[0].Tag == "1.2.0"
	})
	want := []string{"app 1 UpToDate", "app 2 Pinned", "app 3 NoMatch", "app 4 UpToDate"}
	w.until("all turns are seen", func() (string, bool) {
		got := slices.Compact(slices.DeleteFunc(seen.all(), func(turn string) bool { return turn == "idle 1 UpToDate" }))
		return cmp.Diff(want, got), cmp.Equal(want, got)
	})
}
