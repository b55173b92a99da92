// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

func dayOf(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

// What newest may ask: of a tag never read, its manifest and its configuration; of one
// that was, a HEAD; more only where the digest moved. What the filter drops costs
// nothing, and policies share what they look at.
func TestRequestsOfNewest(t *testing.T) {
	r := faults.New(t, faults.Options{Tokens: true})
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	w := &world{t, r.Host, server, repo, repo.URL, nil}
	for n, tag := range []string{"main-1", "main-2", "main-3", "dev-1", "dev-2"} {
		images.PushImage(t, r.Calm, "app", tag, images.Image{Seed: tag, Created: dayOf(1 + n)})
	}
	files := map[string]string{}
	for name, rule := range map[string]string{
		"all-of-main": `{newest: {}, filter: {pattern: "^main-"}}`,
		"two-of-main": `{newest: {}, filter: {pattern: "^main-[2-9]"}}`,
	} {
		files["policies/"+name+".yaml"] = strings.Replace(w.policy(name, "app"), anySemver, rule, 1)
		files["apps/"+name+".yaml"] = w.deployment(name, "app:main-1", name)
	}
	repo.Seed(t, files, "First")
	folder := t.TempDir()
	fresh := func() (*reconcile.Engine, *registry.Cache) {
		cache, err := registry.OpenCache(folder)
		if err != nil {
			t.Fatal(err)
		}
		engine, err := reconcile.Open(reconcile.Config{Repo: w.address, Registry: registry.Options{PlainHTTP: []string{r.Host}, Cache: cache}})
		if err != nil {
			t.Fatal(err)
		}
		return engine, cache
	}
	expect := func(engine *reconcile.Engine, what, tag string, want map[string]int) {
		t.Helper()
		report, err := engine.Plan(t.Context()) // What is written is read for its origin, too.
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Policies {
			if p.Selected == nil || p.Selected.Tag != tag {
				t.Errorf("%s: %s selects %v, want %s: %s", what, p.Name, p.Selected, tag, p.Message)
			}
		}
		if diff := cmp.Diff(want, r.Requests()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", what, diff)
		}
	}
	engine, cache := fresh()
	expect(engine, "cold", "main-3", map[string]int{"ping": 1, "token": 1, "list": 1, "get": 3, "blob": 3})
	expect(engine, "warm", "main-3", map[string]int{"list": 1, "head": 3})
	images.PushImage(t, r.Calm, "app", "main-2", images.Image{Seed: "built again", Created: dayOf(20)})
	expect(engine, "one moved", "main-2", map[string]int{"list": 1, "head": 3, "get": 1, "blob": 1})
	images.PushImage(t, r.Calm, "app", "main-4", images.Image{Seed: "main-4", Created: dayOf(21)})
	expect(engine, "one new", "main-4", map[string]int{"list": 1, "head": 3, "get": 1, "blob": 1})
	images.PushImage(t, r.Calm, "app", "main-5", images.Image{Seed: "main-4", Created: dayOf(21)})
	expect(engine, "another name", "main-5", map[string]int{"list": 1, "head": 4, "get": 1})
	if err := cache.Close(); err != nil {
		t.Fatal(err)
	}
	engine, _ = fresh()
	expect(engine, "a new process", "main-5", map[string]int{"ping": 1, "token": 1, "list": 1, "head": 5})
}

// One tag of many: without an answer it holds all up, since it might be the newest; if
// the registry has no image of it, it is out.
func TestATagWithoutADate(t *testing.T) {
	s, f := ruled(t, "{newest: {}}", "aaa")
	s.built("aaa", "a", 1)
	s.built("bbb", "b", 2)
	s.expect(reconcile.Updated, at("bbb"))
	s.built("ccc", "c", 3)
	f.lists("aaa", "bbb", "ccc", "ddd")
	f.says("app/manifests/ddd", http.StatusBadGateway, "{}")
	report := s.holds(reconcile.Failed, at("bbb"))
	if got := report.Policies[0].Message; !strings.Contains(got, ":ddd: ") || !strings.Contains(got, "502") {
		t.Errorf("the message is %q", got)
	}
	f.says("app/manifests/ddd", http.StatusNotFound, "{}")
	s.expect(reconcile.Updated, at("ccc"))
	x, err := s.warm.Explain(t.Context(), "prod/app")
	if err != nil {
		t.Fatal(err)
	}
	if last := x.Candidates[len(x.Candidates)-1]; last.Tag != "ddd" || last.Dropped != "the registry lists it and has no image of it" {
		t.Errorf("the candidates are %+v", x.Candidates)
	}
	// The same of the one that Git holds does not go down.
	f.says("app/manifests/ccc", http.StatusNotFound, "{}")
	s.holds(reconcile.DowngradeRefused, at("ccc"))
}

// Tags are read side by side, and no more of one repository than the limits of its
// registry let through, so that others have room.
func TestDatesAreReadSideBySide(t *testing.T) {
	s, f := ruled(t, "{newest: {}}", "t1")
	var mu sync.Mutex
	running, most, two := 0, 0, make(chan struct{})
	for n := range 40 {
		tag := fmt.Sprintf("t%d", n)
		s.built(tag, tag, 1+n%28)
		f.answer("app/manifests/"+tag, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if running++; running == 2 && most < 2 {
				close(two)
			}
			most = max(most, running)
			mu.Unlock()
			select {
			case <-two:
			case <-time.After(10 * time.Second):
				t.Error("a tag is read alone")
			}
			f.real.ServeHTTP(w, r)
			mu.Lock()
			defer mu.Unlock()
			running--
		})
	}
	if report, err := s.warm.Plan(t.Context()); err != nil || report.Policies[0].Selected == nil {
		t.Fatalf("nothing is selected: %v: %+v", err, report)
	}
	if most > 4 {
		t.Errorf("%d tags are read at one time, want 4 at most", most)
	}
}
