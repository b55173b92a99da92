// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// hide lets a registry look as if it had neither these tags, as in app:1.0.0, nor these
// digests.
func (f *front) hide(names ...string) {
	f.instead(func(w http.ResponseWriter, r *http.Request) bool { return f.without(w, r, names) })
}

// without answers what concerns these tags and digests.
func (f *front) without(w http.ResponseWriter, r *http.Request, names []string) bool {
	image, reference, manifest := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
	switch {
	case manifest && (slices.Contains(names, reference) || slices.Contains(names, image+":"+reference)):
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
		return true
	case strings.HasSuffix(r.URL.Path, "/tags/list"):
		whole := httptest.NewRecorder()
		f.next.ServeHTTP(whole, r)
		var list struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(whole.Body.Bytes(), &list); err != nil {
			f.t.Errorf("the registry lists %s", whole.Body)
		}
		list.Tags = slices.DeleteFunc(list.Tags, func(tag string) bool { return slices.Contains(names, list.Name+":"+tag) })
		if err := json.NewEncoder(w).Encode(list); err != nil {
			f.t.Logf("nobody takes the list: %v", err)
		}
		return true
	}
	return false
}

// A digest that Git pins leaves the registry: a condition and a metric tell it, also
// while a hold lasts, and they go when it is back. No answer is no news.
func TestDigestMissing(t *testing.T) {
	w := newOwnWorld(t)
	_, registry := w.fronts()
	old := images.Push(t, w.store, "held", "1.0.0", "old")
	w.push("held", "1.1.0")
	w.push("latest", "1.0.0")
	last := images.Push(t, w.store, "latest", "1.1.0", "last")
	w.repo.Seed(t, map[string]string{
		"held.yaml":   w.deployment("held", "held:1.0.0@"+old, "held"),
		"latest.yaml": w.deployment("latest", "latest:1.1.0@"+last, "latest"),
	}, "First")
	metrics := prometheus.NewRegistry()
	w.controller(controller.Options{Metrics: metrics})
	held, latest := w.policy("held", "held"), w.policy("latest", "latest")
	w.create(held, latest, w.repository("fleet"))
	w.untilTag("held.yaml", "1.1.0")
	w.untilReady(held, "UpToDate")
	w.revert()
	w.untilReady(held, "RolledBack")
	w.untilReady(latest, "UpToDate")
	before := commits(t, w.repo)

	registry.hide(old, last, "latest:1.1.0")
	for _, p := range []*v1alpha1.ImagePolicy{held, latest} {
		c := w.untilCondition(p, v1alpha1.ConditionDigestMissing, "NotInRegistry")
		w.until("the metric tells it", func() (string, bool) {
			return "", measured(t, metrics, "pintle_digest_missing", w.namespace, p.Name) == 1
		})
		digest := map[string]string{"held": old, "latest": last}[p.Name]
		expectSays(t, p.Name, c, []string{w.image(p.Name) + "@" + digest, w.namespace + "/fleet", "push it again, or roll back"})
	}
	w.untilReady(latest, "DowngradeRefused")

	registry.fail(http.StatusServiceUnavailable)
	for _, p := range []*v1alpha1.ImagePolicy{held, latest} {
		w.untilReady(p, "Failed")
		if !meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionDigestMissing) {
			t.Errorf("%s: the registry gives no answer, and that counts as having the digest: %v", p.Name, p.Status.Conditions)
		}
	}
	registry.instead(nil)
	w.untilReady(latest, "UpToDate")
	w.untilReady(held, "RolledBack")
	for _, p := range []*v1alpha1.ImagePolicy{held, latest} {
		w.until("it is not missing any more", func() (string, bool) {
			is := w.status(p)
			return is, meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionDigestMissing) == nil &&
				measured(t, metrics, "pintle_digest_missing", w.namespace, p.Name) == 0
		})
		if got := w.events("DigestMissing", p.Name); got != 1 {
			t.Errorf("%s: %d events, want 1", p.Name, got)
		}
	}
	if got := commits(t, w.repo); got != before {
		t.Errorf("%d commits were made", got-before)
	}
}

// events is how often an event with a reason was told of an object.
func (w *world) events(reason, name string) int {
	w.t.Helper()
	var list eventsv1.EventList
	if err := w.client.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	count := 0
	for _, e := range list.Items {
		if e.Reason == reason && e.Regarding.Name == name {
			count++
			if e.Series != nil {
				count += int(e.Series.Count)
			}
		}
	}
	return count
}
