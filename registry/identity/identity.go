// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/pintle-dev/pintle/registry"
)

const (
	// timeout bounds one login. Where there is no cloud, nobody answers at the address
	// of its metadata service.
	timeout = 10 * time.Second
	// margin is how long before its end a login is replaced.
	margin = 5 * time.Minute
	// retryAfter is how long a cloud that gave no login is not asked again.
	retryAfter = time.Minute
)

// cloud is one vendor's.
type cloud struct {
	flag string // its name in flags
	name string // its name in messages
	// realm is what logins are for: all hosts with the same one share them. "" is a
	// host of somebody else.
	realm func(host string) string
	logIn func(ctx context.Context, host string) (*login, error)
	// explain gives a sentence for the errors of its library, "" for those that it does
	// not know. Their own texts hold what servers said.
	explain func(err error) string
}

// clouds are all there are.
func clouds() []cloud { return []cloud{amazon(), google(), azure()} }

// New makes a keychain of the clouds that are named. The error completes
// "--cloud-identity …".
func New(names []string) (authn.Keychain, error) {
	k := &keychain{realms: map[string]*realm{}}
	var known []string
	for _, c := range clouds() {
		known = append(known, c.flag)
		if slices.Contains(names, c.flag) {
			k.clouds = append(k.clouds, c)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%q is no cloud: the names are %s", name, strings.Join(known, ", "))
		}
	}
	return k, nil
}

// keychain implements authn.ContextKeychain.
type keychain struct {
	clouds []cloud

	mu     sync.Mutex
	realms map[string]*realm
}

// realm has the login for some hosts of a cloud.
type realm struct {
	asking chan struct{} // has room for who asks the cloud, one at a time
	login  *login
	err    error // that of the last time; until retry
	retry  time.Time
}

// login implements registry.Expiring.
type login struct {
	config authn.AuthConfig
	ends   time.Time
}

// Authorization implements authn.Authenticator.
func (l *login) Authorization() (*authn.AuthConfig, error) { return &l.config, nil }

// Expires is when another one is to be asked for.
func (l *login) Expires() time.Time { return l.ends.Add(-margin) }

// Resolve implements authn.Keychain.
func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k *keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	host := target.RegistryStr()
	for _, c := range k.clouds {
		if name := c.realm(host); name != "" {
			return k.realm(c.flag+" "+name).use(ctx, c, host)
		}
	}
	return authn.Anonymous, nil
}

func (k *keychain) realm(name string) *realm {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, found := k.realms[name]
	if !found {
		r = &realm{asking: make(chan struct{}, 1)}
		k.realms[name] = r
	}
	return r
}

// use gives the login that is kept, or asks the cloud for one.
func (r *realm) use(ctx context.Context, c cloud, host string) (authn.Authenticator, error) {
	select {
	case r.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-r.asking }()
	switch now := time.Now(); {
	case r.login != nil && now.Before(r.login.Expires()):
		return r.login, nil
	case r.err != nil && now.Before(r.retry):
		return nil, r.err
	}
	got, err := c.ask(ctx, host)
	if ctx.Err() != nil {
		return nil, ctx.Err() // It says nothing of the cloud.
	}
	if err != nil {
		r.err, r.retry = err, time.Now().Add(retryAfter)
		return nil, err
	}
	r.login, r.err = got, nil
	return got, nil
}

// ask is done in time, whatever the library does.
func (c cloud) ask(ctx context.Context, host string) (*login, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type answer struct {
		login *login
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		l, err := c.logIn(ctx, host)
		answers <- answer{l, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, c.fault(host, a.err)
		}
		return a.login, nil
	case <-ctx.Done():
		return nil, c.fault(host, ctx.Err())
	}
}

func (c cloud) fault(host string, err error) error {
	why := c.explain(err)
	switch {
	case why != "":
	case errors.Is(err, context.DeadlineExceeded):
		why = fmt.Sprintf("nothing answered within %v", timeout)
	default:
		why = "none was found"
	}
	return &registry.LoginError{Err: fmt.Errorf("%s gives no login for %s to this machine's identity, which `--cloud-identity %s` asks for: %s", c.name, host, c.flag, why)}
}
