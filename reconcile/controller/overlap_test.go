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

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// crowd counts how many requests for each repository are under way at once.
type crowd struct {
	mu        sync.Mutex
	now, most map[string]int
	all, peak int // of all repositories
}

// watch counts at a front, and makes requests last a little.
func (c *crowd) watch(f *front) {
	c.now, c.most = map[string]int{}, map[string]int{}
	f.instead(func(w http.ResponseWriter, r *http.Request) bool {
		name := strings.Split(r.URL.Path, "/")[1]
		c.step(name, 1)
		defer c.step(name, -1)
		time.Sleep(20 * time.Millisecond)
		f.next.ServeHTTP(w, r)
		return true
	})
}

func (c *crowd) step(name string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[name] += by
	c.all += by
	c.most[name], c.peak = max(c.most[name], c.now[name]), max(c.peak, c.all)
}

func (w *world) object(name, branch string, paths ...string) *v1alpha1.ManifestRepository {
	r := w.repository(name)
	r.Spec.Branch, r.Spec.Paths = branch, paths
	return r
}

// Objects that write the same files of one branch are told of each other, and take
// turns; those with other paths or another branch are not.
func TestOverlappingRepositories(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	w.push("dns", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{
		"apps/web/app.yaml": w.deployment("app", "app:1.0.0", "app"),
		"infra/dns.yaml":    w.deployment("dns", "dns:1.0.0", "dns"),
	}, "First")
	gitserver.Git(t, w.repo.Dir, "branch", "release", "main")
	other := w.server.Create("other")
	other.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	var requests crowd
	requests.watch(git)
	metrics := prometheus.NewRegistry()
	apps, web, infra := w.object("apps", "", "apps"), w.object("web", "main", "apps/web/", "docs"), w.object("infra", "main", "infra")
	release, elsewhere := w.object("release", "release"), w.repository("elsewhere")
	elsewhere.Spec.URL = other.URL
	w.create(w.policy("app", "app"), w.policy("dns", "dns"), apps, web, infra, release, elsewhere)
	w.controller(controller.Options{Metrics: metrics})

	for name, one := range map[string]*v1alpha1.ManifestRepository{"web": apps, "apps": web} {
		w.until(one.Name+" is told of "+name, func() (string, bool) {
			is := w.status(one)
			return is, len(one.Status.Problems) == 1
		})
		want := fmt.Sprintf("apps/web may also be written through ManifestRepository %[1]s/%[2]s, by %[1]s/app: let only one of the two have it in spec.paths", w.namespace, name)
		if diff := cmp.Diff([]v1alpha1.Problem{{Message: want}}, one.Status.Problems); diff != "" {
			t.Errorf("the problems of %s (-want +got):\n%s", one.Name, diff)
		}
		w.untilReady(one, "Problems")
	}
	for _, one := range []*v1alpha1.ManifestRepository{infra, release, elsewhere} {
		w.untilReady(one, "Synced")
	}
	w.push("app", "1.2.0")
	w.push("dns", "1.2.0")
	w.untilTag("apps/web/app.yaml", "1.2.0")
	w.untilTag("infra/dns.yaml", "1.2.0")
	w.until("the others have it too", func() (string, bool) {
		held := gitserver.Git(t, w.repo.Dir, "show", "release:apps/web/app.yaml", "release:infra/dns.yaml") + other.Read(t, "main", "app.yaml")
		return held, strings.Count(held, ":1.2.0@") == 3
	})
	if got := commits(t, w.repo); got != 5 {
		t.Errorf("main has %d commits, want 5", got)
	}
	if got := measured(t, metrics, "pintle_lost_races_total"); got != 0 {
		t.Errorf("%v races were lost within the process", got)
	}
	requests.mu.Lock()
	defer requests.mu.Unlock()
	if diff := cmp.Diff(map[string]int{"fleet.git": 1, "other.git": 1}, requests.most); diff != "" {
		t.Errorf("requests at once, by repository (-want +got):\n%s", diff)
	}
	if requests.peak != 2 {
		t.Errorf("%d requests at once in all, want 2: repositories do not wait for each other", requests.peak)
	}
	w.repo.Fsck(t)
}

// A repository whose server does not answer holds up no other.
func TestSideBySide(t *testing.T) {
	w := newOwnWorld(t)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	repos := w.fleets("one", "two", "free")
	policy := w.policy("app", "app")
	w.create(policy)
	w.controller(controller.Options{})
	w.untilReady(policy, "UpToDate")

	held := git.holdPushes(map[string]func([]byte){"one": nil, "two": nil})
	w.push("app", "1.2.0")
	for _, push := range held { // both at the same time
		push.untilHeld(t)
	}
	w.repo = repos["free"]
	w.untilTag("app.yaml", "1.2.0")
	for _, push := range held {
		push.letGo()
	}
	for name, repo := range repos {
		w.repo = repo
		w.untilTag("app.yaml", "1.2.0")
		w.expectWritten(name, repo, 1, "1.1.0", "1.2.0")
	}
}

// What was changed while an object waited for its turn counts.
func TestSuspendedWhileItWaits(t *testing.T) {
	w := newOwnWorld(t)
	git, registry := w.fronts()
	w.push("app", "1.0.0")
	w.push("dns", "1.0.0")
	w.repo.Seed(t, map[string]string{
		"apps/app.yaml":  w.deployment("app", "app:1.0.0", "app"),
		"infra/dns.yaml": w.deployment("dns", "dns:1.0.0", "dns"),
	}, "First")
	apps, infra := w.object("apps", "main", "apps"), w.object("infra", "main", "infra")
	app, dns := w.policy("app", "app"), w.policy("dns", "dns")
	w.create(app, dns, apps, infra)
	w.controller(controller.Options{})
	for _, p := range []*v1alpha1.ImagePolicy{app, dns} {
		w.untilReady(p, "UpToDate") // the digests are there
	}
	before := commits(t, w.repo)

	held := git.holdPushes(map[string]func([]byte){"fleet": nil})["fleet"]
	w.push("app", "1.1.0")
	held.untilHeld(t)
	w.push("dns", "1.1.0")
	w.until("the new tag is seen", func() (string, bool) { return "", registry.count("HEAD", "/dns/manifests/1.1.0") > 1 })
	w.stays(500*time.Millisecond, "what was asked of Git while a push is under way", func() string { return fmt.Sprint(git.count()) })
	w.change(infra, func() { infra.Spec.Suspend = true })
	w.stays(500*time.Millisecond, "the head", func() string { return w.repo.Head(t, "main") })
	held.letGo()
	w.untilTag("apps/app.yaml", "1.1.0")
	w.untilReady(infra, "Suspended")
	w.untilReady(dns, "Suspended")
	if got := commits(t, w.repo) - before; got != 1 {
		t.Errorf("%d commits, want the one that was under way", got)
	}
}
