// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// measured sums up what a metric says under labels that all have these values.
func measured(t *testing.T, registry *prometheus.Registry, name string, values ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var has []string
			for _, label := range m.GetLabel() {
				has = append(has, label.GetValue())
			}
			all := true
			for _, v := range values {
				all = all && strings.Contains("\x00"+strings.Join(has, "\x00")+"\x00", "\x00"+v+"\x00")
			}
			if all {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// A registry that is away, or says that it is broken, moves nothing. It is asked on the
// schedule and no more, and what was pushed meanwhile is written once.
func TestRegistryAway(t *testing.T) {
	w := newOwnWorld(t)
	git, registry := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	metrics := prometheus.NewRegistry()
	w.controller(controller.Options{Metrics: metrics})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, repository)
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(policy, "UpToDate")

	registry.away()
	ready := w.untilReady(policy, "Failed")
	expectSays(t, "away", ready, []string{"cannot list tags of " + w.image("app"), "refused"})
	expectConforms(t, "away", policy, policy.Status.ObservedGeneration, policy.Status.Conditions, false)
	if policy.Status.Current[0].Tag != "1.1.0" {
		t.Errorf("the status forgot what Git holds: %+v", policy.Status.Current)
	}
	w.push("app", "1.2.0")
	w.asksOnSchedule(3, 2, func() int { return int(measured(t, metrics, "pintle_registry_requests_total", "0")) })

	registry.back()
	w.untilTag("app.yaml", "1.2.0")
	w.untilReady(policy, "UpToDate")

	registry.fail(http.StatusServiceUnavailable)
	ready = w.untilReady(policy, "Failed")
	expectSays(t, "503", ready, []string{"503 Service Unavailable"})
	w.push("app", "1.3.0")
	w.asksOnSchedule(3, 2, func() int { return registry.count() })
	w.untilReady(repository, "Synced")
	registry.instead(nil)
	w.untilTag("app.yaml", "1.3.0")
	w.untilReady(policy, "UpToDate")
	if got := commits(t, w.repo); got != 4 {
		t.Errorf("%d commits, want 4", got)
	}
	if got := git.count("POST", "git-receive-pack"); got != 3 {
		t.Errorf("%d pushes, want 3", got)
	}
	w.repo.Fsck(t)
}

// asksOnSchedule checks that a policy of once a second asks no more than so often a
// time, within some seconds.
func (w *world) asksOnSchedule(seconds, most int, asked func() int) {
	w.t.Helper()
	before := asked()
	for range seconds * 10 {
		time.Sleep(100 * time.Millisecond)
	}
	// One look may have begun before, and one end after.
	if got := asked() - before; got == 0 || got > (seconds+2)*most {
		w.t.Errorf("%d requests in %d s, want some and at most %d a second", got, seconds, most)
	}
}

// A Git server that is away, broken or silent is tried again after a while, later each
// time; what came meanwhile is written once.
func TestGitAway(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	metrics := prometheus.NewRegistry()
	w.controller(controller.Options{Metrics: metrics})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, repository)
	w.untilTag("app.yaml", "1.1.0")
	w.untilReady(policy, "UpToDate")
	failures := func() int { return int(measured(t, metrics, "pintle_pass_failures_total", "fleet")) }

	git.away()
	ready := w.untilReady(repository, "GitUnreachable")
	expectSays(t, "away", ready, []string{"cannot read " + w.repo.URL, "refused"})
	head := w.repo.Head(t, "main")
	w.push("app", "1.2.0")
	ready = w.untilReady(policy, "Failed")
	expectSays(t, "away", ready, []string{"ManifestRepository " + w.namespace + "/fleet", "see its conditions"})
	if got := policy.Status.Selected.Tag; got != "1.2.0" {
		t.Errorf("selected is %s while Git is away", got)
	}
	w.stays(3*time.Second, "the status", func() string { return w.status(repository) + w.status(policy) })
	// The first failure, one more for the new tag, and one 5 s later at the earliest.
	if got := failures(); got > 3 {
		t.Errorf("%d passes while Git was away", got)
	}
	if got := w.repo.Head(t, "main"); got != head {
		t.Errorf("the head moved to %s", got)
	}
	git.back()
	w.untilTag("app.yaml", "1.2.0")
	w.untilReady(repository, "Synced")
	w.untilReady(policy, "UpToDate")

	git.fail(http.StatusBadGateway)
	ready = w.untilReady(repository, "GitUnreachable")
	expectSays(t, "502", ready, []string{"502 Bad Gateway", "try again later"})
	before := git.count()
	w.push("app", "1.3.0")
	w.untilReady(policy, "Failed")
	w.stays(3*time.Second, "the status", func() string { return w.status(repository) })
	if got := git.count() - before; got > 2 {
		t.Errorf("%d requests while Git was broken", got)
	}
	git.instead(nil)
	w.untilTag("app.yaml", "1.3.0")
	w.untilReady(repository, "Synced")
	if got := commits(t, w.repo); got != 4 {
		t.Errorf("%d commits, want 4", got)
	}
	w.repo.Fsck(t)
}

// A process that starts while Git or the registry is away knows nothing of them: the
// status keeps what it has of Git, and nothing is written until both are back.
func TestRestartWhileAway(t *testing.T) {
	w := newOwnWorld(t)
	git, registry := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, repository)
	stop := w.controller(controller.Options{})
	w.untilReady(policy, "UpToDate")
	head, known := w.repo.Head(t, "main"), policy.Status.DeepCopy()
	for _, away := range []*front{git, registry} {
		stop()
		away.away()
		stop = w.controller(controller.Options{})
		w.untilReady(policy, "Failed")
		if all := policy.Status.Current; len(all) != 1 || all[0].Tag != "1.1.0" || all[0].Digest != known.Current[0].Digest {
			t.Errorf("the status has forgotten what Git holds: %+v", all)
		}
		if diff := cmp.Diff(known.History, policy.Status.History); diff != "" {
			t.Errorf("the history (-before +after the restart):\n%s", diff)
		}
		if got := w.repo.Head(t, "main"); got != head {
			t.Errorf("the head moved to %s", got)
		}
		away.back()
		w.untilReady(policy, "UpToDate")
		w.untilReady(repository, "Synced")
		if diff := cmp.Diff(known.Current, policy.Status.Current); diff != "" {
			t.Errorf("what Git holds (-before +after):\n%s", diff)
		}
	}
	w.push("app", "1.2.0")
	w.untilTag("app.yaml", "1.2.0")
	w.expectWritten("fleet", w.repo, 1, "1.1.0", "1.2.0")
}

// The answer to a push that was taken gets lost: it is written once all the same.
func TestGitLosesTheAnswer(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	var lose, away sync.Once
	git.instead(func(rw http.ResponseWriter, r *http.Request) (done bool) {
		if isPush(r) {
			lose.Do(func() { done = true })
		}
		if done {
			git.next.ServeHTTP(&lost{ResponseWriter: rw}, r)
			away.Do(func() { go git.away() }) // and the server is not there to be asked what became of it
			panic(http.ErrAbortHandler)
		}
		return done
	})
	w.controller(controller.Options{})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, repository)
	w.untilReady(repository, "GitUnreachable")
	git.back()
	w.untilReady(repository, "Synced")
	w.untilReady(policy, "UpToDate")
	if got := commits(t, w.repo); got != 2 {
		t.Errorf("%d commits, want 2", got)
	}
	if diff := cmp.Diff(w.repo.Head(t, "main"), policy.Status.History[0].Commit); diff != "" {
		t.Errorf("the newest revision (-want +got):\n%s", diff)
	}
	w.repo.Fsck(t)
}

// lost swallows an answer.
type lost struct{ http.ResponseWriter }

func (*lost) Header() http.Header         { return http.Header{} }
func (*lost) Write(b []byte) (int, error) { return len(b), nil }
func (*lost) WriteHeader(int)             {}

// Passwords are changed at the servers and then in the Secrets: it fails in between,
// and goes on without a restart.
func TestRotatedSecrets(t *testing.T) {
	w := newOwnWorld(t)
	w.server = gitserver.New(t, gitserver.Options{Username: "bot", Password: "one"})
	w.repo = w.server.Create("fleet")
	_, registry := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	wants := func(password string) {
		registry.instead(func(rw http.ResponseWriter, r *http.Request) bool {
			if _, has, _ := r.BasicAuth(); has == password {
				return false
			}
			rw.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(rw, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return true
		})
	}
	login := func(password string) map[string]string {
		return map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths": {%q: {"username": "bot", "password": %q}}}`, w.registry, password)}
	}
	wants("one")
	pull := secret(w.namespace, "pull", corev1.SecretTypeDockerConfigJson, login("one"))
	git := secret(w.namespace, "git", corev1.SecretTypeBasicAuth, map[string]string{"username": "bot", "password": "one"})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	policy.Spec.Registry = &v1alpha1.RegistryAccess{SecretRef: &v1alpha1.LocalReference{Name: "pull"}}
	repository.Spec.Credentials = &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git"}}
	w.create(pull, git, policy, repository)
	w.restrict(shared)
	w.open(w.namespace)
	w.controller(controller.Options{LookEvery: time.Second})
	w.untilTag("app.yaml", "1.1.0")

	wants("two")
	ready := w.untilReady(policy, "Failed")
	expectSays(t, "registry", ready, []string{"401 Unauthorized"})
	w.server.SetPassword("two")
	w.untilReady(repository, "GitUnauthorized")
	w.push("app", "1.2.0")
	w.change(pull, func() { pull.StringData = login("two") })
	w.change(git, func() { git.StringData = map[string]string{"password": "two"} })
	w.untilTag("app.yaml", "1.2.0")
	w.untilReady(policy, "UpToDate")
	w.untilReady(repository, "Synced")
	if got := commits(t, w.repo); got != 3 {
		t.Errorf("%d commits, want 3", got)
	}
}
