// SPDX-License-Identifier: Apache-2.0

package githubapp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// github is strict about what GitHub publishes of POST
// /app/installations/{installation_id}/access_tokens, and knows one App.
type github struct {
	key    *rsa.PublicKey
	now    func() time.Time
	tokens int
	status int // in place of a token
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := g.check(r)
	if status == http.StatusCreated && g.status != 0 {
		status = g.status
	}
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(status)
	if status == http.StatusCreated {
		g.tokens++
		_, _ = fmt.Fprintf(w, `{"token": "ghs_%d", "expires_at": %q, "permissions": {"contents": "write"}}`, g.tokens, g.now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
}

func (g *github) check(r *http.Request) int {
	assertion, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/api/v3/app/installations/42/access_tokens":
		return http.StatusNotFound
	case r.Header.Get("User-Agent") == "" || !bearer:
		return http.StatusForbidden
	case r.Header.Get("Accept") != "application/vnd.github+json" || r.Header.Get("X-Github-Api-Version") != "2022-11-28":
		return http.StatusBadRequest
	case !g.proves(assertion):
		return http.StatusUnauthorized
	}
	return http.StatusCreated
}

// proves reads a JWT without the library that made it.
func (g *github) proves(assertion string) bool {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return false
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return false
		}
	}
	var header struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
	}
	var claims struct {
		Iss string `json:"iss"`
		Iat int64  `json:"iat"`
		Exp int64  `json:"exp"`
	}
	if json.Unmarshal(decoded[0], &header) != nil || json.Unmarshal(decoded[1], &claims) != nil {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := g.now().Unix()
	return header.Alg == "RS256" && header.Typ == "JWT" && rsa.VerifyPKCS1v15(g.key, crypto.SHA256, sum[:], decoded[2]) == nil &&
		claims.Iss == "7" && claims.Iat <= now && claims.Exp > now && claims.Exp <= now+600
}

func TestTokens(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	now := time.Now()
	clock := func() time.Time { return now }
	api := &github{key: &key.PublicKey, now: clock}
	server := httptest.NewTLSServer(api)
	t.Cleanup(server.Close)
	app := App{ID: "7", InstallationID: "42", PrivateKey: text, BaseURL: server.URL + "/api/v3/"}
	open := func(app App) *Tokens {
		t.Helper()
		tokens, err := New(app, server.Client().Transport)
		if err != nil {
			t.Fatal(err)
		}
		tokens.now = clock
		return tokens
	}
	tokens := open(app)
	wants := func(want string) {
		t.Helper()
		if got, err := tokens.Token(t.Context()); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	wants("ghs_1")
	now = now.Add(54 * time.Minute)
	wants("ghs_1")
	now = now.Add(2 * time.Minute) // four before its end
	wants("ghs_2")
	tokens.Forget()
	wants("ghs_3")

	for _, status := range []int{http.StatusFound, http.StatusForbidden, http.StatusInternalServerError} {
		api.status = status
		tokens.Forget()
		_, err := tokens.Token(t.Context())
		if answer, ok := errors.AsType[*StatusError](err); !ok || answer.Status != status {
			t.Errorf("got %v, want the status %d", err, status)
		}
	}
	api.status = 0
	app.ID = "8"
	if _, err := open(app).Token(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("another App: %v", err)
	}
}

func TestAppsThatCannotBe(t *testing.T) {
	for name, app := range map[string]App{
		"no key":          {ID: "7", InstallationID: "42"},
		"no PEM":          {ID: "7", InstallationID: "42", PrivateKey: "s3cret"},
		"no installation": {ID: "7", PrivateKey: "s3cret"},
		"a path":          {ID: "7", InstallationID: "42/../1", PrivateKey: "s3cret"},
		"plain HTTP":      {ID: "7", InstallationID: "42", PrivateKey: "s3cret", BaseURL: "http://s3cret"},
	} {
		if _, err := New(app, http.DefaultTransport); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
