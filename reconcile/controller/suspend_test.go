// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// expectWaits checks that a repository says how many policies wait.
func (w *world) expectWaits(repository *v1alpha1.ManifestRepository, says string) {
	w.t.Helper()
	written := w.untilCondition(repository, v1alpha1.ConditionWritten, "Suspended")
	expectSays(w.t, repository.Name, written, []string{says})
	if written.Status != metav1.ConditionFalse {
		w.t.Errorf("something waits, and Written is not False: %+v", written)
	}
	w.untilReady(repository, "Suspended")
}

// The switch of the controller and spec.suspend of both kinds stop all writing. The
// status tells what waits; it is written as soon as the last of them is off.
func TestSuspend(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	policy.Spec.Suspend, repository.Spec.Suspend = true, true
	w.create(policy, repository)
	head := w.repo.Head(t, "main")
	untouched := func() {
		t.Helper()
		w.stays(1500*time.Millisecond, "the head", func() string { return w.repo.Head(t, "main") })
		if now := w.repo.Head(t, "main"); now != head || git.count("git-receive-pack") > 0 {
			t.Fatalf("the head is %s, and was %s; requests to push: %d", now, head, git.count("git-receive-pack"))
		}
	}

	stop := w.controller(controller.Options{Suspend: true})
	w.untilReady(policy, "Suspended")
	w.change(policy, func() { policy.Spec.Suspend = false })
	ready := w.untilReady(policy, "Suspended")
	w.until("the status tells what waits", func() (string, bool) {
		ready = w.untilReady(policy, "Suspended")
		return ready.Message, ready.Message == "the controller is suspended (--suspend) and writes nothing: moves from 1.0.0 to 1.1.0"
	})
	if !meta.IsStatusConditionFalse(policy.Status.Conditions, v1alpha1.ConditionWritten) {
		t.Errorf("Written is not False: %v", policy.Status.Conditions)
	}
	w.expectWaits(repository, "the controller is suspended (--suspend): 1 policies wait")
	untouched()
	stop()

	w.controller(controller.Options{})
	w.until("the status tells what waits", func() (string, bool) {
		ready = w.untilReady(policy, "Suspended")
		return ready.Message, ready.Message == "ManifestRepository "+w.namespace+"/fleet is suspended: moves from 1.0.0 to 1.1.0"
	})
	w.expectWaits(repository, "spec.suspend is true: 1 policies wait")
	untouched()
	w.change(repository, func() { repository.Spec.Suspend = false })
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(repository, "Synced")
	w.untilReady(policy, "UpToDate")

	if got := commits(t, w.repo); got != 2 {
		t.Errorf("%d commits, want 2", got)
	}
}

// A policy that is suspended waits alone.
func TestSuspendedPolicy(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.push("web", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app"), "web.yaml": w.deployment("web", "web:1.0.0", "web")}, "First")
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, w.policy("web", "web"), repository)
	w.controller(controller.Options{})
	w.untilTag("app.yaml", "1.1.0")
	w.untilTag("web.yaml", "1.1.0")

	w.change(policy, func() { policy.Spec.Suspend = true })
	w.untilReady(policy, "Suspended")
	w.push("app", "1.2.0")
	w.until("the newer tag is selected", func() (string, bool) {
		is := w.status(policy)
		return is, policy.Status.Selected.Tag == "1.2.0"
	})
	w.push("web", "1.2.0")
	w.untilTag("web.yaml", "1.2.0")
	ready := w.untilReady(policy, "Suspended")
	expectSays(t, "suspended", ready, []string{w.namespace + "/app is suspended"})
	w.untilReady(repository, "Synced")
	if got := w.reference("app.yaml"); !strings.HasPrefix(got, "app:1.1.0@") {
		t.Errorf("the suspended policy's field holds %s", got)
	}
	w.change(policy, func() { policy.Spec.Suspend = false })
	w.untilTag("app.yaml", "1.2.0")
	if got := commits(t, w.repo); got != 5 {
		t.Errorf("%d commits, want the first and four", got)
	}
	if got := git.count("POST", "git-receive-pack"); got > 4 {
		t.Errorf("%d pushes for four commits", got)
	}
}

// A status never tells what was found with another spec, as if it were of the new one.
func TestStatusIsOfTheSpec(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	w.controller(controller.Options{LookEvery: time.Hour})
	policy := w.policy("app", "app")
	w.create(policy, w.repository("fleet"))
	w.untilReady(policy, "UpToDate")
	watching, err := client.NewWithWatch(w.cluster, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := watching.Watch(t.Context(), &v1alpha1.ImagePolicyList{}, client.InNamespace(w.namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer seen.Stop()

	git.instead(func(http.ResponseWriter, *http.Request) bool {
		time.Sleep(500 * time.Millisecond) // A pass takes its time.
		return false
	})
	w.change(policy, func() { policy.Spec.Suspend = true })
	w.untilReady(policy, "Suspended")
	w.change(policy, func() { policy.Spec.Suspend, policy.Spec.Pin = false, &v1alpha1.Pin{Tag: "1.0.0"} })
	w.untilReady(policy, "Pinned")
	wants := map[int64]string{1: "UpToDate", 2: "Suspended", 3: "Pinned"}
	for generation := int64(1); generation < 3; {
		var event watch.Event
		select {
		case event = <-seen.ResultChan():
		case <-time.After(patience):
			t.Fatal("the watch has nothing more to tell")
		}
		p, ok := event.Object.(*v1alpha1.ImagePolicy)
		if !ok {
			t.Fatalf("the watch tells of %T", event.Object)
		}
		generation = p.Status.ObservedGeneration
		if ready := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady); ready.Reason != wants[generation] {
			t.Errorf("the status of generation %d has %s, want %s", generation, ready.Reason, wants[generation])
		}
	}
}

// Deleting an object leaves Git as it is.
func TestDeleted(t *testing.T) {
	w := newOwnWorld(t)
	git, registry := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	w.controller(controller.Options{})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	policy.Spec.Schedule = "@yearly" // what is deleted is noticed without a look
	w.create(policy, repository)
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(policy, "UpToDate")
	head := w.repo.Head(t, "main")

	if err := w.client.Delete(t.Context(), repository); err != nil {
		t.Fatal(err)
	}
	ready := w.untilReady(policy, "NoField")
	expectSays(t, "without a repository", ready, []string{"no ManifestRepository admits policies of the namespace " + w.namespace, "create one"})
	if got := len(policy.Status.Current) + len(policy.Status.History); got != 0 {
		t.Errorf("the status still tells of the repository: %+v", policy.Status)
	}
	asked := git.count()
	w.push("app", "1.2.0")
	w.change(policy, func() { metav1.SetMetaDataAnnotation(&policy.ObjectMeta, v1alpha1.RefreshAnnotation, "now") })
	w.until("the policy goes on without it", func() (string, bool) {
		is := w.status(policy)
		return is, policy.Status.Selected.Tag == "1.2.0"
	})
	if got := git.count(); got != asked {
		t.Errorf("Git was asked %d times after the repository was deleted", got-asked)
	}

	if err := w.client.Delete(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	repository = w.repository("fleet")
	w.create(repository)
	ready = w.untilReady(repository, "Problems")
	expectSays(t, "without the policy", ready, []string{"app.yaml:11:", "the policy " + w.namespace + "/app", "create it, mend the marker"})
	asked = registry.count()
	w.stays(1500*time.Millisecond, "what was asked of the registry, or the head", func() string {
		return fmt.Sprint(w.repo.Head(t, "main"), registry.count()-asked)
	})
	if got := w.repo.Head(t, "main"); got != head {
		t.Errorf("the head moved to %s", got)
	}
	w.create(w.policy("app", "app"))
	w.untilTag("app.yaml", "1.2.0")
	w.untilReady(repository, "Synced")
	w.expectWritten("fleet", w.repo, 1, "1.1.0", "1.2.0")
}
