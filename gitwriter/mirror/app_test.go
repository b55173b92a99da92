// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/githubapp"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// TestAGitHubApp: one token serves a whole pass, and a revoked one is replaced in the
// next. What is said to the API is checked in gitwriter/githubapp.
func TestAGitHubApp(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{Username: githubapp.Username, Password: "s3cret-1", TLS: true})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	var tokens, status atomic.Int32
	status.Store(http.StatusCreated)
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		_, _ = fmt.Fprintf(w, `{"token": "s3cret-%d", "expires_at": %q}`, tokens.Add(1), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(api.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	auth := mirror.Auth{RootCAs: server.Authority, App: githubapp.App{ID: "7", InstallationID: "42", BaseURL: api.URL,
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))}}
	m, err := mirror.Open(repo.URL, "", auth)
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, m)
	if err := commit(t.Context(), m, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
		t.Error(err)
	}
	if tokens.Load() != 1 {
		t.Errorf("%d tokens were asked for, want 1", tokens.Load())
	}

	server.SetPassword("s3cret-2")
	_, err = m.Tip(t.Context())
	wantKind(t, err, mirror.Unauthorized, "other credentials")
	fetch(t, m)

	for answer, kind := range map[int32]mirror.Kind{401: mirror.Unauthorized, 404: mirror.Unauthorized, 403: mirror.Forbidden, 502: mirror.Unreachable} {
		status.Store(answer)
		wantKind(t, writeTo(t.Context(), repo.URL, "", auth), kind, "cannot get a token for the GitHub App")
	}
	auth.App.PrivateKey = "s3cret"
	_, err = mirror.Open(repo.URL, "", auth)
	wantKind(t, err, mirror.Unauthorized, "githubAppPrivateKey is no RSA private key")
}
