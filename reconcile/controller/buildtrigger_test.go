// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	cmpdiff "github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

// build makes a Build with the label base, whose image goes to an output.
func (y *yard) build(name, base, output string) {
	y.t.Helper()
	y.create(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "shipwright.io/v1beta1", "kind": "Build",
		"metadata": map[string]any{"namespace": y.namespace, "name": name, "labels": map[string]any{"base": base}},
		"spec":     map[string]any{"output": map[string]any{"image": y.image(output)}, "strategy": map[string]any{"name": "any"}},
	}})
}

// starter is a daily policy that starts the Builds with the label base.
func (y *yard) starter(name, base string) *v1alpha1.ImagePolicy {
	p := y.daily(name)
	p.Spec.Trigger = &v1alpha1.Trigger{Builds: metav1.LabelSelector{MatchLabels: map[string]string{"base": base}}}
	return p
}

// runs are the BuildRuns of the namespace: the Build, the policy that started it and the tag.
func (y *yard) runs() []unstructured.Unstructured {
	y.t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("shipwright.io/v1beta1")
	list.SetKind("BuildRunList")
	if err := y.client.List(y.t.Context(), list, client.InNamespace(y.namespace)); err != nil {
		y.t.Fatal(err)
	}
	return list.Items
}

func (y *yard) untilRuns(want ...string) {
	y.t.Helper()
	y.until("the BuildRuns are "+strings.Join(want, ", "), func() (string, bool) {
		diff := cmpdiff.Diff(want, y.started())
		return diff, diff == ""
	})
}

// started are the BuildRuns as "BUILD by POLICY for TAG", in the order of their names.
func (y *yard) started() []string {
	y.t.Helper()
	var lines []string
	for _, run := range y.runs() {
		name, _, _ := unstructured.NestedString(run.Object, "spec", "build", "name")
		selection, _, _ := strings.Cut(run.GetAnnotations()["pintle.dev/selection"], "@")
		lines = append(lines, fmt.Sprintf("%s by %s for %s", name, run.GetLabels()["pintle.dev/policy"], selection[strings.LastIndex(selection, ":")+1:]))
	}
	return lines
}

func (y *yard) refresh(p *v1alpha1.ImagePolicy) {
	y.t.Helper()
	y.change(p, func() { p.Annotations = map[string]string{v1alpha1.RefreshAnnotation: time.Now().String()} })
}

// A new selection of a base image starts each Build that uses it, once. What was selected
// before starts nothing; what a Build made is written by the policy of its image.
func TestTriggerBuilds(t *testing.T) {
	y := newYard(t)
	parts.InstallShipwright(t, y.own)
	y.push("base", "1.0.0")
	y.build("one", "go", "app:1.1.0")
	y.build("two", "go", "other:1")
	y.build("three", "rust", "third:1")
	base := y.starter("base", "go")
	y.create(base)
	app, stop := y.follow()
	y.untilReady(base, "NoField")
	y.quiet(app)
	y.untilRuns()

	y.push("base", "1.1.0")
	y.refresh(base)
	y.untilCondition(base, "Triggered", "BuildRunsCreated")
	y.untilRuns("one by base for 1.1.0", "two by base for 1.1.0")
	y.until("it is told", func() (string, bool) {
		notes := strings.Join(y.told("BuildRunsCreated"), "\n")
		return notes, strings.Contains(notes, "created for 1.1.0 at sha256:") && strings.Contains(notes, ": BuildRun one-")
	})

	t.Run("chain", func(t *testing.T) {
		run := y.runs()[0]
		pushed := images.Push(t, y.store, "app", "1.1.0", "built")
		y.ends(&run, ran{image: y.image("app:1.1.0"), digest: pushed, source: sourceCommit})
		y.untilCause("1.1.0", "cause=build/"+y.namespace+"/"+run.GetName()+" source="+sourceCommit)
	})
	t.Run("the same digest under another tag", func(t *testing.T) {
		images.Push(t, y.store, "base", "1.1.1", "base:1.1.0")
		y.refresh(base)
		y.until("it is selected", func() (string, bool) { text := y.status(base); return text, base.Status.Selected.Tag == "1.1.1" })
		y.quiet(app)
		y.untilRuns("one by base for 1.1.0", "two by base for 1.1.0")
	})
	t.Run("a restart", func(t *testing.T) {
		y.quiet(base)
		before := y.status(base)
		created := y.api.count("POST", "/buildruns")
		stop()
		for _, run := range y.runs() { // Their time is over: that they are gone is no reason to build again.
			if err := y.client.Delete(t.Context(), &run); err != nil {
				t.Fatal(err)
			}
		}
		stop = y.start()
		asked := y.images.count("/v2/base/")
		y.until("the registry is asked", func() (string, bool) { return "", y.images.count("/v2/base/") > asked })
		y.quiet(base)
		if diff := cmpdiff.Diff(before, y.status(base)); diff != "" || y.api.count("POST", "/buildruns") != created {
			t.Errorf("status (-before +after):\n%s\ncreated: %v", diff, y.api.with("POST", "/buildruns")[created:])
		}
		y.untilRuns()
	})
	t.Run("while nobody was there", func(*testing.T) {
		stop()
		y.push("base", "1.2.0")
		stop = y.start()
		y.untilRuns("one by base for 1.2.0", "two by base for 1.2.0")
	})
	t.Run("suspended", func(t *testing.T) {
		y.change(base, func() { base.Spec.Suspend = true })
		y.push("base", "1.3.0")
		y.refresh(base)
		y.untilCondition(base, "Triggered", "Suspended")
		y.untilRuns("one by base for 1.2.0", "two by base for 1.2.0")
		y.change(base, func() { base.Spec.Suspend = false })
		y.untilCondition(base, "Triggered", "BuildRunsCreated")
		if n := len(y.runs()); n != 4 {
			t.Errorf("%d BuildRuns, want 4: %v", n, y.started())
		}
	})
	t.Run("no trigger any more", func(*testing.T) {
		y.change(base, func() { base.Spec.Trigger = nil })
		y.until("the status says nothing of it", func() (string, bool) {
			text := y.status(base)
			return text, base.Status.Triggered == nil && !strings.Contains(text, "Triggered")
		})
	})
}

// A Build that makes the image which starts it would never end, by itself or through others.
func TestTriggerRefusesLoops(t *testing.T) {
	y := newYard(t)
	parts.InstallShipwright(t, y.own)
	for _, name := range []string{"base", "middle", "far"} {
		y.push(name, "1.0.0")
	}
	y.build("itself", "go", "base:2.0.0")
	y.build("round", "go", "middle:2.0.0")
	y.build("back", "middle", "base:2.0.0")
	y.build("good", "go", "far:2.0.0")
	base, middle := y.starter("base", "go"), y.starter("middle", "middle")
	y.create(base, middle)
	y.follow()
	y.untilReady(base, "NoField")
	y.untilReady(middle, "NoField")
	y.push("base", "1.1.0")
	y.refresh(base)
	told := y.untilCondition(base, "Triggered", "BuildLoop")
	for _, want := range []string{
		"the Build " + y.namespace + "/itself, which makes " + y.image("base") + ", would start itself",
		"the Build " + y.namespace + "/round, which makes " + y.image("middle") + ", of which the policy " + y.namespace + "/middle starts " + y.namespace + "/back, which makes " + y.image("base") + ", would start itself",
	} {
		if !strings.Contains(told.Message, want) {
			t.Errorf("the message is %q, want %q in it", told.Message, want)
		}
	}
	y.untilRuns("good by base for 1.1.0")
}

// What is in the way is told, and tried again when it is gone: no Shipwright, no right.
func TestTriggerThatCanNotStart(t *testing.T) {
	y := newYard(t)
	y.restrict(y.own)
	y.cluster, y.api = counted(y.cluster)
	y.push("base", "1.0.0")
	base := y.starter("base", "go")
	y.create(base)
	_, stop := y.follow()
	y.untilReady(base, "NoField")
	y.push("base", "1.1.0")
	y.refresh(base)
	y.untilCondition(base, "Triggered", "BuildsForbidden")
	if n := y.api.count("/builds?"); n != 1 {
		t.Errorf("Builds were asked for %d times in a minute, want once", n)
	}

	again := func(reason string) string {
		y.t.Helper()
		stop() // Another process does not wait for the minute.
		stop = y.start()
		return y.untilCondition(base, "Triggered", reason).Message
	}
	y.createIfMissing(clusterRole(t, "builds.yaml"))
	y.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: y.namespace, Name: "pintle-builds"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "pintle-builds"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: account}},
	})
	if told := again("NoShipwright"); !strings.Contains(told, "install Shipwright") {
		t.Errorf("the message is %q", told)
	}
	parts.InstallShipwright(t, y.own)
	y.build("one", "go", "other:1")
	again("BuildRunsCreated")
	y.untilRuns("one by base for 1.1.0")
	y.push("base", "1.2.0")
	y.change(base, func() { base.Spec.Trigger.Builds.MatchLabels["base"] = "gone" })
	y.refresh(base)
	y.untilCondition(base, "Triggered", "NoBuilds")
}
