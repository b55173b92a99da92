// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
)

// front stands before a real registry, and answers in its place what a test says.
type front struct {
	real *httputil.ReverseProxy

	mu sync.Mutex
	// answers are given in place of the registry's, by the path below /v2/.
	answers map[string]http.HandlerFunc
	asked   []string // "METHOD path", with the path below /v2/
}

// newFront makes a world whose registry has a front.
func newFront(t *testing.T) (*scene, *front) {
	t.Helper()
	w := newWorld(t, gitserver.Options{})
	behind := &url.URL{Scheme: "http", Host: w.registry}
	f := &front{answers: map[string]http.HandlerFunc{}, real: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host // So that uploads go through the front too.
	}}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	w.registry = strings.TrimPrefix(server.URL, "http://")
	return &scene{w, w.engine()}, f
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	f.asked = append(f.asked, r.Method+" "+path)
	answer := f.answers[path]
	f.mu.Unlock()
	if answer == nil {
		answer = f.real.ServeHTTP
	}
	answer(w, r)
}

// answer sets what is answered for a path below /v2/.
func (f *front) answer(path string, answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[path] = answer
}

// take gives what was asked since the last time, sorted.
func (f *front) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := slices.Sorted(slices.Values(f.asked))
	f.asked = nil
	return taken
}

// honest has the registry answer for itself again.
func (f *front) honest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.answers)
}

// says answers for a path with a status and a text.
func (f *front) says(path string, status int, text string) {
	f.answer(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	})
}

// lists answers with a list of tags of the image app.
func (f *front) lists(tags ...string) { f.listsOf("app", tags...) }

func (f *front) listsOf(name string, tags ...string) {
	f.says("app/tags/list", http.StatusOK, fmt.Sprintf(`{"name":%q,"tags":["%s"]}`, name, strings.Join(tags, `","`)))
}

// serves answers for a manifest of app with what another reference has.
func (f *front) serves(reference, other string) {
	f.answer("app/manifests/"+reference, func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.URL.Path = "/v2/app/manifests/" + other
		f.real.ServeHTTP(w, r)
	})
}

// writes are the values of spec.write.
var writes = []string{"TagAndDigest", "Tag", "Digest"}

// following seeds an app that Pintle moved from 1.0.0 to 1.2.0.
func following(t *testing.T, write string) (*scene, *front) {
	t.Helper()
	s, f := newFront(t)
	s.push("app", "1.0.0", "1.1.0", "1.2.0")
	s.repo.Seed(t, map[string]string{
		policyFile: s.policy("app", "app") + "  write: " + write + "\n",
		app:        s.deployment("app", "app:1.0.0", "app"),
	}, "First")
	s.expect(reconcile.Updated, nil)
	s.expect(reconcile.UpToDate, nil)
	return s, f
}

// field is what app's field holds at the head.
func (s *scene) field() string {
	s.t.Helper()
	return strings.TrimPrefix(imageLine.FindString(s.repo.Read(s.t, "main", app)), "image:   ")
}

// TestNeverDownByAList: whatever a registry answers in place of its whole list,
// the field stays; and it follows again once the registry is well.
func TestNeverDownByAList(t *testing.T) {
	const list = "app/tags/list"
	cases := map[string]struct {
		answer func(f *front)
		reason reconcile.Reason
		says   string
	}{
		"empty":                           {func(f *front) { f.says(list, 200, `{"name":"app","tags":[]}`) }, reconcile.NoMatch, "lists no tag"},
		"null":                            {func(f *front) { f.says(list, 200, `{"name":"app","tags":null}`) }, reconcile.NoMatch, "lists no tag"},
		"none that fits":                  {func(f *front) { f.lists("latest") }, reconcile.NoMatch, "none of the 1 tags"},
		"partial, without the current":    {func(f *front) { f.lists("1.1.0", "1.0.0") }, reconcile.DowngradeRefused, "stays at 1.2.0: the best tag that the registry lists now, 1.1.0, ranks below it"},
		"partial, the current alone":      {func(f *front) { f.lists("1.2.0") }, reconcile.UpToDate, ""},
		"stale":                           {func(f *front) { f.lists("1.0.0") }, reconcile.DowngradeRefused, "1.0.0, ranks below it"},
		"reordered":                       {func(f *front) { f.lists("1.1.0", "1.2.0", "1.0.0") }, reconcile.UpToDate, ""},
		"with doubles":                    {func(f *front) { f.lists("1.2.0", "1.0.0", "1.2.0", "1.0.0") }, reconcile.UpToDate, ""},
		"another repository's":            {func(f *front) { f.listsOf("web", "1.0.0", "9.9.9") }, reconcile.Failed, "a list of another repository, web"},
		"nobody's":                        {func(f *front) { f.says(list, 200, `{"tags":["1.0.0"]}`) }, reconcile.Failed, "another repository"},
		"cut short":                       {func(f *front) { f.says(list, 200, `{"name":"app","tags":["1.0.0"`) }, reconcile.Failed, "cut short"},
		"a web page":                      {func(f *front) { f.says(list, 200, `<html>Welcome</html>`) }, reconcile.Failed, "a web page"},
		"an outage":                       {func(f *front) { f.says(list, 503, `{}`) }, reconcile.Failed, ""},
		"the repository is gone":          {func(f *front) { f.says(list, 404, `{"errors":[{"code":"NAME_UNKNOWN"}]}`) }, reconcile.Failed, ""},
		"the current tag was deleted":     {func(f *front) { f.lists("1.0.0", "1.1.0"); f.says("app/manifests/1.2.0", 404, `{}`) }, reconcile.DowngradeRefused, "ranks below it"},
		"the selected tag has no content": {func(f *front) { f.says("app/manifests/1.2.0", 404, `{}`) }, reconcile.DowngradeRefused, "1.2.0 can't be taken (the registry lists it and has no image of it)"},
		"a page is missing": {func(f *front) {
			f.answer(list, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("last") != "" {
					http.Error(w, "{}", http.StatusInternalServerError)
					return
				}
				w.Header().Set("Link", `</v2/app/tags/list?n=1&last=1.0.0>; rel="next"`)
				_, _ = w.Write([]byte(`{"name":"app","tags":["1.0.0"]}`))
			})
		}, reconcile.Failed, ""},
		"a digest that is none": {func(f *front) {
			f.answer("app/manifests/1.2.0", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Docker-Content-Digest", "sha256:0")
			})
		}, reconcile.Failed, "which is no digest"},
	}
	for _, write := range writes {
		t.Run(write, func(t *testing.T) {
			t.Parallel()
			s, f := following(t, write)
			before := s.field()
			for name, c := range cases {
				c.answer(f)
				report := s.holds(c.reason, nil)
				if got := report.Policies[0].Message; !strings.Contains(got, c.says) {
					t.Errorf("%s: the message is %q, want %q", name, got, c.says)
				}
				if got := s.field(); got != before {
					t.Fatalf("%s: the field holds %s, want %s", name, got, before)
				}
				f.honest()
			}
			s.goesOn("1.3.0")
		})
	}
}

// TestNeverDownByAMovedTag: a tag that was pushed again is no step down, and is
// followed where the field has a digest.
func TestNeverDownByAMovedTag(t *testing.T) {
	for _, write := range writes {
		t.Run(write, func(t *testing.T) {
			t.Parallel()
			s, _ := following(t, write)
			before := s.field()
			digest := images.Push(t, s.registry, "app", "1.2.0", "again")
			if write == "Tag" {
				s.holds(reconcile.UpToDate, nil)
				return
			}
			s.expect(reconcile.Updated, nil)
			if got := s.field(); got == before || !strings.HasSuffix(got, "@"+digest) {
				t.Errorf("the field holds %s, want %s", got, digest)
			}
			s.holds(reconcile.UpToDate, nil)
		})
	}
}

// TestNeverDownByAnotherManifest: where a digest is asked for, no other one is
// taken for the answer.
func TestNeverDownByAnotherManifest(t *testing.T) {
	s, f := following(t, "TagAndDigest")
	first := s.digest("1.0.0")
	s.push("app", "1.3.0")
	s.expect(reconcile.Updated, at("1.3.0"))
	f.serves(s.digest("1.2.0"), first)
	before := s.repo.Head(t, "main")
	if _, err := s.rollback(reconcile.RollbackOptions{}); err == nil || !strings.Contains(err.Error(), "answers with the digest "+first) {
		t.Errorf("the rollback says %v", err)
	}
	s.declare("pin: {revision: 1}")
	s.expect(reconcile.Failed, at("1.3.0"))
	if got := s.repo.Head(t, "main~1"); got != before {
		t.Errorf("something was written: %s", got)
	}
}

// TestNeverDownAtFirst: where Pintle has not written a field before, it does not
// go down, whether the rule admits what stands there or not.
func TestNeverDownAtFirst(t *testing.T) {
	for _, write := range writes {
		for adopted, reason := range map[string]reconcile.Reason{
			"1.2.0": reconcile.DowngradeRefused, "1.0.5": reconcile.DowngradeRefused, "2.0.0": reconcile.DowngradeRefused, "latest": reconcile.Updated, "0.9.0": reconcile.Updated,
		} {
			t.Run(write+"/"+adopted, func(t *testing.T) {
				t.Parallel()
				s, _ := newFront(t)
				s.push("app", "1.0.0")
				s.repo.Seed(t, map[string]string{
					policyFile: strings.Replace(s.policy("app", "app"), ">=1.0.0", ">=1.0.0 <2.0.0", 1) + "  write: " + write + "\n",
					app:        s.deployment("app", "app:"+adopted, "app"),
				}, "First")
				if reason == reconcile.Updated {
					s.expect(reason, nil)
					return
				}
				s.holds(reason, at(adopted))
			})
		}
	}
}

// TestNeverDownByANarrowedRule: a rule that no longer admits what stands in a
// field moves it down only where Pintle wrote that.
func TestNeverDownByANarrowedRule(t *testing.T) {
	narrow := func(s *scene) {
		s.t.Helper()
		text := s.repo.Read(s.t, "main", policyFile)
		s.repo.Seed(s.t, map[string]string{policyFile: strings.Replace(text, ">=1.0.0", ">=1.0.0 <1.2.0", 1)}, "Keep below 1.2")
	}
	for _, write := range writes {
		t.Run(write+"/written", func(t *testing.T) {
			t.Parallel()
			s, _ := following(t, write)
			narrow(s)
			s.expect(reconcile.Updated, nil)
			tag, digest := ":1.1.0", "@"+s.digest("1.1.0")
			want := s.image("app") + map[string]string{"TagAndDigest": tag + digest, "Tag": tag, "Digest": digest}[write]
			if got := s.field(); got != want {
				t.Errorf("the field holds %s, want %s", got, want)
			}
			s.holds(reconcile.UpToDate, nil)
		})
		t.Run(write+"/by hand", func(t *testing.T) {
			t.Parallel()
			s, _ := following(t, write)
			s.push("app", "1.3.0")
			u := s.user()
			byHand("app:1.3.0@" + s.digest("1.3.0"))(u)
			u.push()
			narrow(s)
			s.holds(reconcile.ManuallySet, nil)
		})
		t.Run(write+"/adopted", func(t *testing.T) {
			t.Parallel()
			s, _ := newFront(t)
			s.push("app", "1.0.0", "1.1.0", "1.2.0")
			s.repo.Seed(t, map[string]string{
				policyFile: s.policy("app", "app") + "  write: " + write + "\n",
				app:        s.deployment("app", "app:1.2.0", "app"),
			}, "First")
			narrow(s)
			s.holds(reconcile.DowngradeRefused, at("1.2.0"))
		})
	}
}

// TestNeverDownByAnyRule takes the current tag out of the list, by each rule that
// has an order.
func TestNeverDownByAnyRule(t *testing.T) {
	for rule, current := range map[string]string{
		`{numerical: {order: Asc}}`: "3", `{numerical: {order: Desc}}`: "1", `{alphabetical: {order: Asc}}`: "3", `{alphabetical: {order: Desc}}`: "1",
		`{newest: {}}`: "3", `{semver: {range: "*"}}`: "3", `{semver: {range: "*"}, filter: {pattern: '^(\d)$', extract: '$1'}}`: "3",
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			s, f := newFront(t)
			for day, tag := range []string{"1", "2", "3"} {
				images.PushImage(t, s.registry, "app", tag, images.Image{Seed: tag, Created: time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC)})
			}
			s.repo.Seed(t, map[string]string{
				policyFile: strings.Replace(s.policy("app", "app"), anySemver, rule, 1),
				app:        s.deployment("app", "app:2", "app"),
			}, "First")
			s.expect(reconcile.Updated, at(current))
			others := []string{"2", "1"}
			if current == "1" {
				others = []string{"3", "2"}
			}
			f.lists(others...)
			s.holds(reconcile.DowngradeRefused, at(current))
			// The tag is gone for good, and its content with it.
			digest := s.field()
			digest = digest[strings.Index(digest, "@")+1:]
			for _, gone := range []string{current, digest} {
				f.says("app/manifests/"+gone, http.StatusNotFound, "{}")
			}
			s.holds(reconcile.DowngradeRefused, at(current))
			f.honest()
			s.holds(reconcile.UpToDate, at(current))
		})
	}
}

// TestNeverDownByListsThatChange: a mirror that shows another part of the tags to
// each pass of one process moves nothing.
func TestNeverDownByListsThatChange(t *testing.T) {
	s, f := following(t, "TagAndDigest")
	lists := [][]string{{"1.0.0"}, {"latest"}, {"1.1.0"}, {"1.2.0"}, {"1.0.0", "1.1.0"}}
	for i := range 2 * len(lists) {
		f.lists(lists[i%len(lists)]...)
		report, err := s.warm.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Commits) != 0 {
			t.Fatalf("%s is written for the list %v", fmt.Sprint(report.Commits), lists[i%len(lists)])
		}
	}
	if got := s.tag(app); got != "1.2.0" {
		t.Errorf("the field holds %s", got)
	}
}

// TestNeverDownByWhatIsRemembered: whether a newer build ranks above one that the
// registry lost is not for the process's memory to tell: with and without it, the
// decision is the same.
func TestNeverDownByWhatIsRemembered(t *testing.T) {
	s, f := ruled(t, "{newest: {}}", "aaa")
	s.built("aaa", "a", 1)
	s.expect(reconcile.Updated, at("aaa"))
	_, lost, _ := strings.Cut(s.field(), "@")
	s.built("bbb", "b", 2)
	f.lists("bbb")
	for _, gone := range []string{"aaa", lost} {
		f.says("app/manifests/"+gone, http.StatusNotFound, "{}")
	}
	s.expect(reconcile.DowngradeRefused, at("aaa"))
}
