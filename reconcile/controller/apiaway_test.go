// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

var errKilled = errors.New("the API server was killed")

// killer kills an API server at a status write, before it gets it or before it answers.
type killer struct {
	kill func()

	mu     sync.Mutex
	armed  bool
	taken  bool
	killed chan struct{}
}

func (k *killer) wrap(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if !k.armed || r.Method != http.MethodPatch || !strings.HasSuffix(r.URL.Path, "/status") {
				return next.RoundTrip(r)
			}
			k.armed = false
			if k.taken {
				if answer, err := next.RoundTrip(r); err == nil {
					_ = answer.Body.Close()
				}
			}
			k.kill()
			close(k.killed)
			return nil, errKilled
		})
	})
	return config
}

// arm waits for the next status write.
func (k *killer) arm(taken bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.armed, k.taken, k.killed = true, taken, make(chan struct{})
}

// The API server is killed at a status write, and is away for a while. What needs
// nothing of it is written all the same, what needs a Secret afterwards, each once; the
// status catches up.
func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	cluster := parts.KubeAPIServer(t)
	if err := installCRDs(cluster.Config); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, cluster.Config)
	w.server = gitserver.New(t, gitserver.Options{})
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	repos := w.fleets("open", "closed")
	closed := w.repository("closed")
	w.create(secret(w.namespace, "git", "", map[string]string{"username": "bot", "password": "x"}))
	w.status(closed)
	w.change(closed, func() {
		closed.Spec.Credentials = &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git"}}
	})
	policy := w.policy("app", "app")
	w.create(policy)
	k := &killer{kill: func() { cluster.Stop(t) }}
	w.cluster = k.wrap(cluster.Config)
	w.controller(controller.Options{LookEvery: time.Second})
	w.untilReady(policy, "UpToDate")
	w.expectStatus(policy, repos, 1)

	tags := []string{"1.1.0"}
	holds := func(name, tag string) func() (string, bool) {
		return func() (string, bool) {
			held := repos[name].Read(t, "main", "app.yaml")
			return held, strings.Contains(held, ":"+tag+"@")
		}
	}
	for i, taken := range []bool{false, true} {
		now, next := []string{"1.2.0", "1.4.0"}[i], []string{"1.3.0", "1.5.0"}[i]
		k.arm(taken)
		w.push("app", now)
		<-k.killed
		w.until("what was under way is written", holds("open", now))
		w.push("app", next)
		w.until("the next tag is written without an API server", holds("open", next))
		w.stays(2*time.Second, "what is asked of a server whose Secret can't be read", func() string {
			return fmt.Sprint(git.count("closed"))
		})
		if held, has := holds("closed", next)(); has {
			t.Errorf("it was written with a Secret that can't be read:\n%s", held)
		}
		back := time.Now()
		cluster.Start(t)
		w.until("the other is written when the API server is back", holds("closed", next))
		w.untilReady(policy, "UpToDate")
		t.Logf("all is written %.1f s after the API server was started again", time.Since(back).Seconds())
		tags = append(tags, now, next)
		w.expectWritten("open", repos["open"], 1, tags...)
	}
	w.expectCaughtUp(policy, repos, "1.5.0")
}

// expectCaughtUp waits until the status tells what Git holds.
func (w *world) expectCaughtUp(policy *v1alpha1.ImagePolicy, repos map[string]gitserver.Repo, tag string) {
	w.t.Helper()
	w.until("the status has the newest revision", func() (string, bool) {
		is := w.status(policy)
		return is, len(policy.Status.History) > 0 && policy.Status.History[0].Tag == tag
	})
	for name, repo := range repos {
		object := w.repository(name)
		w.until("the status of "+name+" has the head", func() (string, bool) {
			is := w.status(object)
			return is, object.Status.Head == repo.Head(w.t, "main")
		})
		w.untilReady(object, "Synced")
		repo.Fsck(w.t)
	}
}
