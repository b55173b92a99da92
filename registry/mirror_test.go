// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/registry"
)

func mustMirrors(t *testing.T, entries ...string) registry.Mirrors {
	t.Helper()
	mirrors, err := registry.ParseMirrors(entries)
	if err != nil {
		t.Fatal(err)
	}
	return mirrors
}

// Where an image is asked for, by the paths that a mirror sees.
func TestTheMirrorIsAsked(t *testing.T) {
	for _, c := range []struct{ from, prefix, image, want string }{
		{"ghcr.io", "", "ghcr.io/acme/x", "acme/x"},
		{"ghcr.io", "/cache/gh", "ghcr.io/acme/x", "cache/gh/acme/x"},
		{"GHCR.io", "", "GHCR.IO/acme/x", "acme/x"},
		{"docker.io", "/hub", "nginx", "hub/library/nginx"},
		{"index.docker.io", "/hub", "acme/x", "hub/acme/x"},
		{"registry-1.docker.io", "", "docker.io/library/nginx", "library/nginx"},
		{"docker.io", "", "index.docker.io/nginx", "library/nginx"},
		{"docker.io", "", "registry-1.docker.io/library/nginx", "library/nginx"},
		{"r.example:5000", "", "r.example:5000/x", "x"},
	} {
		f := newFake(t)
		f.before = anyList
		client := registry.New(registry.Options{PlainHTTP: []string{f.host}, Keychain: anonymous{}, Mirrors: mustMirrors(t, c.from+"="+f.host+c.prefix)})
		if _, err := client.Pass().Tags(t.Context(), c.image); err != nil {
			t.Errorf("%s: %v", c.image, err)
			continue
		}
		requests := f.requests()
		if got := requests[len(requests)-1].URL.Path; got != "/v2/"+c.want+"/tags/list" {
			t.Errorf("%s: asked for %s, want %s", c.image, got, c.want)
		}
	}
}

// anyList has one tag of any repository.
func anyList(w http.ResponseWriter, r *http.Request) bool {
	name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list")
	if ok {
		_, _ = io.WriteString(w, `{"name":"`+name+`","tags":["1.0"]}`)
	}
	return ok
}

// An image of the mirror by its own name, and one of another port, are as they are;
// the same repository by both names is asked for once.
func TestOnlyTheNamedHostHasAMirror(t *testing.T) {
	f := newFake(t)
	f.before = anyList
	client := registry.New(registry.Options{PlainHTTP: []string{f.host}, Keychain: anonymous{}, Mirrors: mustMirrors(t, "ghcr.io="+f.host+"/gh")})
	pass := client.Pass()
	for _, image := range []string{"ghcr.io/x", f.host + "/gh/x", f.host + "/x"} {
		if _, err := pass.Tags(t.Context(), image); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 2}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	_, err := pass.Tags(t.Context(), "ghcr.io:1/x")
	if err == nil || f.counts() != (counts{}) {
		t.Errorf("another port: got %v", err)
	}
}

// A mirror that fails is not passed over, and messages have both names.
func TestAMirrorThatFails(t *testing.T) {
	origin, mirror := newFake(t), newFake(t)
	origin.before = anyList
	status := http.StatusNotFound
	mirror.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/" {
			w.WriteHeader(status)
		}
		return r.URL.Path != "/v2/"
	}
	for answer, c := range map[int]struct {
		kind registry.Kind
		says string
	}{
		http.StatusNotFound:           {registry.NotFound, "404 Not Found"},
		http.StatusUnauthorized:       {registry.Unauthorized, "docker login " + mirror.host},
		http.StatusServiceUnavailable: {registry.Unavailable, "503"},
	} {
		status = answer
		client := registry.New(registry.Options{PlainHTTP: []string{origin.host, mirror.host}, Keychain: anonymous{},
			Timeout: time.Minute, Mirrors: mustMirrors(t, origin.host+"="+mirror.host+"/m")})
		_, err := client.Pass().Tags(t.Context(), origin.host+"/x")
		wantError(t, err, c.kind, "cannot list tags of "+origin.host+"/x at its mirror "+mirror.host+"/m/x: ", c.says)
		_, err = client.Pass().Digest(t.Context(), origin.host+"/x", "1.0")
		wantError(t, err, c.kind, "cannot resolve "+origin.host+"/x:1.0 at its mirror "+mirror.host+"/m/x: ")
	}
	if got := origin.counts(); got != (counts{}) {
		t.Errorf("the registry itself was asked: %+v", got)
	}
}

// byHost is a keychain that has a login for each host, and notes for which it is asked.
type byHost struct {
	mu    sync.Mutex
	hosts []string
}

func (b *byHost) Resolve(target authn.Resource) (authn.Authenticator, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hosts = append(b.hosts, target.String())
	return &authn.Basic{Username: "of " + target.RegistryStr(), Password: "p"}, nil
}

// distribution's registry as a mirror, with a login of its own.
func TestARealMirror(t *testing.T) {
	const password = "p"
	mirror := parts.Registry(t, parts.RegistryOptions{Username: "ann", Password: password})
	auth := &authn.Basic{Username: "ann", Password: password}
	want := images.PushImage(t, mirror, "hub/library/nginx", "1.0", images.Image{Seed: "s", Created: day(4)}, remote.WithAuth(auth))
	keychain := &byHost{}
	client := registry.New(registry.Options{PlainHTTP: []string{mirror}, Mirrors: mustMirrors(t, "docker.io="+mirror+"/hub"), Keychain: keychain})
	_, err := client.Pass().Tags(t.Context(), "nginx")
	wantError(t, err, registry.Unauthorized, "cannot list tags of nginx at its mirror "+mirror+"/hub/library/nginx: ")
	if diff := cmp.Diff([]string{mirror + "/hub/library/nginx"}, keychain.hosts); diff != "" {
		t.Errorf("logins were asked for (-want +got):\n%s", diff)
	}

	client = registry.New(registry.Options{PlainHTTP: []string{mirror}, Mirrors: mustMirrors(t, "docker.io="+mirror+"/hub"), Keychain: login{"ann", password}})
	pass := client.Pass()
	if tags, err := pass.Tags(t.Context(), "nginx"); err != nil || len(tags) != 1 {
		t.Errorf("got %v, %v", tags, err)
	}
	if got, err := pass.Digest(t.Context(), "docker.io/library/nginx", "1.0"); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if got, err := pass.Created(t.Context(), "nginx", "1.0"); err != nil || !got.Equal(day(4)) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWhatIsNoMirror(t *testing.T) {
	for entry, says := range map[string]string{
		"docker.io": "is not HOST=MIRROR", "docker.io=": "is not HOST=MIRROR", "=m.example": "is not HOST=MIRROR", "docker.io/acme=m.example": "is not HOST=MIRROR",
		"docker.io=https://m.example": "has a scheme", "docker.io=m.example/": "a prefix that no repository can have", "docker.io=m.example/Hub": "a prefix",
		"docker.io=index.docker.io/x": "leads to itself",
	} {
		if _, err := registry.ParseMirrors([]string{entry}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got %v, want %q", entry, err, says)
		}
	}
	if _, err := registry.ParseMirrors([]string{"docker.io=a.example", "index.docker.io=b.example"}); err == nil || !strings.Contains(err.Error(), "only one is asked") {
		t.Errorf("two mirrors: got %v", err)
	}
}
