// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// expectLater checks that a repository and a policy say until when they wait, and that
// nothing is written meanwhile, to Git or to the API server.
func (w *world) expectLater(policy *v1alpha1.ImagePolicy, repository *v1alpha1.ManifestRepository, says string) {
	w.t.Helper()
	ready := w.untilReady(policy, "WindowClosed")
	w.until("the policy says until when", func() (string, bool) {
		ready = w.untilReady(policy, "WindowClosed")
		return ready.Message, ready.Message == says
	})
	if ready.Status != metav1.ConditionTrue {
		w.t.Errorf("a policy that waits is not ready: %+v", ready)
	}
	written := w.untilCondition(repository, v1alpha1.ConditionWritten, "WindowClosed")
	expectSays(w.t, repository.Name, written, []string{"1 policies wait: " + w.namespace + "/app " + says})
	if written.Status != metav1.ConditionFalse {
		w.t.Errorf("something waits, and Written is not False: %+v", written)
	}
	w.stays(1500*time.Millisecond, "something", func() string {
		return w.repo.Head(w.t, "main") + w.status(policy) + w.status(repository) + policy.ResourceVersion + repository.ResourceVersion
	})
}

// Outside of its windows, and while it is frozen, a repository is not written. What
// waits says until when, and is written as soon as it may be.
func TestWindowsAndFreeze(t *testing.T) {
	w := newOwnWorld(t)
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	later := time.Now().UTC().AddDate(0, 0, 2)
	repository.Spec.Windows = []v1alpha1.Window{{Schedule: later.Format("0 0 2 1 *"), Duration: metav1.Duration{Duration: time.Minute}, TimeZone: "UTC"}}
	w.create(policy, repository)
	// Looks are rare, so that it is the change that is followed.
	w.controller(controller.Options{LookEvery: time.Hour})
	w.expectLater(policy, repository, "moves from 1.0.0 to 1.1.0 when the next window opens, at "+later.Format("2006-01-02T00:00:00Z"))

	w.change(repository, func() {
		repository.Annotations = map[string]string{v1alpha1.FreezeAnnotation: "release \u001b[31mweek"}
		repository.Spec.Windows = []v1alpha1.Window{{Schedule: "* * * * *", Duration: metav1.Duration{Duration: time.Hour}, TimeZone: "UTC"}}
	})
	w.expectLater(policy, repository, `moves from 1.0.0 to 1.1.0 when the annotation pintle.dev/freeze is taken away ("release \x1b[31mweek")`)

	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	w.change(repository, func() { repository.Annotations[v1alpha1.FreezeAnnotation] = until })
	w.expectLater(policy, repository, "moves from 1.0.0 to 1.1.0 when the freeze ends, at "+until)

	w.change(repository, func() { repository.Annotations[v1alpha1.FreezeAnnotation] = "2020-01-01T00:00:00Z" })
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(repository, "Synced")
	w.untilReady(policy, "UpToDate")
}

// The pace lets the rest wait for the next looks at the branch.
func TestPace(t *testing.T) {
	w := newOwnWorld(t)
	names := []string{"a", "b", "c"}
	files := map[string]string{}
	repository := w.repository("fleet")
	repository.Spec.MaxPerPush = 1
	for _, name := range names {
		w.push(name, "1.0.0", "1.1.0")
		files[name+".yaml"] = w.deployment(name, name+":1.0.0", name)
		w.create(w.policy(name, name))
	}
	w.repo.Seed(t, files, "First")
	w.create(repository)
	w.controller(controller.Options{})
	for _, name := range names {
		w.untilTag(name+".yaml", "1.1.0")
	}
	if got := commits(t, w.repo); got != 4 {
		t.Errorf("%d commits, want 4", got)
	}
	w.until("the status tells of the last push", func() (string, bool) {
		w.untilReady(repository, "Synced")
		pushed := repository.Status.LastPush
		return fmt.Sprintf("%+v", pushed), pushed != nil && pushed.Commits == 1 && strings.HasPrefix(w.repo.Head(t, "main"), pushed.Commit)
	})
}
