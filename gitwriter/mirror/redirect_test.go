// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// elsewhere is a Git server that counts what comes with a login.
type elsewhere struct {
	*httptest.Server

	requests, logins atomic.Int32
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	e := &elsewhere{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.requests.Add(1)
		if r.Header.Get("Authorization") != "" {
			e.logins.Add(1)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(e.Close)
	return e
}

func TestRedirectsCarryNoLogin(t *testing.T) {
	for name, c := range map[string]struct {
		tls      bool
		redirect func(r *http.Request) bool
		kind     mirror.Kind
		says     string
		requests int32 // that get there, without a login
	}{
		"a look-up":          {false, func(r *http.Request) bool { return r.Method == http.MethodGet }, mirror.Unauthorized, "other credentials", 1},
		"a fetch":            {false, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/git-upload-pack") }, mirror.Unreachable, "redirect on non-initial request", 0},
		"a push":             {false, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/git-receive-pack") }, mirror.Unreachable, "redirect on non-initial request", 0},
		"to http from https": {true, func(*http.Request) bool { return true }, mirror.Unreachable, `changes scheme from "https" to "http"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			other := newElsewhere(t)
			git := gitserver.New(t, gitserver.Options{Username: "ada", Password: "s3cret"})
			repo := git.Create("fleet")
			repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
			front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.redirect(r) {
					http.Redirect(w, r, other.URL+r.URL.String(), http.StatusTemporaryRedirect)
					return
				}
				git.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			auth := mirror.Auth{Username: "ada", Password: "s3cret"}
			if c.tls {
				front.StartTLS()
				auth.RootCAs = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}))
			} else {
				front.Start()
			}
			err := writeTo(t.Context(), front.URL+"/fleet.git", "", auth)
			wantKind(t, err, c.kind, c.says)
			if other.requests.Load() != c.requests || other.logins.Load() != 0 {
				t.Errorf("%d requests get elsewhere, %d with a login, want %d and none", other.requests.Load(), other.logins.Load(), c.requests)
			}
		})
	}
}

// connectProxy is a proxy that leads each CONNECT to one server.
func connectProxy(t *testing.T, server string, asked *atomic.Int32) *httptest.Server {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "example.com:443" {
			http.Error(w, "CONNECT alone", http.StatusMethodNotAllowed)
			return
		}
		asked.Add(1)
		there, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", server)
		if err != nil {
			http.Error(w, "no server", http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer here.Close()
		_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(proxy.Close)
	return proxy
}

func TestProxy(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{Username: "ada", Password: "s3cret", TLS: true})
	server.Create("fleet").Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	auth := mirror.Auth{Username: "ada", Password: "s3cret", RootCAs: server.Authority}
	var asked atomic.Int32
	t.Setenv("HTTPS_PROXY", connectProxy(t, strings.TrimPrefix(server.URL, "https://"), &asked).URL)
	if err := writeTo(t.Context(), "https://example.com/fleet.git", "", auth); err != nil {
		t.Error(err)
	}
	if asked.Load() == 0 {
		t.Error("the proxy was not asked")
	}

	t.Setenv("NO_PROXY", "example.com")
	asked.Store(0)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := writeTo(ctx, "https://example.com/fleet.git", "", auth); err == nil || asked.Load() != 0 {
		t.Errorf("with NO_PROXY: %v, and the proxy was asked %d times", err, asked.Load())
	}
}
