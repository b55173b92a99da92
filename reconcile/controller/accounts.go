// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/reconcile/credentials"
	"github.com/pintle-dev/pintle/registry"
)

// keepAccount is how long an account is kept that nobody uses: it holds connections
// and tokens.
const keepAccount = time.Hour

// accounts keeps one account for each content of credentials: a rotated Secret makes
// a new one.
type accounts struct {
	getter  credentials.Getter
	options registry.Options

	mu    sync.Mutex
	known map[string]*usedAccount // by the key of the login
}

type usedAccount struct {
	*reconcile.Account

	used time.Time
}

// newAccounts lets all of them keep to one registry's limits together, and read what
// never changes once.
func newAccounts(getter credentials.Getter, options registry.Options) *accounts {
	if options.Limits == nil {
		options.Limits = registry.NewLimits(0)
	}
	if options.Cache == nil {
		options.Cache = &registry.Cache{}
	}
	return &accounts{getter: getter, options: options, known: map[string]*usedAccount{}}
}

// of reads the credentials that a policy names, each time anew. Errors are
// *credentials.Error.
func (a *accounts) of(ctx context.Context, p *v1alpha1.ImagePolicy, now time.Time) (*reconcile.Account, error) {
	login, err := credentials.Registry(ctx, a.getter, p.Namespace, p.Spec.Registry)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.known[login.Key]
	if !ok {
		maps.DeleteFunc(a.known, func(_ string, u *usedAccount) bool { return now.Sub(u.used) > keepAccount })
		options := a.options
		options.Keychain, options.RootCAs = login.Keychain, login.RootCAs
		if login.RootCAs != nil {
			options.Ambient = nil // Whoever signs for the host by the policy's word alone is not to get it.
		}
		found = &usedAccount{Account: reconcile.NewAccount(options)}
		a.known[login.Key] = found
	}
	found.used = now
	return found.Account, nil
}
