// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// tally keeps what was asked, as "METHOD host path?query".
type tally struct {
	mu    sync.Mutex
	asked []string
}

func (c *tally) note(r *http.Request) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r.Method+" "+host+" "+r.URL.RequestURI())
}

// count is how many requests so far had all of these parts.
func (c *tally) count(parts ...string) int { return len(c.with(parts...)) }

func (c *tally) with(parts ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []string
	for _, asked := range c.asked {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(asked, part)
		}
		if all {
			found = append(found, asked)
		}
	}
	return found
}

// front stands before a server, at an address of its own. It counts what is asked, and
// goes away or answers by itself where a test says so.
type front struct {
	tally

	t       *testing.T
	address string // 127.0.0.1:PORT
	next    http.Handler

	guard  sync.Mutex
	server *http.Server
	answer func(w http.ResponseWriter, r *http.Request) (done bool)
	inside int // requests that are under way
}

func newFront(t *testing.T, next http.Handler) *front {
	t.Helper()
	f := &front{t: t, address: "127.0.0.1:0", next: next}
	f.back()
	t.Cleanup(f.away)
	return f
}

// proxy hands requests on to another server.
func proxy(host string) http.Handler {
	return httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
}

// fronts puts one before the Git server and one before the registry. Manifests and
// objects that are made later name these; images are pushed past it.
func (w *world) fronts() (git, registry *front) {
	w.t.Helper()
	git, registry = newFront(w.t, w.server), newFront(w.t, proxy(w.store))
	w.server.URL = "http://" + git.address
	w.repo.URL = w.server.URL + "/fleet.git"
	w.registry = registry.address
	return git, registry
}

// away takes the server from the network: whoever asks is refused.
func (f *front) away() {
	f.guard.Lock()
	defer f.guard.Unlock()
	_ = f.server.Close()
}

// back is the end of away.
func (f *front) back() {
	f.t.Helper()
	listener, err := net.Listen("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.guard.Lock()
	defer f.guard.Unlock()
	f.address = listener.Addr().String()
	f.server = &http.Server{Handler: f}
	go func(s *http.Server) { _ = s.Serve(listener) }(f.server)
}

// instead lets a test answer; what it is not done with goes to the server. nil ends it.
func (f *front) instead(answer func(w http.ResponseWriter, r *http.Request) (done bool)) {
	f.guard.Lock()
	defer f.guard.Unlock()
	f.answer = answer
}

// fail answers everything with a status.
func (f *front) fail(status int) {
	f.instead(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, http.StatusText(status), status)
		return true
	})
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.note(r)
	f.guard.Lock()
	f.inside++
	answer := f.answer
	f.guard.Unlock()
	defer func() {
		f.guard.Lock()
		defer f.guard.Unlock()
		f.inside--
	}()
	if answer == nil || !answer(w, r) {
		f.next.ServeHTTP(w, r)
	}
}

// underWay is how many requests are not answered yet.
func (f *front) underWay() int {
	f.guard.Lock()
	defer f.guard.Unlock()
	return f.inside
}

// isPush tells whether a request is one that moves a branch.
func isPush(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

// counted is a configuration whose requests are counted.
func counted(config *rest.Config) (*rest.Config, *tally) {
	c := &tally{}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			c.note(r)
			return next.RoundTrip(r)
		})
	})
	return config, c
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
