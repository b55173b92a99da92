// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// tokenMargin is how long before its end a token is replaced.
const tokenMargin = 10 * time.Second

// renewForbidden is how old a login must be for a 403 to mean that it has ended, as
// it does at Amazon ECR after twelve hours.
const renewForbidden = time.Hour

// grant is what opens one repository: the value of the Authorization header.
type grant struct {
	header  string
	expires time.Time // zero: until a 401
	by      *transport.Challenge
	pass    int64       // the pass that asked for it
	since   time.Time   // when it was asked for
	opened  atomic.Bool // it was good once
	refused atomic.Bool // so is each login before it, and there is none after it

	login authn.AuthConfig
	tried int     // logins, with this one
	rest  []login // those to try if it is refused
}

// outlived says whether a refusal may be due to the age of a login: a new one, or
// another one, is worth asking for. One of this pass that never opened anything is
// just wrong.
func (g *grant) outlived(status int, pass int64, now time.Time) bool {
	if status == http.StatusForbidden {
		return g.opened.Load() && (g.tried > 1 || !g.isToken() && now.Sub(g.since) > renewForbidden)
	}
	return g.opened.Load() || g.pass != pass
}

func (g *grant) expired(now time.Time) bool { return !g.expires.IsZero() && !now.Before(g.expires) }

func (g *grant) isToken() bool { return strings.EqualFold(g.by.Scheme, "bearer") }

// challenge pings the registry once, to learn how it wants logins. Faults are
// not remembered here; a Pass does that. It is for the sake of a repository.
func (h *host) challenge(ctx context.Context, repository string) (*transport.Challenge, error) {
	return h.challenges.get(ctx, "", func() (challenge *transport.Challenge, err error) {
		err = h.inTurn(ctx, repository, false, true, func(ctx context.Context) (int, error) {
			challenge, err = transport.Ping(ctx, h.name, h.named)
			return http.StatusOK, err
		})
		return challenge, err
	})
}

// grant gives the login for a repository, asking the token service at most once
// while the token lasts. after, if there is one, was refused: the next login has
// its turn.
func (h *host) grant(ctx context.Context, challenge *transport.Challenge, repository string, pass int64, after *grant) (*grant, error) {
	over := func(g *grant) bool { return g == after || g.expired(time.Now()) }
	return h.grants.getUnless(ctx, repository, over, func() (*grant, error) {
		logins, tried, err := h.next(ctx, repository, after)
		if err != nil {
			return nil, err
		}
		g, err := h.open(ctx, challenge, repository, logins)
		if err != nil {
			return nil, err
		}
		g.pass, g.tried = pass, g.tried+tried
		return g, nil
	})
}

// next are the logins that are left to try after one that was refused, and how many were.
func (h *host) next(ctx context.Context, repository string, after *grant) (left []login, tried int, err error) {
	if after != nil {
		return after.rest, after.tried, nil
	}
	left, err = h.logins(ctx, repository)
	return left, 0, err
}

// open takes the first login that the token service does not refuse.
func (h *host) open(ctx context.Context, challenge *transport.Challenge, repository string, logins []login) (*grant, error) {
	var refusal error
	for i, l := range logins {
		g, err := h.logIn(ctx, challenge, repository, l)
		if err == nil {
			g.tried, g.rest = i+1, logins[i+1:]
			return g, nil
		}
		if refusal == nil {
			refusal = err
		}
		if answer, ok := errors.AsType[*transport.Error](err); !ok || !refusesLogin(answer.StatusCode) {
			return nil, err
		}
	}
	return nil, refusal
}

func (h *host) logIn(ctx context.Context, challenge *transport.Challenge, repository string, l login) (*grant, error) {
	g := &grant{by: challenge, header: basicHeader(&l.AuthConfig), expires: l.expires, since: time.Now(), login: l.AuthConfig}
	if l.RegistryToken != "" {
		g.header = "Bearer " + l.RegistryToken
		return g, nil
	}
	if !g.isToken() {
		return g, nil
	}
	var token *transport.Token
	err := h.inTurn(ctx, repository, false, false, func(ctx context.Context) (_ int, err error) {
		g.since = time.Now()
		scopes := []string{h.name.Repo(repository).Scope(transport.PullScope)}
		token, err = transport.Exchange(ctx, h.name, authn.FromConfig(l.AuthConfig), h.named, scopes, challenge)
		return 0, err // which says nothing of the registry
	})
	if err != nil {
		return nil, err
	}
	g.header, g.expires = "Bearer "+token.Token, time.Time{}
	if token.Token == "" {
		g.header = "Bearer " + token.AccessToken
	}
	if life := time.Duration(token.ExpiresIn) * time.Second; life > 2*tokenMargin {
		g.expires = g.since.Add(life - tokenMargin)
	}
	return g, nil
}

// inTurn does one request when its turn comes, and within the time that a request
// may take; pull is one that counts as a pull. The answer's status, or the error,
// tells how the registry does.
func (h *host) inTurn(ctx context.Context, repository string, pull, ping bool, do func(context.Context) (int, error)) (err error) {
	t, err := h.turn(ctx, repository, pull)
	if err != nil {
		return err
	}
	o := outcome{}
	defer func() { // also where do panics
		if closed := t.leave(o); closed != nil {
			err = closed
		}
	}()
	timed, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	status, err := do(timed)
	o = h.outcomeOf(ctx, status, err, ping)
	return err
}

// turn waits until nothing stands against a request.
func (h *host) turn(ctx context.Context, repository string, pull bool) (*turn, error) {
	for {
		if err := h.wire.pauses.sit(ctx, pull); err != nil {
			return nil, err
		}
		t, err := h.limits.gate(h.wire.host, unitOf(h.timeout)).enter(ctx, repository)
		if err != nil {
			return nil, err
		}
		if left, err := h.wire.pauses.left(pull, time.Now()); err == nil && left <= 0 {
			return t, nil
		}
		_ = t.leave(outcome{}) // a pause began while this waited
	}
}

// forget makes place for a new login, and for a new ping where the registry may have
// changed how it wants logins.
func (h *host) forget(repository string, stale func(*grant) bool) {
	h.grants.forget(repository, func(g *grant) bool {
		if !stale(g) {
			return false
		}
		if !g.isToken() {
			h.challenges.forget("", func(kept *transport.Challenge) bool { return kept == g.by })
		}
		return true
	})
}

func basicHeader(login *authn.AuthConfig) string {
	switch {
	case login.Username != "" && login.Password != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(login.Username+":"+login.Password))
	case login.Auth != "":
		return "Basic " + login.Auth
	default:
		return ""
	}
}

func registryName(hostport, scheme string) (name.Registry, error) {
	if scheme == "http" {
		return name.NewRegistry(hostport, name.Insecure)
	}
	return name.NewRegistry(hostport)
}
