// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/base64"
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

// grant is what opens one repository: the value of the Authorization header.
type grant struct {
	header  string
	expires time.Time // zero: until a 401
	by      *transport.Challenge
	pass    int64       // the pass that asked for it
	opened  atomic.Bool // it was good once
}

// outlived says whether a 401 may be due to the age of a login: a new one is
// worth asking for. One of this pass that never opened anything is just wrong.
func (g *grant) outlived(pass int64) bool { return g.opened.Load() || g.pass != pass }

func (g *grant) expired(now time.Time) bool { return !g.expires.IsZero() && !now.Before(g.expires) }

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
// while the token lasts.
func (h *host) grant(ctx context.Context, challenge *transport.Challenge, repository string, pass int64) (*grant, error) {
	h.grants.forget(repository, func(g *grant) bool { return g.expired(time.Now()) })
	return h.grants.get(ctx, repository, func() (*grant, error) {
		g, err := h.logIn(ctx, challenge, repository)
		if err != nil {
			return nil, err
		}
		g.pass = pass
		return g, nil
	})
}

func (h *host) logIn(ctx context.Context, challenge *transport.Challenge, repository string) (*grant, error) {
	repo := h.name.Repo(repository)
	login, err := h.login(ctx, repo)
	if err != nil {
		return nil, faultf(Unauthorized, "the Docker configuration or its credential helper gives no login for %s", h.wire.host)
	}
	g := &grant{by: challenge, header: basicHeader(login)}
	if login.RegistryToken != "" {
		g.header = "Bearer " + login.RegistryToken
		return g, nil
	}
	if !strings.EqualFold(challenge.Scheme, "bearer") {
		return g, nil
	}
	var token *transport.Token
	var asked time.Time
	err = h.inTurn(ctx, repository, false, false, func(ctx context.Context) (int, error) {
		asked = time.Now()
		token, err = transport.Exchange(ctx, h.name, authn.FromConfig(*login), h.named, []string{repo.Scope(transport.PullScope)}, challenge)
		return 0, err // which says nothing of the registry
	})
	if err != nil {
		return nil, err
	}
	g.header = "Bearer " + token.Token
	if token.Token == "" {
		g.header = "Bearer " + token.AccessToken
	}
	if life := time.Duration(token.ExpiresIn) * time.Second; life > 2*tokenMargin {
		g.expires = asked.Add(life - tokenMargin)
	}
	return g, nil
}

// login asks the keychain.
func (h *host) login(ctx context.Context, repo name.Repository) (*authn.AuthConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	authenticator, err := authn.Resolve(ctx, h.keychain, repo)
	if err != nil {
		return nil, err
	}
	return authn.Authorization(ctx, authenticator)
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

// refused makes place for a new login after a 401, and for a new ping where the
// registry may have changed how it wants logins.
func (h *host) refused(g *grant, repository string) {
	h.grants.forget(repository, func(kept *grant) bool { return kept == g })
	if !strings.EqualFold(g.by.Scheme, "bearer") {
		h.challenges.forget("", func(kept *transport.Challenge) bool { return kept == g.by })
	}
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
