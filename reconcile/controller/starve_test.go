// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// A namespace that names one slow host after the other, and one Git server after the
// other, holds up no other namespace.
func TestManySlowHosts(t *testing.T) {
	w := newOwnWorld(t)
	hostile := w.space(nil)
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	policy := w.policy("app", "app")
	w.create(policy, w.repository("fleet"))
	w.controller(controller.Options{})
	w.untilTag("app.yaml", "1.1.0")

	var silent []*front
	for i := range 48 { // more than were ever looked at side by side
		f := newFront(t, nil)
		f.silence()
		silent = append(silent, f)
		p := w.policy(fmt.Sprint("slow-", i), "app")
		p.Namespace, p.Spec.Image = hostile, f.address+"/app"
		r := w.repository(fmt.Sprint("slow-", i))
		r.Namespace, r.Spec.URL = hostile, "http://"+f.address+"/fleet.git"
		r.Spec.Policies.Namespaces.From = "Selector" // of none, so that it waits for no answer about a policy
		r.Spec.Policies.Namespaces.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"nobody": "here"}}
		w.create(p, r)
	}
	w.until("many requests are not answered", func() (string, bool) {
		lists, refs := 0, 0
		for _, f := range silent {
			lists += f.count("GET", "/v2/")
			refs += f.count("info/refs")
		}
		return fmt.Sprint(lists, refs), lists >= 32 && refs >= 8
	})
	begun := time.Now()
	w.push("app", "1.2.0")
	w.untilTag("app.yaml", "1.2.0")
	took := time.Since(begun)
	t.Logf("it took %.1f s", took.Seconds())
	if took > 10*time.Second { // A request to a registry is given up after 30 s, one to Git after 60 s.
		t.Errorf("the new tag was written after %v: somebody who does not answer held it up", took)
	}
}

// Whoever corrects a policy does not wait for what the wrong one asked.
func TestALookThatIsNoLongerWanted(t *testing.T) {
	w := newOwnWorld(t)
	w.push("app", "1.0.0")
	slow := newFront(t, nil)
	slow.silence()
	policy := w.policy("app", "app")
	policy.Spec.Image = slow.address + "/app"
	w.create(policy)
	w.controller(controller.Options{})
	w.until("the wrong registry is asked", func() (string, bool) { return "", slow.underWay() > 0 })
	begun := time.Now()
	w.change(policy, func() { policy.Spec.Image = w.image("app") })
	w.untilReady(policy, "NoField")
	if took := time.Since(begun); took > 10*time.Second { // A request is given up after 30 s.
		t.Errorf("it was looked at after %v", took)
	}
	w.until("the wrong registry is left alone", func() (string, bool) { return "", slow.underWay() == 0 })
}

// While a Git server is out of order, news of policies does not make it be asked more
// often; when somebody corrects the repository, it is asked at once.
func TestNewsWhileGitIsBroken(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	metrics := prometheus.NewRegistry()
	w.controller(controller.Options{Metrics: metrics})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, repository)
	w.untilReady(policy, "UpToDate")
	git.fail(http.StatusBadGateway)
	w.untilReady(repository, "GitUnreachable")
	before := measured(t, metrics, "pintle_pass_failures_total", "fleet")
	for i := range 20 {
		w.change(policy, func() { policy.Spec.Select.Semver.Range = fmt.Sprintf(">=1.0.0 <%d", i+10) })
		w.until("the news is seen", func() (string, bool) {
			seen := w.status(policy)
			return seen, strings.Contains(seen, fmt.Sprintf("observedGeneration: %d\n", policy.Generation))
		})
	}
	if tries := measured(t, metrics, "pintle_pass_failures_total", "fleet") - before; tries > 3 {
		t.Errorf("Git was asked %v times while it was out of order", tries)
	}
	git.instead(nil)
	begun := time.Now()
	w.change(repository, func() { repository.Spec.Commit.Author = &v1alpha1.Author{Name: "Bot", Email: "bot@example.com"} })
	w.untilReady(repository, "Synced")
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it was tried again after %v", took)
	}
}
