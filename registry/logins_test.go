// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/pintle-dev/pintle/registry"
)

// several is a keychain with many logins, by their passwords.
type several []string

func (s several) Resolve(authn.Resource) (authn.Authenticator, error) {
	return nil, errors.New("the first alone is asked for")
}

func (s several) ResolveAll(context.Context, authn.Resource) ([]authn.Authenticator, error) {
	var all []authn.Authenticator
	for _, password := range s {
		all = append(all, &authn.Basic{Username: "ann", Password: password})
	}
	return all, nil
}

// lock opens for one password, and answers a wrong one with a status.
type lock struct {
	mu     sync.Mutex
	right  string
	status int
	scheme string // "basic", "token" (its service refuses) or "scope" (its tokens are good for nothing)
}

func (l *lock) set(right string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.right = right
}

func (l *lock) before(f *fake) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		_, password, sent := r.BasicAuth()
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case r.URL.Path == "/token" && l.scheme == "token" && password != l.right:
			w.WriteHeader(l.status)
		case r.URL.Path == "/token":
			_, _ = fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, "t0ken-"+password)
		case token == "t0ken-"+l.right || sent && password == l.right:
			return tagList("x", `["1.0"]`)(w, r)
		case r.URL.Path != "/v2/" && (sent || token != ""):
			w.WriteHeader(l.status)
		default:
			challenge := `Basic realm="x"`
			if l.scheme != "basic" {
				challenge = fmt.Sprintf(`Bearer realm="https://%s/token",service="s"`, f.host)
			}
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(http.StatusUnauthorized)
		}
		return true
	}
}

// The next login is tried, and the one that opens is the first from then on.
func TestTheNextLoginIsTried(t *testing.T) {
	type looks struct{ first, second, rotated, after counts }
	for _, c := range []struct {
		scheme string
		status int
		want   looks
	}{
		// When the right one changes, the one in use is tried, asked for anew, and then
		// each of the others in its order.
		{"basic", 401, looks{counts{Ping: 1, List: 3}, counts{List: 1}, counts{Ping: 1, List: 3}, counts{List: 1}}},
		{"token", 401, looks{counts{Ping: 1, Token: 3, List: 1}, counts{List: 1}, counts{Token: 2, List: 2}, counts{List: 1}}},
		{"token", 403, looks{counts{Ping: 1, Token: 3, List: 1}, counts{List: 1}, counts{Token: 2, List: 2}, counts{List: 1}}},
		{"scope", 401, looks{counts{Ping: 1, Token: 3, List: 3}, counts{List: 1}, counts{Token: 2, List: 3}, counts{List: 1}}},
		{"scope", 403, looks{counts{Ping: 1, Token: 3, List: 3}, counts{List: 1}, counts{Token: 2, List: 3}, counts{List: 1}}},
	} {
		t.Run(fmt.Sprint(c.scheme, " ", c.status), func(t *testing.T) {
			f := newTLSFake(t)
			l := &lock{right: "three", status: c.status, scheme: c.scheme}
			f.before = l.before(f)
			client := registry.New(registry.Options{Keychain: several{"one", "two", "two", "three"}, Timeout: time.Minute})
			look := func() counts {
				t.Helper()
				pass := client.Pass()
				for range 2 {
					_, _ = pass.Tags(t.Context(), f.host+"/x")
				}
				return f.counts()
			}
			got := looks{first: look(), second: look()}
			l.set("one")
			got.rotated, got.after = look(), look()
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(looks{})); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoginsThatAreAllRefused(t *testing.T) {
	twelve := several{}
	for i := range 12 {
		twelve = append(twelve, fmt.Sprint("wrong-", i))
	}
	for _, c := range []struct {
		logins several
		says   string
		want   counts
	}{
		{several{"wrong"}, "log in with `docker login", counts{Ping: 1, List: 1}},
		{several{"wrong", "wrong too"}, "so it is with each of the 2 logins that fit", counts{Ping: 1, List: 2}},
		{twelve, "so it is with each of the 8 logins that fit", counts{Ping: 1, List: 8}},
	} {
		f := newTLSFake(t)
		l := &lock{right: "right", status: 401, scheme: "basic"}
		f.before = l.before(f)
		client := registry.New(registry.Options{Keychain: c.logins, Timeout: time.Minute})
		for range 2 { // the next pass begins anew, since somebody may have changed something
			pass := client.Pass()
			for range 2 {
				_, err := pass.Tags(t.Context(), f.host+"/x")
				wantError(t, err, registry.Unauthorized, c.says)
			}
			if diff := cmp.Diff(c.want, f.counts()); diff != "" {
				t.Errorf("%d logins: requests (-want +got):\n%s", len(c.logins), diff)
			}
		}
	}
}

// Those who ask at the same time go on to the next login together.
func TestLoginsAreTriedTogether(t *testing.T) {
	f := newTLSFake(t)
	l := &lock{right: "right", status: 401, scheme: "scope"}
	f.before = l.before(f)
	pass := registry.New(registry.Options{Keychain: several{"wrong", "right"}, Timeout: time.Minute, Limits: registry.NewLimits(-1)}).Pass()
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { _, _ = pass.Digest(t.Context(), f.host+"/x", fmt.Sprint("1.", i)) })
	}
	group.Wait()
	if got := f.counts(); got.Token != 2 || got.Head > 40 {
		t.Errorf("requests: %+v, want 2 for tokens and at most 40", got)
	}
}

// failing is a keychain that can't say.
type failing struct{ err error }

func (f failing) Resolve(authn.Resource) (authn.Authenticator, error) { return nil, f.err }

// The cloud's identity is nothing where there is a login, right or wrong.
func TestTheCloudIsAskedLast(t *testing.T) {
	known := failing{fmt.Errorf("wrapped: %w", &registry.LoginError{Err: errors.New("there is no such cloud")})}
	for name, c := range map[string]struct {
		keychain, ambient authn.Keychain
		says              string // "" is well
	}{
		"no own login":              {anonymous{}, login{"ann", "right"}, ""},
		"no own login of several":   {several{}, login{"ann", "right"}, ""},
		"an own login":              {login{"ann", "right"}, failing{errors.New("asked")}, ""},
		"a wrong own login":         {login{"ann", "wrong"}, login{"ann", "right"}, "401"},
		"neither":                   {anonymous{}, anonymous{}, "401"},
		"off":                       {anonymous{}, nil, "401"},
		"a cloud that is not there": {anonymous{}, known, "there is no such cloud"},
		"a text that is not known":  {anonymous{}, failing{errors.New(secret)}, "gives no login for"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newTLSFake(t)
			l := &lock{right: "right", status: 401, scheme: "basic"}
			f.before = l.before(f)
			client := registry.New(registry.Options{Keychain: c.keychain, Ambient: c.ambient, Timeout: time.Minute})
			_, err := client.Pass().Tags(t.Context(), f.host+"/x")
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, registry.Unauthorized, c.says)
			wantNoSecretIn(t, err)
		})
	}
}

// ending is a login whose end is known.
type ending struct {
	*authn.Basic

	asked *int
	life  time.Duration
}

func (e ending) Resolve(authn.Resource) (authn.Authenticator, error) {
	*e.asked++
	return e, nil
}

func (e ending) Expires() time.Time { return time.Now().Add(e.life) }

func TestALoginThatEndsIsAskedForAnew(t *testing.T) {
	for life, want := range map[time.Duration]int{time.Hour: 1, -time.Second: 3} {
		f := newTLSFake(t)
		l := &lock{right: "right", status: 401, scheme: "basic"}
		f.before = l.before(f)
		asked := 0
		client := registry.New(registry.Options{Keychain: ending{&authn.Basic{Username: "ann", Password: "right"}, &asked, life}, Timeout: time.Minute})
		for range 3 {
			if _, err := client.Pass().Tags(t.Context(), f.host+"/x"); err != nil {
				t.Error(err)
			}
		}
		if asked != want {
			t.Errorf("a life of %v: the keychain was asked %d times, want %d", life, asked, want)
		}
		if diff := cmp.Diff(counts{Ping: 1, List: 3}, f.counts()); diff != "" {
			t.Errorf("a life of %v: requests (-want +got):\n%s", life, diff)
		}
	}
}
