// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/registry/events"
)

const (
	audience = "https://pintle.example.com/hooks/artifact-registry"
	email    = "pusher@acme.iam.gserviceaccount.com"
)

var identityWants = []want{
	{events.ArtifactRegistry, "insert", 202, []string{"us-east1-docker.pkg.dev/acme/images/podinfo:6.1.0@" + digest}},
	{events.ArtifactRegistry, "untagged", 204, nil},
	{events.ArtifactRegistry, "delete", 204, nil},
	{events.ArtifactRegistry, "other-host", 204, nil},
	{events.ArtifactRegistry, "broken", 400, nil},
}

// issuer makes tokens with the standard library alone, and serves its key.
type issuer struct {
	*httptest.Server

	key    *rsa.PrivateKey
	asked  atomic.Int32
	status int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, status: http.StatusOK}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		w.WriteHeader(i.status)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "first",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()),
		}}})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) endpoint() events.Endpoint {
	e := endpoint(events.ArtifactRegistry)
	e.Issuer, e.Keys = "https://issuer.example.com", i.URL+"/keys"
	return e
}

// claims are those of a good token, with changes.
func claims(changes map[string]any) map[string]any {
	all := map[string]any{
		"iss": "https://issuer.example.com", "aud": audience, "azp": "113774264463038321964", "sub": "113774264463038321964",
		"email": email, "email_verified": true,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(all, changes)
	return all
}

func (i *issuer) token(t *testing.T, key *rsa.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(header) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

var rs256 = map[string]any{"alg": "RS256", "typ": "JWT", "kid": "first"}

func TestArtifactRegistry(t *testing.T) {
	issuer := newIssuer(t)
	e := issuer.endpoint()
	token := issuer.token(t, issuer.key, rs256, claims(nil))
	for _, w := range identityWants {
		t.Run(w.name, func(t *testing.T) {
			receiver := newReceiver(t, e)
			r := readFixture(t, w.source, w.name).request(e.Path)
			r.Header.Set("Authorization", "Bearer "+token)
			status, body := receiver.send(r)
			checkGot(t, receiver, w, status, body)
		})
	}
}

func TestTokensAreVerified(t *testing.T) {
	issuer := newIssuer(t)
	e, f := issuer.endpoint(), readFixture(t, events.ArtifactRegistry, "insert")
	receiver := newReceiver(t, e)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := issuer.token(t, issuer.key, rs256, claims(nil))
	unsigned := strings.Split(issuer.token(t, issuer.key, map[string]any{"alg": "none"}, claims(nil)), ".")
	changed := strings.Split(good, ".")
	changed[1] = strings.Split(issuer.token(t, issuer.key, rs256, claims(map[string]any{"jti": "x"})), ".")[1]
	own := func(changes map[string]any) string { return issuer.token(t, issuer.key, rs256, claims(changes)) }
	for name, c := range map[string]struct {
		token  string
		status int
	}{
		"none":              {"", 401},
		"no token":          {"Bearer ", 401},
		"basic":             {"Basic " + good, 401},
		"not a token":       {"Bearer x", 403},
		"too long":          {"Bearer " + strings.Repeat("x", 9000), 403},
		"not signed":        {"Bearer " + unsigned[0] + "." + unsigned[1] + ".", 403},
		"other claims":      {"Bearer " + strings.Join(changed, "."), 403},
		"a stranger's key":  {"Bearer " + issuer.token(t, stranger, rs256, claims(nil)), 403},
		"another issuer":    {"Bearer " + own(map[string]any{"iss": "https://evil.example.com"}), 403},
		"Google's issuer":   {"Bearer " + own(map[string]any{"iss": "https://accounts.google.com"}), 403},
		"another audience":  {"Bearer " + own(map[string]any{"aud": "https://other.example.com"}), 403},
		"expired":           {"Bearer " + own(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}), 403},
		"another account":   {"Bearer " + own(map[string]any{"email": "eve@acme.iam.gserviceaccount.com"}), 403},
		"not verified":      {"Bearer " + own(map[string]any{"email_verified": false}), 403},
		"the key's address": {"Bearer " + issuer.token(t, stranger, map[string]any{"alg": "RS256", "kid": "x", "jku": "http://127.0.0.1:1/"}, claims(nil)), 403},
	} {
		r := f.request(e.Path)
		r.Body = untouched{t}
		r.Header.Set("Authorization", c.token)
		receiver.refuses(t, name, r, c.status)
	}
	r := f.request(e.Path)
	r.Header.Set("Authorization", "Bearer "+good)
	if status, body := receiver.send(r); status != 202 {
		t.Errorf("a good token is answered with %d: %s", status, body)
	}
}

// Tokens with keys that do not exist make the issuer be asked only so often, and
// keep nobody else out.
func TestForgedTokensDoNotFloodTheIssuer(t *testing.T) {
	issuer := newIssuer(t)
	e, f := issuer.endpoint(), readFixture(t, events.ArtifactRegistry, "insert")
	receiver := newReceiver(t, e)
	send := func(header map[string]any) int {
		r := f.request(e.Path)
		r.Header.Set("Authorization", "Bearer "+issuer.token(t, issuer.key, header, claims(nil)))
		status, _ := receiver.send(r)
		return status
	}
	if status := send(rs256); status != 202 {
		t.Fatalf("a good token is answered with %d", status)
	}
	for range 30 {
		if status := send(map[string]any{"alg": "RS256", "kid": "forged"}); status != 403 {
			t.Errorf("a forged token is answered with %d", status)
		}
	}
	if status := send(rs256); status != 202 {
		t.Errorf("then a good token is answered with %d", status)
	}
	if asked := issuer.asked.Load(); asked != 3 {
		t.Errorf("the issuer is asked %d times, want 3", asked)
	}
}

func TestWithoutKeysTheSourceIsToTryAgain(t *testing.T) {
	issuer := newIssuer(t)
	issuer.status = http.StatusBadGateway
	e := issuer.endpoint()
	r := readFixture(t, events.ArtifactRegistry, "insert").request(e.Path)
	r.Header.Set("Authorization", "Bearer "+issuer.token(t, issuer.key, rs256, claims(nil)))
	newReceiver(t, e).refuses(t, "a bad gateway", r, 503)
	issuer.Close()
	newReceiver(t, e).refuses(t, "no server", r, 503)
}
