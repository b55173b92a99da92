// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

// Google's issuer, and the keys that its discovery document names. Source:
// https://accounts.google.com/.well-known/openid-configuration.
const (
	googleIssuer = "https://accounts.google.com"
	googleKeys   = "https://www.googleapis.com/oauth2/v3/certs"
)

const (
	// maxToken bounds a token, which has a kilobyte or so.
	maxToken = 8 << 10
	// maxKeys bounds the answer with the keys.
	maxKeys = 256 << 10
	// keysTimeout bounds the wait for them: Pub/Sub gives the whole request ten
	// seconds by default.
	keysTimeout = 5 * time.Second
	// keysInterval and keysBurst bound how often tokens of strangers, with keys
	// that do not exist, make the keys be asked for.
	keysInterval, keysBurst = 10 * time.Second, 3
)

var (
	errNoKeys   = refusal{http.StatusServiceUnavailable, "the keys of the issuer cannot be had now: try again"}
	errOften    = errors.New("the keys were asked for a moment ago")
	errKeysFail = errors.New("the keys cannot be had")
)

// identity is proven by a token that the endpoint's issuer signed. Source: Google
// Cloud, "Authentication for push subscriptions",
// https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions.
type identity struct {
	verifier *oidc.IDTokenVerifier
	email    string
}

func newIdentity(e Endpoint) (proof, error) {
	switch {
	case e.Secret != "":
		return nil, fmt.Errorf("%s shows who it is by a token, so a secret is of no use", e.Source)
	case e.Audience == "":
		return nil, errors.New("audience is missing: it is what the push subscription is set up with, usually the URL of the endpoint")
	case e.Email == "":
		return nil, errors.New("email is missing: it is that of the service account that the push subscription is set up with")
	case (e.Issuer == "") != (e.Keys == ""):
		return nil, errors.New("issuer and keys go together")
	case e.Issuer == "":
		e.Issuer, e.Keys = googleIssuer, googleKeys
	}
	if err := checkKeysURL("keys", e.Keys); err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout:       keysTimeout,
		Transport:     &fetcher{limit: rate.NewLimiter(rate.Every(keysInterval), keysBurst)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), e.Keys)
	verifier := oidc.NewVerifier(e.Issuer, noting{keys}, &oidc.Config{ClientID: e.Audience, SupportedSigningAlgs: []string{oidc.RS256, oidc.ES256}})
	return identity{verifier: verifier, email: e.Email}, nil
}

func (i identity) headers(r *http.Request) error {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || raw == "":
		return errMissing
	case len(raw) > maxToken:
		return errWrong
	}
	failed := false
	ctx := context.WithValue(r.Context(), noteKey{}, &failed)
	token, err := i.verifier.Verify(ctx, raw)
	if failed {
		return errNoKeys
	}
	if err != nil {
		return errWrong
	}
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := token.Claims(&claims); err != nil || !claims.Verified ||
		subtle.ConstantTimeCompare([]byte(claims.Email), []byte(i.email)) != 1 {
		return errWrong
	}
	return nil
}

func (identity) body(http.Header, []byte) error { return nil }

// noting tells a wrong token from keys that cannot be had: the verifier makes text
// of both.
type noting struct{ oidc.KeySet }

type noteKey struct{}

// VerifySignature is part of oidc.KeySet.
func (n noting) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := n.KeySet.VerifySignature(ctx, token)
	if failed, ok := ctx.Value(noteKey{}).(*bool); ok && (errors.Is(err, errKeysFail) || ctx.Err() != nil) {
		*failed = true
	}
	return payload, err
}

// fetcher gets keys, seldom and not too many.
type fetcher struct{ limit *rate.Limiter }

// RoundTrip is part of http.RoundTripper.
func (f *fetcher) RoundTrip(r *http.Request) (*http.Response, error) {
	if !f.limit.Allow() {
		return nil, errOften // what is not among keys so fresh does not exist
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, errors.Join(errKeysFail, err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: the answer is %s", errKeysFail, resp.Status)
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxKeys), resp.Body}
	return resp, nil
}
