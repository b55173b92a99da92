// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// silence takes requests and never answers.
func (f *front) silence() {
	f.instead(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
}

// A registry and a Git server that take requests and answer none hold up nobody else,
// however many images and repositories are there.
func TestSilentServers(t *testing.T) {
	w := newOwnWorld(t)
	git, registry := w.fronts()
	healthy := gitserver.New(t, gitserver.Options{})
	live := healthy.Create("live")
	other := w.space(nil)
	w.push("app", "1.0.0", "1.1.0")
	manifest := strings.ReplaceAll(w.deployment("app", "app:1.0.0", "app"), w.registry, w.store)
	live.Seed(t, map[string]string{"app.yaml": manifest}, "First")
	policy, repository := w.policy("app", "app"), w.repository("live")
	policy.Spec.Image, repository.Spec.URL = w.store+"/app", live.URL
	w.create(policy, repository)
	w.controller(controller.Options{})
	there := *w
	there.repo, there.registry = live, w.store
	there.untilTag("app.yaml", "1.1.0")

	git.silence()
	registry.silence()
	for i := range 40 {
		name := fmt.Sprintf("silent-%d", i)
		w.create(w.policy(name, name))
		if i%2 == 0 {
			repository := w.repository(name)
			repository.Namespace = other // else it would wait for the first answers about its policies
			repository.Spec.URL = w.server.URL + "/" + name + ".git"
			w.create(repository)
		}
	}
	w.until("many requests are not answered", func() (string, bool) {
		held := fmt.Sprint(git.underWay(), registry.underWay())
		return held, git.underWay() > 3 && registry.underWay() > 0
	})
	begun := time.Now()
	w.push("app", "1.2.0")
	there.untilTag("app.yaml", "1.2.0")
	took := time.Since(begun)
	t.Logf("it took %.1f s", took.Seconds())
	if took > 10*time.Second { // A request to a registry is given up after 30 s, one to Git after 60 s.
		t.Errorf("the new tag was written after %v: somebody who does not answer held it up", took)
	}
	if git.underWay() > 4 || registry.underWay() > 8 {
		t.Errorf("%d requests at once to one Git server, %d to one registry", git.underWay(), registry.underWay())
	}
}
