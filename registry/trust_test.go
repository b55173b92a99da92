// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/registry"
)

const secret = "s3cret-of-ann"

func secretClient(plain ...string) *registry.Client {
	return registry.New(registry.Options{PlainHTTP: plain, Keychain: login{"ann", secret}, Timeout: time.Minute})
}

// wantNoSecret checks that a server was sent no credential in any way.
func wantNoSecret(t *testing.T, f *fake) {
	t.Helper()
	encoded := base64.StdEncoding.EncodeToString([]byte("ann:" + secret))
	for _, r := range f.requests() {
		said := fmt.Sprint(r.URL, r.Header)
		for _, text := range []string{secret, encoded, "Bearer", "Basic"} {
			if strings.Contains(said, text) {
				t.Errorf("%s %s was sent a credential", r.Method, r.URL.Path)
			}
		}
	}
}

func wantNoSecretIn(t *testing.T, err error) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("the message is %v", err)
	}
}

func TestHTTPSWithoutAWordOfTheOperator(t *testing.T) {
	f := newTLSFake(t)
	f.before = tagList("x", `["1.0"]`)
	got, err := plainClient().Pass().Tags(t.Context(), f.host+"/x")
	if err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	if diff := cmp.Diff(counts{Ping: 1, List: 1}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Loopback and private addresses are no exception, whatever
// go-containerregistry's names make of them.
func TestPlainHTTPOnlyWhereTheOperatorSaysSo(t *testing.T) {
	f := newFake(t)
	f.before = tagList("x", `["1.0"]`)
	_, port, _ := net.SplitHostPort(f.host)
	other := newFake(t)
	for _, c := range []struct {
		image string
		plain []string
		want  bool
	}{
		{"127.0.0.1:" + port, nil, false},
		{"localhost:" + port, nil, false},
		{"127.0.0.1:" + port, []string{other.host}, false},
		{"127.0.0.1:" + port, []string{"localhost:" + port}, false},
		{"127.0.0.1:" + port, []string{"127.0.0.1:" + port}, true},
		{"127.0.0.1:" + port, []string{"127.0.0.1"}, true},
		{"localhost:" + port, []string{"LOCALHOST"}, true},
	} {
		_, err := plainClient(c.plain...).Pass().Tags(t.Context(), c.image+"/x")
		if c.want {
			if err != nil {
				t.Errorf("%s with %v: %v", c.image, c.plain, err)
			}
			if diff := cmp.Diff(counts{Ping: 1, List: 1}, f.counts()); diff != "" {
				t.Errorf("%s with %v: requests (-want +got):\n%s", c.image, c.plain, diff)
			}
			continue
		}
		wantError(t, err, registry.Unavailable, "speaks plain HTTP: if that is meant, allow it with `--plain-http "+c.image+"`")
		if got := f.counts(); got != (counts{}) {
			t.Errorf("%s with %v: plain HTTP was spoken: %+v", c.image, c.plain, got)
		}
	}
}

func TestACertificateThatIsNotTrusted(t *testing.T) {
	f := newTLSFake(t)
	_, port, _ := net.SplitHostPort(f.host)
	_, err := secretClient().Pass().Tags(t.Context(), "localhost:"+port+"/x") // the certificate is for 127.0.0.1
	wantError(t, err, registry.Unavailable, "is not trusted: it is for another name")
	if got := f.counts(); got != (counts{}) {
		t.Errorf("requests were sent: %+v", got)
	}
}

func TestLinkLocalAddressesAreNeverAsked(t *testing.T) {
	for _, host := range []string{
		"169.254.169.254", "169.254.1.1:5000", "[fe80::1]", "[::ffff:169.254.169.254]:80", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]",
		"100.100.100.200", "0.0.0.0:5000", "[::]:5000", "224.0.0.1", "255.255.255.255",
	} {
		for _, client := range []*registry.Client{plainClient(), plainClient(strings.TrimSuffix(host, ":5000"), host)} {
			_, err := client.Pass().Tags(t.Context(), host+"/x")
			wantError(t, err, registry.Unavailable, "which is never asked")
		}
	}
}

// redirect sends requests for the list to another address.
func redirect(to string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		http.Redirect(w, r, to+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	}
}

func TestRedirectsCarryNoCredentials(t *testing.T) {
	other := newTLSFake(t)
	other.before = tagList("x", `["1.0"]`)
	f := newTLSFake(t)
	f.before = redirect("https://" + other.host)
	got, err := secretClient().Pass().Tags(t.Context(), f.host+"/x")
	if err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	wantNoSecret(t, other)
	if sent := f.requests()[1].Header.Get("Authorization"); !strings.HasPrefix(sent, "Basic ") {
		t.Errorf("the registry itself was sent %q", sent)
	}
	if len(other.requests()) != 1 {
		t.Errorf("the other host got %d requests, want 1", len(other.requests()))
	}
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	plain := newFake(t)
	for _, c := range []struct {
		name, to string
		kind     registry.Kind
		want     string
	}{
		{"to plain HTTP", "http://" + plain.host, registry.Unavailable, "plain HTTP on another host"},
		{"to the metadata service", "https://169.254.169.254", registry.Unavailable, "which is never asked"},
		{"to another scheme", "file://x", registry.Unavailable, "not https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newTLSFake(t)
			f.before = redirect(c.to)
			// The operator's word for another registry is no leave to fall back to it.
			_, err := secretClient(plain.host).Pass().Tags(t.Context(), f.host+"/x")
			wantError(t, err, c.kind, c.want)
			wantNoSecretIn(t, err)
			if got := plain.counts(); got != (counts{}) {
				t.Errorf("it was followed: %+v", got)
			}
		})
	}
	t.Run("to plain HTTP on the same host", func(t *testing.T) {
		f := newTLSFake(t)
		f.before = func(w http.ResponseWriter, r *http.Request) bool { return redirect("http://"+f.host)(w, r) }
		_, err := secretClient().Pass().Tags(t.Context(), f.host+"/x")
		wantError(t, err, registry.Unavailable, f.host+" leads to plain HTTP: if that is meant, allow it with `--plain-http "+f.host+"`")
		if diff := cmp.Diff(counts{Ping: 1, List: 1}, f.counts()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	})
	t.Run("in a circle", func(t *testing.T) {
		f := newTLSFake(t)
		f.before = func(w http.ResponseWriter, r *http.Request) bool { return redirect("https://"+f.host)(w, r) }
		_, err := secretClient().Pass().Tags(t.Context(), f.host+"/x")
		wantError(t, err, registry.NotRegistry, "redirects more than 5 times")
		if n := f.counts().List; n != 6 {
			t.Errorf("%d requests, want 6", n)
		}
	})
	t.Run("from its ping", func(t *testing.T) {
		f := newTLSFake(t)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://"+plain.host+"/v2/", http.StatusFound)
			return true
		}
		_, err := secretClient(plain.host).Pass().Tags(t.Context(), f.host+"/x")
		wantError(t, err, registry.Unavailable, "plain HTTP on another host")
		if got := plain.counts(); got != (counts{}) {
			t.Errorf("it was followed: %+v", got)
		}
	})
}

// bearer makes a fake ask for tokens of its own, one for each repository, that
// end when the test says so.
type bearer struct {
	mu     sync.Mutex
	epoch  int
	realm  string // default: /token of the registry
	life   int    // expires_in
	scheme string
	refuse bool
}

func (b *bearer) before(f *fake) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.URL.Path == "/token" {
			scope := r.URL.Query().Get("scope")
			_, _ = fmt.Fprintf(w, `{"token":"t0ken %d %s","expires_in":%d}`, b.epoch, scope, b.life)
			return true
		}
		repository, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		want := fmt.Sprintf("Bearer t0ken %d repository:%s:pull", b.epoch, repository)
		if r.Header.Get("Authorization") == want && !b.refuse {
			return tagList(repository, `["1.0"]`)(w, r)
		}
		realm := b.realm
		if realm == "" {
			realm = b.scheme + "://" + f.host + "/token"
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="s"`, realm))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

func (b *bearer) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch++
}

func TestTokensAreKept(t *testing.T) {
	for _, life := range []int{0, 300} {
		t.Run(fmt.Sprintf("expires_in %d", life), func(t *testing.T) {
			f := newTLSFake(t)
			b := &bearer{scheme: "https", life: life}
			f.before = b.before(f)
			client := secretClient()
			look := func(name string, want counts) {
				t.Helper()
				pass := client.Pass()
				var group sync.WaitGroup
				for _, image := range []string{"/x", "/y", "/x", "/y", "/x"} {
					group.Go(func() {
						if _, err := pass.Tags(t.Context(), f.host+image); err != nil {
							t.Errorf("%s: %v", name, err)
						}
					})
				}
				group.Wait()
				if diff := cmp.Diff(want, f.counts()); diff != "" {
					t.Errorf("%s: requests (-want +got):\n%s", name, diff)
				}
			}
			look("first", counts{Ping: 1, Token: 2, List: 2})
			look("second", counts{List: 2})
			b.end()
			look("after the tokens ended", counts{Token: 2, List: 4})
			look("last", counts{List: 2})
		})
	}
}

// The token service may be another host, by plain HTTP too where the operator
// named it.
func TestATokenServiceElsewhere(t *testing.T) {
	f, service := newFake(t), newFake(t)
	_, port, _ := net.SplitHostPort(service.host)
	b := &bearer{realm: "http://localhost:" + port + "/token"}
	f.before, service.before = b.before(f), b.before(service)
	for _, c := range []struct {
		plain []string
		want  counts // of the service
	}{
		{[]string{f.host}, counts{}},
		{[]string{f.host, "localhost:" + port}, counts{Token: 1}},
	} {
		_, err := secretClient(c.plain...).Pass().Tags(t.Context(), f.host+"/x")
		if (err == nil) != (c.want.Token == 1) {
			t.Errorf("%v: %v", c.plain, err)
		}
		if diff := cmp.Diff(c.want, service.counts()); diff != "" {
			t.Errorf("%v: requests (-want +got):\n%s", c.plain, diff)
		}
	}
}

func TestTokenThatIsRefused(t *testing.T) {
	f := newTLSFake(t)
	b := &bearer{scheme: "https", refuse: true}
	f.before = b.before(f)
	client := secretClient()
	for range 2 {
		pass := client.Pass()
		for range 2 {
			_, err := pass.Tags(t.Context(), f.host+"/x")
			wantError(t, err, registry.Unauthorized, "docker login "+f.host)
			wantNoSecretIn(t, err)
		}
	}
	// The second pass asks for a new token, since somebody may have logged in, and not
	// with the one that was refused.
	if diff := cmp.Diff(counts{Ping: 1, Token: 2, List: 2}, f.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestRealmsThatAreNotAsked(t *testing.T) {
	plain := newFake(t)
	for name, realm := range map[string]string{
		"plain HTTP":           "http://" + plain.host + "/token?t0ken",
		"metadata":             "https://169.254.169.254/token?t0ken",
		"metadata, in IPv6":    "https://[::ffff:169.254.169.254]/token",
		"loopback by a number": "https://127.0.0.1:1/token",
		"another scheme":       "file:///t0ken",
		"no URL":               "%",
		"nothing":              "",
	} {
		t.Run(name, func(t *testing.T) {
			f := newTLSFake(t)
			f.before = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q`, realm))
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			_, err := secretClient(plain.host).Pass().Tags(t.Context(), f.host+"/x")
			wantNoSecretIn(t, err)
			if got := plain.counts(); got != (counts{}) {
				t.Errorf("the realm was asked: %+v", got)
			}
		})
	}
}

func TestTokenServiceThatRedirects(t *testing.T) {
	other := newTLSFake(t)
	plain := newFake(t)
	for _, to := range []string{"https://" + other.host, "http://" + plain.host} {
		f := newTLSFake(t)
		b := &bearer{scheme: "https"}
		inner := b.before(f)
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/token" {
				http.Redirect(w, r, to+"/token?t0ken=1", http.StatusFound)
				return true
			}
			return inner(w, r)
		}
		_, err := secretClient(plain.host).Pass().Tags(t.Context(), f.host+"/x")
		wantNoSecretIn(t, err)
		wantNoSecret(t, other)
		wantNoSecret(t, plain)
		if got := plain.counts(); got != (counts{}) {
			t.Errorf("plain HTTP was followed: %+v", got)
		}
	}
}

func TestTokenServiceFaults(t *testing.T) {
	for name, c := range map[string]struct {
		before func(http.ResponseWriter)
		kind   registry.Kind
		tokens int
	}{
		"401":       {func(w http.ResponseWriter) { w.WriteHeader(http.StatusUnauthorized) }, registry.Unauthorized, 1},
		"500":       {func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, registry.Unavailable, 2},
		"HTML":      {func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>t0ken") }, registry.NotRegistry, 1},
		"no token":  {func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"refresh_token":"t0ken"}`) }, registry.NotRegistry, 1},
		"very long": {func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("t0ken", 1<<20)) }, registry.NotRegistry, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newTLSFake(t)
			b := &bearer{scheme: "https"}
			inner := b.before(f)
			f.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					c.before(w)
					return true
				}
				return inner(w, r)
			}
			_, err := secretClient().Pass().Tags(t.Context(), f.host+"/x")
			wantError(t, err, c.kind)
			wantNoSecretIn(t, err)
			if got := f.counts(); got.Token != c.tokens || got.List != 0 {
				t.Errorf("requests: %+v, want %d for a token", got, c.tokens)
			}
		})
	}
}

// A blob lies elsewhere in most public registries.
func TestABlobThatLiesElsewhere(t *testing.T) {
	f, store := newTLSFake(t), newTLSFake(t)
	push := newFake(t)
	for _, each := range []*fake{f, store} {
		each.backend = push.backend
	}
	images.PushImage(t, push.host, "x", "1.0", images.Image{Seed: "s", Created: day(5)})
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		blob := strings.Contains(r.URL.Path, "/blobs/")
		if blob {
			http.Redirect(w, r, "https://"+store.host+r.URL.Path, http.StatusTemporaryRedirect)
		}
		return blob
	}
	got, err := secretClient().Pass().Created(t.Context(), f.host+"/x", "1.0")
	if err != nil || !got.Equal(day(5)) {
		t.Errorf("got %v, %v", got, err)
	}
	wantNoSecret(t, store)
}

// A proxy's word is the operator's: it may be on a private address.
func TestAProxyIsUsed(t *testing.T) {
	proxy := newFake(t)
	proxy.before = tagList("x", `["1.0"]`)
	t.Setenv("HTTP_PROXY", "http://"+proxy.host)
	t.Setenv("NO_PROXY", "")
	got, err := plainClient("registry.example").Pass().Tags(t.Context(), "registry.example/x")
	if err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = plainClient("169.254.169.254").Pass().Tags(t.Context(), "169.254.169.254/x")
	wantError(t, err, registry.Unavailable, "which is never asked")
	if diff := cmp.Diff(counts{Ping: 1, List: 1}, proxy.counts()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
