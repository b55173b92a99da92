// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/registry"
)

func TestTagsOfARepository(t *testing.T) {
	f := newFake(t)
	images.Push(t, f.host, "acme/podinfo", "1.0.0", "a")
	images.Push(t, f.host, "acme/podinfo", "latest", "b")
	got, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/acme/podinfo")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.0.0", "latest"}, got); diff != "" {
		t.Error(diff)
	}
}

// pages serves n tags, with a Link header to the next page as given by link.
func pages(n, size int, link func(last string) string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		from := 0
		if last := r.URL.Query().Get("last"); last != "" {
			from, _ = strconv.Atoi(strings.TrimPrefix(last, "v"))
			from++
		}
		var tags []string
		for i := from; i < min(from+size, n); i++ {
			tags = append(tags, fmt.Sprintf("v%07d", i))
		}
		if from+size < n && link != nil {
			w.Header().Set("Link", link(tags[len(tags)-1]))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "x", "tags": tags})
		return true
	}
}

func TestTagsReadsAllPages(t *testing.T) {
	relative := func(last string) string { return `</v2/x/tags/list?n=100&last=` + last + `>; rel="next"` }
	for _, c := range []struct {
		name        string
		tags, size  int
		link        func(string) string
		wantedPages int
	}{
		{"none", 0, 100, relative, 1},
		{"one", 100, 100, relative, 1},
		{"some", 1050, 100, relative, 11},
		{"no link, less than asked for", 999, 1000, nil, 1},
		{"no link, a full page and more", 2500, 1000, nil, 3},
		{"no link, full pages to the end", 2000, 1000, nil, 3},
		{"all at once, whatever was asked for", 5000, 100_000, nil, 1},
		{"the most", 100_000, 1000, relative, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.before = pages(c.tags, c.size, c.link)
			got, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/x")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != c.tags {
				t.Errorf("got %d tags, want %d", len(got), c.tags)
			}
			if diff := cmp.Diff(counts{Ping: 1, List: c.wantedPages}, f.counts()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// The in-process registry takes n=, gives no Link, and starts again at the
// first tag when it is asked for what is behind the last one.
func TestTagsOfARegistryWithoutLinks(t *testing.T) {
	f := newFake(t)
	var want []string
	for i := range 1001 {
		want = append(want, fmt.Sprintf("v%04d", i))
	}
	images.Push(t, f.host, "x", want[0], "same")
	tagAs(t, f.host+"/x", want[0], want[1:]...)
	f.counts()
	got, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/x")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTagsRefusesPagesThatLeadAstray(t *testing.T) {
	for _, c := range []struct {
		name string
		link func(last string) string
		want string
	}{
		{"another host", func(last string) string { return `<https://evil.example/v2/x/tags/list?last=` + last + `>; rel="next"` }, "leads to another host, evil.example"},
		{"another host, without a scheme", func(last string) string { return `<//evil.example/v2/x/tags/list?last=` + last + `>; rel="next"` }, "leads to another host, evil.example"},
		{"in a circle", func(string) string { return `</v2/x/tags/list?n=1000&last=v0000001>; rel="next"` }, "do not end"},
		{"to itself", func(string) string { return `</v2/x/tags/list?n=1000>; rel="next"` }, "do not end"},
		{"for ever", func(last string) string { return `</v2/x/tags/list?last=` + last + `>; rel="next"` }, "do not end"},
		{"unreadable", func(string) string { return `next` }, "can't be read"},
		{"nowhere", func(string) string { return `<>; rel="next"` }, "can't be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.before = pages(1_000_000, 2, c.link)
			_, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/x")
			wantError(t, err, registry.NotRegistry, c.want)
			if n := f.counts().List; n > 2000 {
				t.Errorf("%d pages were asked for", n)
			}
		})
	}
}

// wantError checks kind and text.
func wantError(t *testing.T, err error, kind registry.Kind, texts ...string) {
	t.Helper()
	var typed *registry.Error
	if !errors.As(err, &typed) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if typed.Kind != kind {
		t.Errorf("the kind of %q is %v, want %v", err, typed.Kind, kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the message %q does not have %q", err, text)
		}
	}
}

// answer serves one status and body for what is not a ping.
func answer(status int, header, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		if key, value, ok := strings.Cut(header, ": "); ok {
			w.Header().Set(key, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
}

func TestTagsNamesEachFault(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(http.ResponseWriter, *http.Request) bool
		kind   registry.Kind
		want   string
		lists  int // requests
	}{
		{"400", answer(400, "", ""), registry.NotRegistry, "answers 400 Bad Request", 1},
		{"401", answer(401, "", ""), registry.Unauthorized, "answers 401 Unauthorized: log in with `docker login 127.0.0.1:", 1},
		{"403", answer(403, "", ""), registry.Forbidden, "answers 403 Forbidden", 1},
		{"404", answer(404, "", ""), registry.NotFound, "answers 404 Not Found", 1},
		{"429", answer(429, "", ""), registry.TooManyRequests, "answers 429 Too Many Requests; it is not asked again before 20", 2},
		{"429 with a wait", answer(429, "Retry-After: 30", ""), registry.TooManyRequests, "answers 429 Too Many Requests; it is not asked again before 20", 1},
		{"500", answer(500, "", ""), registry.Unavailable, "answers 500 Internal Server Error", 2},
		{"503", answer(503, "", ""), registry.Unavailable, "answers 503 Service Unavailable", 2},
		{"204", answer(204, "", ""), registry.NotRegistry, "answers 204 No Content", 1},
		{"a redirect to nowhere", answer(302, "", ""), registry.NotRegistry, "answers 302 Found", 1},
		{"HTML", answer(200, "Content-Type: text/html", "<html>Welcome</html>"), registry.NotRegistry, "a web page, not JSON", 1},
		{"HTML in disguise", answer(200, "Content-Type: application/json", "\n <!doctype html>"), registry.NotRegistry, "a web page, not JSON", 1},
		{"nothing", answer(200, "", ""), registry.NotRegistry, "the answer is empty", 1},
		{"cut short", answer(200, "Content-Length: 100", `{"name":"x","tags":["1.0"`), registry.NotRegistry, "cut short", 1},
		{"JSON cut short", answer(200, "", `{"name":"x","tags":["1.0"`), registry.NotRegistry, "cut short", 1},
		{"other JSON", answer(200, "", `[1]`), registry.NotRegistry, "no JSON of this kind", 1},
		{"tags that are no strings", answer(200, "", `{"name":"x","tags":[1]}`), registry.NotRegistry, "no JSON of this kind", 1},
		{"another repository", answer(200, "", `{"name":"y","tags":["1.0"]}`), registry.NotRegistry, "list of another repository, y", 1},
		{"no name", answer(200, "", `{"tags":["1.0"]}`), registry.NotRegistry, "list of another repository", 1},
		{"too many tags", answer(200, "", `{"name":"x","tags":[""`+strings.Repeat(`,""`, 100_000)+`]}`), registry.NotRegistry, "more than 100000 tags", 1},
		{"too long", answer(200, "", strings.Repeat(" ", 17<<20)), registry.NotRegistry, "more than 16 MiB", 1},
		{"deep", answer(200, "", strings.Repeat("[", 1<<20)), registry.NotRegistry, "no JSON", 1},
		{"long headers", answer(200, "X: "+strings.Repeat("x", 1<<20), `{"name":"x","tags":[]}`), registry.Unavailable, "can't be asked", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.before = c.before
			_, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/x")
			wantError(t, err, c.kind, "cannot list tags of "+f.host+"/x: ", c.want)
			if diff := cmp.Diff(counts{Ping: 1, List: c.lists}, f.counts()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTagsOfAnEmptyRepository(t *testing.T) {
	for _, tags := range []string{"null", "[]"} {
		f := newFake(t)
		f.before = tagList("x", tags)
		got, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/x")
		if err != nil || len(got) != 0 {
			t.Errorf("%s: got %v, %v, want no tags and no error", tags, got, err)
		}
	}
}

func TestPingFaults(t *testing.T) {
	for _, c := range []struct {
		status int
		kind   registry.Kind
		want   string
		pings  int
	}{
		{403, registry.Forbidden, "403", 1},
		{404, registry.NotRegistry, "is no registry", 1},
		{429, registry.TooManyRequests, "429 Too Many Requests; it is not asked again before 20", 1},
		{500, registry.Unavailable, "500 Internal Server Error", 2},
	} {
		t.Run(strconv.Itoa(c.status), func(t *testing.T) {
			f := newFake(t)
			f.before = func(w http.ResponseWriter, _ *http.Request) bool {
				if c.status == 429 {
					w.Header().Set("Retry-After", "9")
				}
				w.WriteHeader(c.status)
				return true
			}
			pass := plainClient(f.host).Pass()
			for _, image := range []string{"/x", "/y"} {
				_, err := pass.Tags(t.Context(), f.host+image)
				wantError(t, err, c.kind, c.want)
			}
			if diff := cmp.Diff(counts{Ping: c.pings}, f.counts()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFaultThatPassesIsTriedOnceMore(t *testing.T) {
	f := newFake(t)
	failed := false
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/tags/list") && !failed {
			failed = true
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return tagList("x", `["1.0"]`)(w, r)
	}
	got, err := plainClient(f.host).Pass().Tags(t.Context(), f.host+"/x")
	if err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 2}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A registry that asks to wait is not asked again before, by any pass.
func TestRetryAfterIsObeyed(t *testing.T) {
	f := newFake(t)
	f.before = answer(http.StatusTooManyRequests, "Retry-After: "+time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), "")
	client := plainClient(f.host)
	said := map[string]bool{}
	for _, image := range []string{"/x", "/y", "/z"} {
		begun := time.Now()
		_, err := client.Pass().Tags(t.Context(), f.host+image)
		wantError(t, err, registry.TooManyRequests, "the registry answers 429 Too Many Requests; it is not asked again before ")
		_, date, _ := strings.Cut(err.Error(), " before ")
		until, err := time.Parse(time.RFC3339, date)
		if err != nil || until.After(begun.Add(15*time.Minute+2*time.Second)) || until.Before(begun.Add(14*time.Minute)) {
			t.Errorf("it waits until %s, want a quarter of an hour", date)
		}
		said[date] = true
	}
	if len(said) != 1 {
		t.Errorf("the messages differ: %v", said)
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 1}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestARegistryThatIsDown(t *testing.T) {
	f := newFake(t)
	down := "127.0.0.1:1" // tcpmux, served by nothing that runs tests
	_, err := plainClient(down).Pass().Tags(t.Context(), down+"/x")
	wantError(t, err, registry.Unavailable, "can't be reached", "connection refused")
	_, err = plainClient().Pass().Tags(t.Context(), "registry.invalid/x")
	wantError(t, err, registry.Unavailable, "the name registry.invalid is not known")
	if got := f.counts(); got != (counts{}) {
		t.Errorf("another registry was asked: %+v", got)
	}
}

func TestASlowRegistry(t *testing.T) {
	for name, slow := range map[string]func(http.ResponseWriter, *http.Request){
		"header": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"name":"x",`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		for _, path := range []string{"/v2/", "/v2/x/tags/list"} {
			t.Run(name+" of "+path, func(t *testing.T) {
				f := newFake(t)
				f.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == path {
						slow(w, r)
					}
					return r.URL.Path == path
				}
				client := registry.New(registry.Options{PlainHTTP: []string{f.host}, Keychain: anonymous{}, Timeout: 100 * time.Millisecond})
				_, err := client.Pass().Tags(t.Context(), f.host+"/x")
				if name == "body" && path == "/v2/" {
					wantError(t, err, registry.NotFound) // a ping's body tells nothing: the list is asked
					return
				}
				wantError(t, err, registry.Timeout, "did not answer within 100ms")
				got := f.counts()
				if got.Ping+got.List > 2 {
					t.Errorf("a slow registry is asked again: %+v", got)
				}
			})
		}
	}
}
