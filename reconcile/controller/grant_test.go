// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// elsewhere lets a policy be of another namespace.
func elsewhere(namespace string, p *v1alpha1.ImagePolicy) *v1alpha1.ImagePolicy {
	p.Namespace = namespace
	return p
}

// label gives a namespace a label, or takes it away where it is empty.
func (w *world) label(namespace, name, value string) {
	w.t.Helper()
	space := &corev1.Namespace{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Name: namespace}, space); err != nil {
		w.t.Fatal(err)
	}
	w.change(space, func() {
		if delete(space.Labels, name); value != "" {
			space.Labels[name] = value
		}
	})
}

// untilRefused waits until a policy is told that nobody admits it.
func (w *world) untilRefused(p *v1alpha1.ImagePolicy) {
	w.t.Helper()
	ready := w.untilReady(p, "NoField")
	w.until(p.Name+" is told that nobody admits it", func() (string, bool) {
		ready = w.untilReady(p, "NoField")
		return ready.Message, strings.Contains(ready.Message, "no ManifestRepository admits policies of the namespace "+p.Namespace)
	})
	expectSays(w.t, p.Name, ready, []string{"widen spec.policies"})
	if len(p.Status.Current) > 0 {
		w.t.Errorf("the status of %s still has %v", p.Name, p.Status.Current)
	}
}

// A policy of another namespace binds only what the repository grants, at run time and
// by markers alone.
func TestGrants(t *testing.T) {
	w := newOwnWorld(t)
	team := w.space(map[string]string{"stage": "test"})
	for _, image := range []string{"own", "web", "api"} {
		w.push(image, "1.0.0", "1.1.0")
	}
	marked := func(image string) string {
		return strings.Replace(w.deployment(image, image+":1.0.0", image), w.namespace+":", team+":", 1)
	}
	unmarked, _, _ := strings.Cut(w.deployment("api", "api:1.0.0", "api"), " #")
	w.repo.Seed(t, map[string]string{"own.yaml": w.deployment("own", "own:1.0.0", "own"), "web.yaml": marked("web"), "api.yaml": unmarked + "\n"}, "First")
	own, web, api := w.policy("own", "own"), elsewhere(team, w.policy("web", "web")), elsewhere(team, w.policy("api", "api"))
	api.Spec.Targets = []v1alpha1.Target{{Workloads: &v1alpha1.WorkloadsTarget{Path: "**"}}}
	repository := w.repository("fleet")
	w.create(own, web, api, repository)
	w.controller(controller.Options{LookEvery: time.Hour}) // what is granted counts without a look

	w.untilTag("own.yaml", "1.1.0")
	w.untilRefused(web)
	w.untilRefused(api)
	expectSays(t, "Same", w.untilReady(repository, "Problems"), []string{"web.yaml:11: the marker names the policy " + team + "/web", "or may not write here", "widen spec.policies"})

	w.change(repository, func() { repository.Spec.Policies.Namespaces.From = v1alpha1.FromAll })
	w.untilTag("web.yaml", "1.1.0")
	w.untilReady(web, "UpToDate")
	w.until("the policy with a target is told that it has no field", func() (string, bool) {
		ready := w.untilReady(api, "NoField")
		return ready.Message, !strings.Contains(ready.Message, "no ManifestRepository admits")
	})
	expectSays(t, "All", w.untilReady(repository, "Problems"), []string{team + "/api: spec.targets do not count here", "use markers"})
	if got := w.reference("api.yaml"); got != "api:1.0.0" {
		t.Errorf("a target of another namespace wrote %s", got)
	}

	w.change(repository, func() {
		repository.Spec.Policies.Namespaces = v1alpha1.NamespaceGrant{From: v1alpha1.FromSelector, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"stage": "prod"}}}
	})
	w.untilRefused(web)
	w.untilRefused(own) // A selector counts for the own namespace too.
	w.push("web", "1.2.0")
	w.until("the newer tag is selected", func() (string, bool) {
		is := w.status(web)
		return is, web.Status.Selected.Tag == "1.2.0"
	})
	w.stays(time.Second, "the head", func() string { return w.repo.Head(t, "main") })
	w.label(team, "stage", "prod")
	w.untilTag("web.yaml", "1.2.0")
	w.untilReady(web, "UpToDate")
	w.label(team, "stage", "")
	w.untilRefused(web)
	w.push("web", "1.3.0")
	w.until("the newest tag is selected", func() (string, bool) {
		is := w.status(web)
		return is, web.Status.Selected.Tag == "1.3.0"
	})
	w.stays(time.Second, "the head", func() string { return w.repo.Head(t, "main") })
	if got := commits(t, w.repo); got != 4 {
		t.Errorf("%d commits, want the first, one of own and two of web", got)
	}
	w.repo.Fsck(t)
}
