// SPDX-License-Identifier: Apache-2.0

// Package githubapp gets tokens for the installation of a GitHub App, as
// https://docs.github.com/apps describes it, and keeps each until it is about to
// end.
//
// It speaks to GitHub's API alone, over HTTPS, follows no redirect, and repeats
// neither key nor token in an error.
package githubapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// Username is what goes with a token over HTTPS.
	Username = "x-access-token"

	defaultBaseURL = "https://api.github.com"
	// assertionAge is how long a JWT counts. GitHub takes ten minutes at most, and
	// its clock may be behind.
	assertionAge = 8 * time.Minute
	clockSkew    = time.Minute
	// renewBefore is when, before its end, a token is no more used.
	renewBefore = 5 * time.Minute
	maxAnswer   = 1 << 20
)

// App is an installation of a GitHub App.
type App struct {
	ID, InstallationID string
	PrivateKey         string // RSA, in PEM
	BaseURL            string // of the API; empty: GitHub's own
}

// StatusError is what the API answers in place of a token.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("cannot get a token for the GitHub App: the API answers %d %s", e.Status, http.StatusText(e.Status))
}

// Tokens gives tokens for an App. It is not safe for concurrent use.
type Tokens struct {
	url    string
	id     string
	signer jose.Signer
	client http.Client
	now    func() time.Time

	token string
	ends  time.Time
}

var number = regexp.MustCompile(`^[0-9]{1,20}$`)

// New checks what can be checked without a request.
func New(app App, wire http.RoundTripper) (*Tokens, error) {
	base := strings.TrimSuffix(app.BaseURL, "/")
	if base == "" {
		base = defaultBaseURL
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("githubAppBaseURL is no https URL")
	}
	if app.ID == "" || !number.MatchString(app.InstallationID) {
		return nil, errors.New("githubAppID or githubAppInstallationID is missing, or is no number")
	}
	key, err := parseKey(app.PrivateKey)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("cannot use githubAppPrivateKey: %w", err)
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Tokens{url: base + "/app/installations/" + app.InstallationID + "/access_tokens", id: app.ID, signer: signer,
		client: http.Client{Transport: wire, CheckRedirect: stay, Timeout: time.Minute}, now: time.Now}, nil
}

// Token is one that counts for some minutes more.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	if t.token != "" && t.now().Before(t.ends.Add(-renewBefore)) {
		return t.token, nil
	}
	assertion, err := t.assert()
	if err != nil {
		return "", err
	}
	t.token, t.ends, err = t.exchange(ctx, assertion)
	return t.token, err
}

// Forget drops the token, which the server did not take.
func (t *Tokens) Forget() { t.token = "" }

func (t *Tokens) assert() (string, error) {
	now := t.now()
	assertion, err := jwt.Signed(t.signer).Claims(jwt.Claims{
		Issuer: t.id, IssuedAt: jwt.NewNumericDate(now.Add(-clockSkew)), Expiry: jwt.NewNumericDate(now.Add(assertionAge)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("cannot sign with githubAppPrivateKey: %w", err)
	}
	return assertion, nil
}

func (t *Tokens) exchange(ctx context.Context, assertion string) (token string, ends time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, http.NoBody)
	if err != nil {
		return "", ends, err
	}
	req.Header = http.Header{"Accept": {"application/vnd.github+json"}, "Authorization": {"Bearer " + assertion},
		"User-Agent": {"pintle"}, "X-Github-Api-Version": {"2022-11-28"}}
	res, err := t.client.Do(req)
	if err != nil {
		return "", ends, err
	}
	defer res.Body.Close() //nolint:errcheck // nothing was written
	if res.StatusCode != http.StatusCreated {
		return "", ends, &StatusError{res.StatusCode}
	}
	var answer struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&answer); err != nil || answer.Token == "" {
		return "", ends, errors.New("cannot get a token for the GitHub App: the API's answer has none")
	}
	return answer.Token, answer.ExpiresAt, nil
}
