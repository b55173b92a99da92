// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// twoClusters write one branch. The second one sees the registry through a mirror that
// lags: what is hidden there and the digests that tags have there are told by the test.
type twoClusters struct {
	*world

	second *world
	lists  map[string]*atomic.Int64 // that each login got

	mu     sync.Mutex
	hidden []string          // as in app:1.1.0
	older  map[string]string // image:tag → the digest that the mirror has for it
}

func newTwoClusters(t *testing.T) *twoClusters {
	t.Helper()
	w := newOwnWorld(t)
	other := parts.KubeAPIServer(t)
	if err := installCRDs(other.Config); err != nil {
		t.Fatal(err)
	}
	_, registry := w.fronts()
	c := &twoClusters{world: w, lists: map[string]*atomic.Int64{"first": {}, "second": {}}}
	registry.instead(func(rw http.ResponseWriter, r *http.Request) bool {
		login, _, known := r.BasicAuth()
		if !known {
			rw.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(rw, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return true
		}
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			c.lists[login].Add(1)
		}
		return login == "second" && c.lag(registry, rw, r)
	})
	c.second = c.join(other)
	return c
}

// lag answers as the mirror.
func (c *twoClusters) lag(registry *front, rw http.ResponseWriter, r *http.Request) bool {
	c.mu.Lock()
	hidden := slices.Clone(c.hidden)
	image, reference, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
	older := c.older[image+":"+reference]
	c.mu.Unlock()
	if older != "" {
		r.URL.Path = "/v2/" + image + "/manifests/" + older
	}
	return registry.without(rw, r, hidden)
}

// mirror says what the mirror lacks from now on.
func (c *twoClusters) mirror(hidden ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hidden = hidden
}

// join is the same world in another cluster, with the same namespace.
func (c *twoClusters) join(cluster *parts.Cluster) *world {
	other, err := client.New(cluster.Config, client.Options{Scheme: newScheme()})
	if err != nil {
		c.t.Fatal(err)
	}
	w := *c.world
	w.cluster, w.client, w.only = cluster.Config, other, nil
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.namespace}})
	w.clear(c.namespace)
	return &w
}

// declare makes the objects of one cluster.
func (c *twoClusters) declare(w *world, login string, policies ...*v1alpha1.ImagePolicy) {
	c.t.Helper()
	config := fmt.Sprintf(`{"auths": {%q: {"username": %q, "password": "x"}}}`, c.registry, login)
	w.create(secret(w.namespace, "pull", corev1.SecretTypeDockerConfigJson, map[string]string{corev1.DockerConfigJsonKey: config}))
	for _, p := range policies {
		p = p.DeepCopy()
		p.Spec.Registry = &v1alpha1.RegistryAccess{SecretRef: &v1alpha1.LocalReference{Name: "pull"}}
		w.create(p)
	}
	w.create(w.repository("fleet"))
}

// ticks waits until both clusters have listed tags so often more.
func (c *twoClusters) ticks(n int) {
	c.t.Helper()
	first, second := c.lists["first"], c.lists["second"]
	wantFirst, wantSecond := first.Load()+int64(n), second.Load()+int64(n)
	c.until("both clusters looked at the registry", func() (string, bool) {
		return fmt.Sprintf("%d of %d, %d of %d", first.Load(), wantFirst, second.Load(), wantSecond),
			first.Load() >= wantFirst && second.Load() >= wantSecond
	})
}

// expectHistory checks what the field of a file held, commit after commit, without
// what did not change it.
func (w *world) expectHistory(file string, want ...string) {
	w.t.Helper()
	var got []string
	for commit := range strings.FieldsSeq(gitserver.Git(w.t, w.repo.Dir, "rev-list", "--reverse", "main", "--", file)) {
		for line := range strings.SplitSeq(gitserver.Git(w.t, w.repo.Dir, "show", commit+":"+file), "\n") {
			if _, value, ok := strings.Cut(line, "image: "); ok {
				value, _, _ = strings.Cut(strings.TrimPrefix(value, w.registry+"/"), " ")
				got = append(got, value)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("what %s held (-want +got):\n%s", file, diff)
	}
}

// Two clusters with one branch, of which one lags, do not fight: each tag is written
// once, nothing goes down, and a person's revert holds in both.
func TestTwoClusters(t *testing.T) {
	c := newTwoClusters(t)
	w := c.world
	digests := map[string]string{}
	push := func(tag string) { digests[tag] = "app:" + tag + "@" + images.Push(t, w.store, "app", tag, tag) }
	push("1.0.0")
	push("1.1.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	c.mirror("app:1.1.0")
	policy := w.policy("app", "app")
	c.declare(w, "first", policy)
	w.controller(controller.Options{})
	w.untilTag("app.yaml", "1.1.0")
	// The second cluster is younger: it sees every digest later for the first time.
	c.declare(c.second, "second", policy)
	c.second.controller(controller.Options{})
	c.ticks(3)
	theirs := policy.DeepCopy()
	c.second.untilReady(theirs, "DowngradeRefused")

	push("1.2.0") // The first writes it; the mirror shows 1.1.0 by now, and then all.
	c.mirror("app:1.2.0")
	w.untilTag("app.yaml", "1.2.0")
	c.ticks(3)
	c.mirror()
	c.ticks(3)
	c.second.untilReady(theirs, "UpToDate")
	push("1.3.0") // Both see it at once.
	w.untilTag("app.yaml", "1.3.0")
	c.ticks(3)
	w.revert()
	for _, one := range []*world{w, c.second} {
		p := policy.DeepCopy()
		one.untilReady(p, "RolledBack")
		if got := len(p.Status.Vetoes); got != 1 {
			t.Errorf("%d vetoes, want 1", got)
		}
	}
	c.mirror("app:1.3.0") // The one sees the newest again, the other does not.
	c.ticks(5)
	c.second.untilReady(theirs, "UpToDate")
	push("1.4.0")
	c.mirror("app:1.3.0", "app:1.4.0")
	w.untilTag("app.yaml", "1.4.0")
	c.ticks(4)
	c.mirror()
	c.ticks(2)
	w.expectHistory("app.yaml", "app:1.0.0", digests["1.1.0"], digests["1.2.0"], digests["1.3.0"], digests["1.2.0"], digests["1.4.0"])
	for _, one := range []*world{w, c.second} {
		p := policy.DeepCopy()
		one.untilReady(p, "UpToDate")
		var revisions []int64
		for _, r := range p.Status.History {
			revisions = append(revisions, r.Revision)
		}
		if diff := cmp.Diff([]int64{4, 3, 2, 1}, revisions); diff != "" {
			t.Errorf("the revisions (-want +got):\n%s", diff)
		}
	}
	w.repo.Fsck(t)
}

// Tags that are pushed again: the mirror has the digest of before for a long time.
func TestTwoClustersWithMovingTags(t *testing.T) {
	c := newTwoClusters(t)
	w := c.world
	old := images.Push(t, w.store, "app", "stable", "old")
	again := images.Push(t, w.store, "web", "1.0.0", "old")
	w.push("tick", "1.0.0")
	w.repo.Seed(t, map[string]string{
		"app.yaml":  w.deployment("app", "app:stable@"+old, "app"),
		"web.yaml":  w.deployment("web", "web:1.0.0@"+again, "web"),
		"tick.yaml": w.deployment("tick", "tick:1.0.0", "tick"),
	}, "First")
	app, web, tick := w.policy("app", "app"), w.policy("web", "web"), w.policy("tick", "tick")
	app.Spec.Select = v1alpha1.Select{Tag: "stable"}
	c.older = map[string]string{"app:stable": old, "web:1.0.0": again}
	for login, one := range map[string]*world{"first": w, "second": c.second} {
		c.declare(one, login, app, web, tick)
		one.controller(controller.Options{})
		one.untilReady(app.DeepCopy(), "UpToDate")
	}

	newer := images.Push(t, w.store, "app", "stable", "newer")
	newerWeb := images.Push(t, w.store, "web", "1.0.0", "newer")
	w.until("the new digests are written", func() (string, bool) {
		held := w.reference("app.yaml") + w.reference("web.yaml")
		return held, strings.Contains(held, newer) && strings.Contains(held, newerWeb)
	})
	c.ticks(20) // with two lists each
	w.expectHistory("app.yaml", "app:stable@"+old, "app:stable@"+newer)
	w.expectHistory("web.yaml", "web:1.0.0@"+again, "web:1.0.0@"+newerWeb)
	c.second.untilReady(app.DeepCopy(), "DowngradeRefused")

	c.mu.Lock()
	c.older = nil
	c.mu.Unlock()
	c.second.untilReady(app.DeepCopy(), "UpToDate")
	// A publisher may go back, where it is seen that it did.
	images.Push(t, w.store, "app", "stable", "old")
	w.until("the publisher's way back is followed", func() (string, bool) {
		held := w.reference("app.yaml")
		return held, strings.Contains(held, old)
	})
	c.ticks(4)
	w.expectHistory("app.yaml", "app:stable@"+old, "app:stable@"+newer, "app:stable@"+old)
	w.repo.Fsck(t)
}
