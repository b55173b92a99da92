// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// pin changes spec.pin, and waits until Git holds a tag for it.
func (w *world) pin(p *v1alpha1.ImagePolicy, pin *v1alpha1.Pin, tag string) {
	w.t.Helper()
	w.change(p, func() { p.Spec.Pin = pin })
	w.untilTag("app.yaml", tag)
	if pin == nil {
		w.untilReady(p, "UpToDate")
		if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionHeld); c != nil {
			w.t.Errorf("without a pin, Held is there: %v", c)
		}
		return
	}
	held := w.untilCondition(p, v1alpha1.ConditionHeld, "Pinned")
	expectSays(w.t, tag, held, []string{"stays at " + tag, "while spec.pin names"})
	w.untilReady(p, "Pinned")
	if !meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
		w.t.Errorf("a pin that is held is not Ready: %v", p.Status.Conditions)
	}
}

// A pin by tag, revision and digest is written; while it is there nothing newer is.
// Without it the rule is followed again.
func TestPin(t *testing.T) {
	w := newOwnWorld(t)
	digests := map[string]string{}
	for _, tag := range []string{"1.0.0", "1.1.0"} {
		digests[tag] = images.Push(t, w.store, "app", tag, tag)
	}
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	w.controller(controller.Options{})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, repository)
	w.untilTag("app.yaml", "1.1.0")
	digests["1.2.0"] = images.Push(t, w.store, "app", "1.2.0", "1.2.0")
	w.untilTag("app.yaml", "1.2.0")

	w.pin(policy, &v1alpha1.Pin{Tag: "1.1.0"}, "1.1.0")
	w.push("app", "1.3.0")
	w.until("the newer tag is selected", func() (string, bool) {
		is := w.status(policy)
		return is, policy.Status.Selected.Tag == "1.3.0"
	})
	w.stays(1500*time.Millisecond, "the head", func() string { return w.repo.Head(t, "main") })
	w.pin(policy, &v1alpha1.Pin{Revision: new(int64(2))}, "1.2.0")
	w.pin(policy, &v1alpha1.Pin{Digest: digests["1.1.0"]}, "1.1.0")
	w.pin(policy, nil, "1.3.0")
	w.expectWritten("fleet", w.repo, 1, "1.1.0", "1.2.0", "1.1.0", "1.2.0", "1.1.0", "1.3.0")
	var causes []string
	for _, r := range policy.Status.History {
		causes = append(causes, r.Cause)
	}
	if got := strings.Join(causes, " "); got != "schedule pin pin pin schedule schedule" {
		t.Errorf("the causes, newest first, are %s", got)
	}

	head := w.repo.Head(t, "main")
	w.change(policy, func() { policy.Spec.Pin = &v1alpha1.Pin{Revision: new(int64(9))} })
	ready := w.untilReady(policy, "Failed")
	expectSays(t, "no such revision", ready, []string{"stays as it is", "revision 9", "revisions up to 6"})
	w.change(policy, func() { policy.Spec.Pin = &v1alpha1.Pin{Tag: "9.9.9"} })
	ready = w.untilReady(policy, "Failed")
	expectSays(t, "no such tag", ready, []string{"stays as it is", "tag 9.9.9", "404"})
	if got := w.repo.Head(t, "main"); got != head {
		t.Errorf("a pin that names nothing moved the head to %s", got)
	}
	w.pin(policy, nil, "1.3.0")
}

// What a pin wrote is reverted with the pin still there: that holds, and says so. A
// later change of the pin goes before.
func TestPinUndone(t *testing.T) {
	for title, inGit := range map[string]bool{"the policy is in the cluster alone": false, "the policy is in Git too": true} {
		t.Run(title, func(t *testing.T) { testPinUndone(t, inGit) })
	}
}

func testPinUndone(t *testing.T, inGit bool) {
	w := newOwnWorld(t)
	last := ""
	for _, tag := range []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0"} {
		last = images.Push(t, w.store, "app", tag, tag)
	}
	policy := w.policy("app", "app")
	policy.Spec.Pin = &v1alpha1.Pin{Tag: "1.2.0"}
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.3.0@"+last, "app")}, "First")
	declare := func() {
		if inGit {
			w.repo.Seed(t, map[string]string{"policy.yaml": document(t, policy)}, "Declare the policy")
		}
	}
	declare()
	w.controller(controller.Options{})
	w.create(policy.DeepCopy(), w.repository("fleet"))
	w.untilTag("app.yaml", "1.2.0")
	w.untilReady(policy.DeepCopy(), "Pinned")

	w.revert()
	head := w.repo.Head(t, "main")
	object := policy.DeepCopy()
	w.until("the hold is told", func() (string, bool) {
		ready := w.untilReady(object, "Pinned")
		return ready.Message, strings.Contains(ready.Message, "was undone by "+head[:9])
	})
	held := w.untilCondition(object, v1alpha1.ConditionHeld, "Pinned")
	expectSays(t, "undone", held, []string{w.namespace + "/app stays at 1.3.0", "1.2.0, which spec.pin names (tag 1.2.0)", "Ada Person", "Remove or change the pin, or let `pintle resume " + w.namespace + "/app` write it"})
	if !meta.IsStatusConditionFalse(object.Status.Conditions, v1alpha1.ConditionWritten) {
		t.Errorf("Written is not False: %v", object.Status.Conditions)
	}
	w.stays(1500*time.Millisecond, "the head", func() string { return w.repo.Head(t, "main") })

	pin := &v1alpha1.Pin{Tag: "1.1.0"}
	policy.Spec.Pin = pin
	declare()
	w.change(object, func() { object.Spec.Pin = pin })
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(object, "Pinned")
	// Without a pin, the rule's selection is not what was undone.
	policy.Spec.Pin = nil
	declare()
	w.change(object, func() { object.Spec.Pin = nil })
	w.untilTag("app.yaml", "1.3.0")
	w.untilReady(object, "UpToDate")
	people := 2 // the first commit, and the revert
	if inGit {
		people += 3
	}
	w.expectWritten("fleet", w.repo, people, "1.2.0", "1.1.0", "1.3.0")
}

// document is an object as it stands in Git.
func document(t *testing.T, p *v1alpha1.ImagePolicy) string {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion().String(), "kind": "ImagePolicy",
		"metadata": map[string]string{"namespace": p.Namespace, "name": p.Name}, "spec": p.Spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
