// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/registry"
)

func day(n int) time.Time { return time.Date(2025, 3, n, 12, 0, 0, 0, time.UTC) }

// multi is an index of three platforms and an attestation.
var multi = images.Image{Seed: "m", Platforms: []images.Image{
	{Platform: "unknown/unknown", Created: day(1)},
	{Platform: "linux/arm64", Created: day(2)},
	{Platform: "linux/amd64", Created: day(3)},
}}

// onManifest answers requests of one method for manifests.
func onManifest(method string, do func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		ours := r.Method == method && strings.Contains(r.URL.Path, "/manifests/")
		if ours {
			do(w)
		}
		return ours
	}
}

func TestDigestIsWhatTheRegistryServes(t *testing.T) {
	status := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(status) }
	}
	for _, c := range []struct {
		name   string
		before func(http.ResponseWriter, *http.Request) bool
		want   counts
	}{
		{"HEAD", nil, counts{Ping: 1, Head: 1}},
		{"HEAD without a digest", onManifest("HEAD", status(200)), counts{Ping: 1, Head: 1, Get: 1}},
		{"HEAD answers 405", onManifest("HEAD", status(405)), counts{Ping: 1, Head: 1, Get: 1}},
		{"HEAD answers 403", onManifest("HEAD", status(403)), counts{Ping: 1, Head: 1, Get: 1}},
		{"HEAD answers 400", onManifest("HEAD", status(400)), counts{Ping: 1, Head: 1, Get: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			single := images.Push(t, f.host, "acme/x", "single", "s")
			index := images.PushImage(t, f.host, "acme/x", "multi", multi)
			f.counts()
			f.before = c.before
			for tag, want := range map[string]string{"single": single, "multi": index, single: single} {
				got, err := plainClient(f.host).Pass().Digest(t.Context(), f.host+"/acme/x", tag)
				if err != nil || got != want {
					t.Errorf("%s: got %s, %v, want %s", tag, got, err, want)
				}
				if diff := cmp.Diff(c.want, f.counts()); diff != "" {
					t.Errorf("%s: requests (-want +got):\n%s", tag, diff)
				}
			}
		})
	}
}

func TestDigestNamesEachFault(t *testing.T) {
	body := func(status int, digest, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if digest != "" {
				w.Header().Set("Docker-Content-Digest", digest)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		before func(http.ResponseWriter, *http.Request) bool
		kind   registry.Kind
		want   string
	}{
		{"401", onManifest("HEAD", body(401, "", "")), registry.Unauthorized, "401 Unauthorized: log in"},
		{"404", onManifest("HEAD", body(404, "", "")), registry.NotFound, "404 Not Found"},
		{"429", onManifest("HEAD", body(429, "", "")), registry.TooManyRequests, "429"},
		{"500", onManifest("HEAD", body(500, "", "")), registry.Unavailable, "500"},
		{"a digest that is none", onManifest("HEAD", body(200, "sha256:12", "")), registry.NotRegistry, "answers with sha256:12, which is no digest"},
		{"a digest that breaks the line", onManifest("HEAD", body(200, "sha256:a b", "")), registry.NotRegistry, `answers with "sha256:a b"`},
		{"HTML", answer(200, "", "<html>"), registry.NotRegistry, "a web page"},
		{"another JSON", answer(200, "", "{}"), registry.NotRegistry, "no image manifest"},
		{"cut short", answer(200, "", `{"schemaVersion":2`), registry.NotRegistry, "cut short"},
		{"too long", answer(200, "", `{"schemaVersion":2}`+strings.Repeat(" ", 4<<20)), registry.NotRegistry, "more than 4 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.before = c.before
			_, err := plainClient(f.host).Pass().Digest(t.Context(), f.host+"/x", "1.0")
			wantError(t, err, c.kind, "cannot resolve "+f.host+"/x:1.0: ", c.want)
		})
	}
}

func TestDigestComparesTheBody(t *testing.T) {
	f := newFake(t)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return true
		}
		return answer(200, "Docker-Content-Digest: "+sha256Zero, `{"schemaVersion":2}`)(w, r)
	}
	pass := plainClient(f.host).Pass()
	_, err := pass.Digest(t.Context(), f.host+"/x", "1.0")
	wantError(t, err, registry.NotRegistry, "the digest is wrong")
	_, err = pass.Digest(t.Context(), f.host+"/x", sha256One)
	wantError(t, err, registry.NotRegistry, "the digest is wrong")
}

func TestDigestRefusesAnotherOneThanAskedFor(t *testing.T) {
	f := newFake(t)
	f.before = onManifest("HEAD", func(w http.ResponseWriter) { w.Header().Set("Docker-Content-Digest", sha256One) })
	_, err := plainClient(f.host).Pass().Digest(t.Context(), f.host+"/x", sha256Zero)
	wantError(t, err, registry.NotRegistry, "cannot resolve "+f.host+"/x@"+sha256Zero)
}

func TestInvalidNamesAskNothing(t *testing.T) {
	f := newFake(t)
	pass := plainClient(f.host).Pass()
	for _, c := range [][2]string{
		{f.host + "/X", "1"}, {f.host + "/x", ""}, {f.host + "/x", "a/b"}, {f.host + "/x", "../../y/manifests/1"},
		{f.host + "/x", "1?n=1"}, {f.host + "/x:1", "1"}, {"http://" + f.host + "/x", "1"}, {f.host + "/x", "sha256:12"},
	} {
		_, err := pass.Digest(t.Context(), c[0], c[1])
		wantError(t, err, registry.InvalidName)
		_, err = pass.Created(t.Context(), c[0], c[1])
		wantError(t, err, registry.InvalidName)
	}
	if got := f.counts(); got != (counts{}) {
		t.Errorf("the registry was asked: %+v", got)
	}
}

func TestCreated(t *testing.T) {
	f := newFake(t)
	single := images.PushImage(t, f.host, "x", "single", images.Image{Seed: "s", Created: day(9)})
	images.PushImage(t, f.host, "x", "multi", multi)
	images.PushImage(t, f.host, "x", "arm", images.Image{Seed: "a", Platforms: multi.Platforms[:2]})
	f.counts()
	client := plainClient(f.host)
	for _, c := range []struct {
		reference    string
		want         time.Time
		first, later counts
	}{
		{"single", day(9), counts{Ping: 1, Get: 1, Blob: 1}, counts{Head: 1}},
		{"multi", day(3), counts{Get: 2, Blob: 1}, counts{Head: 1}},
		{"arm", day(2), counts{Get: 2, Blob: 1}, counts{Head: 1}},
		{single, day(9), counts{}, counts{}},
	} {
		for i, want := range []counts{c.first, c.later} {
			pass := client.Pass()
			for range 3 {
				got, err := pass.Created(t.Context(), f.host+"/x", c.reference)
				if err != nil || !got.Equal(c.want) {
					t.Errorf("%s: got %v, %v, want %v", c.reference, got, err, c.want)
				}
			}
			if diff := cmp.Diff(want, f.counts()); diff != "" {
				t.Errorf("%s, pass %d: requests (-want +got):\n%s", c.reference, i+1, diff)
			}
		}
	}
}

// With a cache on disk, a new process asks only which digest each tag has.
func TestCreatedIsReadOnceForAllProcesses(t *testing.T) {
	f := newFake(t)
	tags := []string{"1", "2", "3"}
	for i, tag := range tags {
		images.PushImage(t, f.host, "x", tag, images.Image{Seed: tag, Created: day(i + 1)})
	}
	f.counts()
	folder := t.TempDir()
	for i, want := range []counts{{Ping: 1, Get: 3, Blob: 3}, {Ping: 1, Head: 3}, {Ping: 1, Head: 3}} {
		cache, err := registry.OpenCache(folder)
		if err != nil {
			t.Fatal(err)
		}
		pass := registry.New(registry.Options{PlainHTTP: []string{f.host}, Keychain: anonymous{}, Cache: cache}).Pass()
		for n, tag := range tags {
			if got, err := pass.Created(t.Context(), f.host+"/x", tag); err != nil || !got.Equal(day(n+1)) {
				t.Errorf("process %d, tag %s: %v, %v", i+1, tag, got, err)
			}
		}
		if diff := cmp.Diff(want, f.counts()); diff != "" {
			t.Errorf("process %d: requests (-want +got):\n%s", i+1, diff)
		}
		if err := cache.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCreatedComparesTheConfiguration(t *testing.T) {
	f := newFake(t)
	images.Push(t, f.host, "x", "1.0", "s")
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		blob := strings.Contains(r.URL.Path, "/blobs/")
		if blob {
			_, _ = io.WriteString(w, `{"created":"2030-01-01T00:00:00Z"}`)
		}
		return blob
	}
	_, err := plainClient(f.host).Pass().Created(t.Context(), f.host+"/x", "1.0")
	wantError(t, err, registry.NotRegistry, "cannot read the creation time of "+f.host+"/x:1.0: the digest is wrong")
}

// What an image says of itself comes from its configuration; none of these has
// one that can be read.
func TestCreatedNamesEachFault(t *testing.T) {
	digest := func(n int) string { return fmt.Sprintf("sha256:%064d", n) }
	for _, c := range []struct{ name, manifest, want string }{
		{"a configuration that is not there", `{"schemaVersion":2,"config":{"digest":"` + digest(1) + `"}}`, "404"},
		{"an index of another digest", `{"schemaVersion":2,"manifests":[{"digest":"` + digest(1) + `"}]}`, "the digest is wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/blobs/") {
					return false
				}
				return onManifest("GET", func(w http.ResponseWriter) { _, _ = io.WriteString(w, c.manifest) })(w, r) ||
					onManifest("HEAD", func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) })(w, r)
			}
			_, err := plainClient(f.host).Pass().Created(t.Context(), f.host+"/x", "1.0")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// What is verified and no image does not say when it was made, and is not read again.
func TestCreatedOfWhatIsNoImage(t *testing.T) {
	for name, manifest := range map[string]string{
		"no configuration":         `{"schemaVersion":2}`,
		"a format of long ago":     `{"schemaVersion":1,"history":[]}`,
		"a configuration of words": `{"schemaVersion":2,"config":{"digest":"` + digestOfText("not JSON") + `"}}`,
		"an index without digests": `{"schemaVersion":2,"manifests":[{"platform":{"os":"linux"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.Contains(r.URL.Path, "/manifests/"):
					w.Header().Set("Docker-Content-Digest", digestOfText(manifest))
					_, _ = io.WriteString(w, manifest)
				case strings.Contains(r.URL.Path, "/blobs/"):
					_, _ = io.WriteString(w, "not JSON")
				default:
					return false
				}
				return true
			}
			client := plainClient(f.host)
			for i := range 2 {
				f.counts()
				got, err := client.Pass().Created(t.Context(), f.host+"/x", "1.0")
				if err != nil || !got.IsZero() {
					t.Errorf("it was made at %v, %v", got, err)
				}
				if c := f.counts(); c.Get != 1-i || c.Head != i {
					t.Errorf("pass %d: requests %+v", i+1, c)
				}
			}
		})
	}
}

func digestOfText(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
