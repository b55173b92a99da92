// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/registry"
)

// TestMain lets this process trust the certificate of httptest's TLS servers,
// so that HTTPS is tested with its verification on.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "pintle-registry-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	server := httptest.NewTLSServer(nil)
	server.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	file := filepath.Join(folder, "ca.pem")
	if err := errors.Join(os.WriteFile(file, certificate, 0o600), os.Setenv("SSL_CERT_FILE", file)); err != nil {
		log.Print(err)
		return 1
	}
	return m.Run()
}

// counts of requests, by what they ask for.
type counts struct{ Ping, Token, List, Head, Get, Blob int }

// fake is go-containerregistry's in-process registry behind a handler that
// counts, keeps what was sent, and may answer in its place.
type fake struct {
	host string
	// before answers a request itself if it returns true. Set it before the
	// first request.
	before func(http.ResponseWriter, *http.Request) bool

	backend http.Handler
	mu      sync.Mutex
	counted counts
	seen    []*http.Request
}

func newFake(t testing.TB) *fake { return startFake(t, false) }

func newTLSFake(t testing.TB) *fake { return startFake(t, true) }

func startFake(t testing.TB, encrypted bool) *fake {
	t.Helper()
	f := &fake{backend: inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewUnstartedServer(f)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if encrypted {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	f.host = server.Listener.Addr().String()
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.count(r)
	if f.before != nil && f.before(w, r) {
		return
	}
	f.backend.ServeHTTP(w, r)
}

func (f *fake) count(r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, r.Clone(r.Context()))
	switch path := r.URL.Path; {
	case path == "/v2/":
		f.counted.Ping++
	case path == "/token":
		f.counted.Token++
	case strings.HasSuffix(path, "/tags/list"):
		f.counted.List++
	case strings.Contains(path, "/manifests/") && r.Method == http.MethodHead:
		f.counted.Head++
	case strings.Contains(path, "/manifests/"):
		f.counted.Get++
	case strings.Contains(path, "/blobs/"):
		f.counted.Blob++
	}
}

// counts gives the numbers since the last call.
func (f *fake) counts() counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	counted := f.counted
	f.counted = counts{}
	f.seen = nil
	return counted
}

func (f *fake) requests() []*http.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*http.Request(nil), f.seen...)
}

// tagList serves a list of one page.
func tagList(repository string, tags string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		_, _ = io.WriteString(w, `{"name":"`+repository+`","tags":`+tags+`}`)
		return true
	}
}

// login is a keychain with one login for everything.
type login struct{ username, password string }

func (l login) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: l.username, Password: l.password}, nil
}

// anonymous is the keychain of tests, so that the machine's own is not read.
type anonymous struct{}

func (anonymous) Resolve(authn.Resource) (authn.Authenticator, error) { return authn.Anonymous, nil }

// plainClient may speak HTTP to the hosts, as often as it likes.
func plainClient(hosts ...string) *registry.Client {
	return registry.New(registry.Options{PlainHTTP: hosts, Keychain: anonymous{}, Timeout: time.Minute, Limits: registry.NewLimits(-1)})
}

// tagAs gives an image that is there more tags.
func tagAs(t *testing.T, repository, from string, to ...string) {
	t.Helper()
	source, err := name.ParseReference(repository+":"+from, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := remote.Get(source)
	if err != nil {
		t.Fatal(err)
	}
	pusher, err := remote.NewPusher()
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range to {
		if err := pusher.Push(t.Context(), source.Context().Tag(tag), descriptor); err != nil {
			t.Fatal(err)
		}
	}
}
