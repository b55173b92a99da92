// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
)

// maxLogins bounds how many logins are tried for one repository.
const maxLogins = 8

// Logins is a keychain that may have several logins for an image. They are tried in
// order while the registry answers 401 or 403, eight at most, and the one that it
// takes is the first from then on.
type Logins interface {
	authn.Keychain
	// ResolveAll gives each of them, or none.
	ResolveAll(ctx context.Context, target authn.Resource) ([]authn.Authenticator, error)
}

// Expiring is an authenticator whose login ends. The keychain is asked for another
// one then.
type Expiring interface {
	authn.Authenticator
	Expires() time.Time
}

// LoginError is the error of a keychain whose text may be shown to people: it holds no
// credential, and names no URL that does. Texts of other errors are not repeated.
type LoginError struct{ Err error }

func (e *LoginError) Error() string { return e.Err.Error() }
func (e *LoginError) Unwrap() error { return e.Err }

// login is one that may open a repository; the zero value is nobody's.
type login struct {
	authn.AuthConfig

	expires time.Time // zero: it is not known
}

// logins asks the keychain, and the cloud only where the keychain has none. The one
// that opened the repository before is the first.
func (h *host) logins(ctx context.Context, repository string) ([]login, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	for _, keychain := range []authn.Keychain{h.keychain, h.ambient} {
		logins, err := loginsOf(ctx, keychain, h.name.Repo(repository))
		if err != nil {
			return nil, h.noLogin(err)
		}
		if len(logins) > 0 {
			return h.likeliest(repository, logins), nil
		}
	}
	return []login{{}}, nil
}

func loginsOf(ctx context.Context, keychain authn.Keychain, target authn.Resource) (logins []login, err error) {
	var authenticators []authn.Authenticator
	if several, ok := keychain.(Logins); ok {
		authenticators, err = several.ResolveAll(ctx, target)
	} else if keychain != nil {
		authenticators = make([]authn.Authenticator, 1)
		authenticators[0], err = authn.Resolve(ctx, keychain, target)
	}
	if err != nil {
		return nil, err
	}
	for _, authenticator := range authenticators {
		config, err := authn.Authorization(ctx, authenticator)
		if err != nil {
			return nil, err
		}
		l := login{AuthConfig: *config}
		if ending, ok := authenticator.(Expiring); ok {
			l.expires = ending.Expires()
		}
		known := slices.ContainsFunc(logins, func(other login) bool { return other.AuthConfig == l.AuthConfig })
		if !known && l.AuthConfig != (authn.AuthConfig{}) && len(logins) < maxLogins {
			logins = append(logins, l)
		}
	}
	return logins, nil
}

func (h *host) noLogin(err error) error {
	if known, ok := errors.AsType[*LoginError](err); ok {
		return &fault{Unauthorized, known.Error()}
	}
	return faultf(Unauthorized, "the Docker configuration or its credential helper gives no login for %s", h.wire.host)
}

// likeliest puts the login in front that opened the repository before.
func (h *host) likeliest(repository string, logins []login) []login {
	if opened, found := h.opened.Load(repository); found {
		slices.SortStableFunc(logins, func(a, b login) int {
			switch opened {
			case a.AuthConfig:
				return -1
			case b.AuthConfig:
				return 1
			}
			return 0
		})
	}
	return logins
}

// welcome remembers the login that opens a repository: also where an answer is 404.
func (h *host) welcome(g *grant, repository string, status int) {
	if status != http.StatusForbidden && status != http.StatusTooManyRequests && status < 500 && !g.opened.Swap(true) && g.tried > 1 {
		h.opened.Store(repository, g.login)
	}
}

// rejected says what follows from a 401 or a 403: the grant after which the next
// login has its turn, or a new beginning. With neither, the refusal stands.
func (h *host) rejected(g *grant, repository string, status int, pass int64, renewed bool) (after *grant, anew bool) {
	switch {
	case !renewed && g.outlived(status, pass, time.Now()):
		h.forget(repository, func(kept *grant) bool { return kept == g })
		return nil, true
	case len(g.rest) > 0:
		return g, false
	}
	g.refused.Store(status == http.StatusUnauthorized || g.tried > 1)
	return nil, false
}

func refusesLogin(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}
