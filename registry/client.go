// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// defaultTimeout is for one request: from its start to the last byte of its
// answer.
const defaultTimeout = 30 * time.Second

// Options of a Client. The zero value is for public registries.
type Options struct {
	// PlainHTTP lists the registries, HOST or HOST:PORT, that speak HTTP without
	// TLS. HOST alone means each of its ports. No other host is asked without
	// TLS, loopback included.
	PlainHTTP []string
	// Keychain gives the logins; nil is Docker's: the configuration that `docker
	// login` writes, and its credential helpers.
	Keychain authn.Keychain
	// Ambient gives the logins where Keychain has none for an image: the identity that a
	// cloud gives this machine. nil is none.
	Ambient authn.Keychain
	// AllowPrivate is what may be at a private, shared or loopback address, besides the
	// hosts of PlainHTTP and Mirrors.
	AllowPrivate Private
	// InCluster is for a process in a cluster, where such an address may be anybody's:
	// the registry of an image is there only if it is allowed. Outside of one,
	// whoever runs the process named it.
	InCluster bool
	// Mirrors are asked in place of registries.
	Mirrors Mirrors
	// Timeout is for one request with the whole of its answer; 0 is 30 s. The waits
	// for a registry that is out of order grow and shrink with it.
	Timeout time.Duration
	// Limits paces the requests; nil is NewLimits(0) of the Client's own. The
	// Clients of a process share one.
	Limits *Limits
	// RootCAs are the certificate authorities that may sign for the registries,
	// and for the token services and redirects that they lead to; nil is the
	// system's. A pool stands in their place: to trust both, add to what
	// x509.SystemCertPool gives.
	RootCAs *x509.CertPool
	// Cache keeps what never changes of images; nil is one in memory of the Client's
	// own. The Clients of a process may share one.
	Cache *Cache
	// Observe, if set, is told of each request that was sent: host is the
	// registry, HOST[:PORT], also where its token service or a redirect was
	// asked, so that there are no more hosts than registries; code is the HTTP
	// status, 0 where no answer came. A second try is a request of its own. It
	// is called while the request waits, from many goroutines: it must be quick
	// and safe for concurrent use.
	Observe func(host string, code int)
}

// Client asks registries. It is for the life of a process and safe for
// concurrent use; ask through a Pass.
type Client struct {
	options Options
	plain   hosts
	passes  atomic.Int64

	mu    sync.Mutex
	hosts map[string]*host
	swept time.Time
}

// New makes a Client. It asks nothing yet.
func New(options Options) *Client {
	if options.Keychain == nil {
		options.Keychain = authn.DefaultKeychain
	}
	if options.Timeout <= 0 {
		options.Timeout = defaultTimeout
	}
	if options.Limits == nil {
		options.Limits = NewLimits(0)
	}
	if options.Cache == nil {
		options.Cache = &Cache{}
	}
	c := &Client{options: options, plain: hosts{}, hosts: make(map[string]*host)}
	for _, entry := range options.PlainHTTP {
		c.plain.add(entry)
	}
	return c
}

// Pass starts a pass: every question is asked at most once in it, and the
// answer, a fault included, holds to its end.
func (c *Client) Pass() *Pass {
	p := &Pass{client: c, number: c.passes.Add(1)}
	p.challenges.keepFaults = true
	p.tags.keepFaults = true
	p.digests.keepFaults = true
	p.created.keepFaults = true
	p.platforms.keepFaults = true
	p.origins.keepFaults = true
	return p
}

// Pass is one look at the registries. It is safe for concurrent use. Its errors
// are *Error.
type Pass struct {
	client     *Client
	number     int64
	challenges memo[*transport.Challenge] // by registry host
	tags       memo[[]string]             // by the name that is asked for
	digests    memo[string]               // by that name, ":" or "@", reference
	created    memo[time.Time]            // by that name, "@", digest; what is not in the Cache
	platforms  memo[[]string]             // as digests
	origins    memo[Origin]               // as digests
}

// host is what the process keeps of one registry.
type host struct {
	name       name.Registry
	wire       *wire
	limits     *Limits
	used       time.Time         // the last time; the Client guards it
	named      http.RoundTripper // wire with our User-Agent, for what go-containerregistry asks
	client     *http.Client
	keychain   authn.Keychain
	ambient    authn.Keychain
	opened     sync.Map // by repository: the authn.AuthConfig that did, where there are several
	timeout    time.Duration
	challenges memo[*transport.Challenge] // one, under ""
	grants     memo[*grant]               // by repository
	lists      keptLists
}

func (c *Client) host(hostport string) (*host, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropIdle(time.Now())
	if h, found := c.hosts[hostport]; found {
		h.used = time.Now()
		return h, nil
	}
	w := newWire(hostport, c.plain, c.options)
	registry, err := registryName(hostport, w.scheme)
	if err != nil {
		return nil, err
	}
	h := &host{
		name: registry, wire: w, limits: c.options.Limits, used: time.Now(), named: transport.NewUserAgent(w, userAgent),
		keychain: c.options.Keychain, ambient: c.options.Ambient, timeout: c.options.Timeout,
		client: &http.Client{Transport: w, CheckRedirect: w.redirect},
	}
	c.hosts[hostport] = h
	return h, nil
}

// ask is one question about one image in a pass.
type ask struct {
	pass       *Pass
	op, image  string // for messages
	mirror     string // where the image is asked for, if that is not its name
	host       *host
	repository string        // path below the host
	spent      time.Duration // on the way to the registry, without waiting for a turn
	unless     string        // the ETag of what need not be sent again
	etag       string        // that of the last page of tags
}

// about reads the image's name; asked is the one spelling of where it is asked for.
func (p *Pass) about(op, image string) (a *ask, asked string, err error) {
	canonical, err := Canonical(image)
	if err != nil {
		return nil, "", err
	}
	asked = p.client.options.Mirrors.asked(canonical)
	hostport, repository, _ := strings.Cut(asked, "/")
	h, err := p.client.host(hostport)
	if err != nil {
		return nil, "", invalid(image, "its first part is no HOST[:PORT]")
	}
	a = &ask{pass: p, op: op, image: image, host: h, repository: repository}
	if asked != canonical {
		a.mirror = asked
	}
	return a, asked, nil
}

// failed makes the *Error of whatever went wrong.
func (a *ask) failed(err error) error {
	kind, cause := explain(err, a.host.wire, a.host.timeout)
	return &Error{Image: a.image, Mirror: a.mirror, Op: a.op, Kind: kind, Err: cause}
}

// response is a whole answer.
type response struct {
	status int
	header http.Header
	body   []byte
	logins int // how many were refused
}

// fault is nil for 200, else what the status means.
func (a *ask) fault(r *response) error {
	if r.status == http.StatusOK {
		return nil
	}
	kind, err := explainStatus(r.status, a.host.wire.host, a.host.wire.pauses.sentence(time.Now()))
	if r.logins > 1 {
		return faultf(kind, "%v; so it is with each of the %d logins that fit", err, r.logins)
	}
	return &fault{kind: kind, text: err.Error()}
}

// do sends one request for path (with its query) below /v2/<repository>/ and
// reads the whole answer, whatever its status. A login that is refused is followed
// by the next one, and one that may have outlived its time by a new one, once; a 429
// by one more request after the wait, if that is short.
func (a *ask) do(ctx context.Context, method, path string, accept []string) (*response, error) {
	var after *grant
	a.host.forget(a.repository, func(g *grant) bool { return g.refused.Load() && g.pass != a.pass.number })
	for renewed, waited := false, false; ; {
		challenge, err := a.pass.challenges.get(ctx, a.host.wire.host, func() (*transport.Challenge, error) {
			return a.host.challenge(ctx, a.repository)
		})
		if err != nil {
			return nil, pingFault(err, a.host.wire)
		}
		login, err := a.host.grant(ctx, challenge, a.repository, a.pass.number, after)
		if err != nil {
			return nil, err
		}
		resp, err := a.send(ctx, method, path, accept, login)
		if err != nil {
			return nil, err
		}
		if resp.status == http.StatusTooManyRequests && !waited && a.mayWait() {
			waited = true
			continue
		}
		// To a HEAD, a 403 may mean that this registry does not know it.
		if !refusesLogin(resp.status) || resp.status == http.StatusForbidden && method == http.MethodHead {
			a.host.welcome(login, a.repository, resp.status)
			return resp, nil
		}
		next, anew := a.host.rejected(login, a.repository, resp.status, a.pass.number, renewed)
		switch {
		case anew:
			renewed = true
			a.pass.challenges.forget(a.host.wire.host, func(c *transport.Challenge) bool { return c == challenge && !login.isToken() })
		case next == nil:
			resp.logins = login.tried
			return resp, nil
		}
		after = next
	}
}

// mayWait says whether the pause after a 429 is short.
func (a *ask) mayWait() bool {
	_, err := a.host.wire.pauses.left(false, time.Now())
	return err == nil
}

func (a *ask) send(ctx context.Context, method, path string, accept []string, login *grant) (resp *response, err error) {
	pull := method == http.MethodGet && strings.HasPrefix(path, "manifests/")
	err = a.host.inTurn(ctx, a.repository, pull, false, func(ctx context.Context) (int, error) {
		begun := time.Now()
		resp, err = a.exchange(ctx, method, path, accept, login)
		a.spent += time.Since(begun)
		if err != nil {
			return 0, err
		}
		return resp.status, nil
	})
	return resp, err
}

func (a *ask) exchange(ctx context.Context, method, path string, accept []string, login *grant) (*response, error) {
	url := a.host.wire.scheme + "://" + a.host.wire.host + "/v2/" + a.repository + "/" + path
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, faultf(InvalidName, "it makes no URL")
	}
	req.Header = http.Header{"User-Agent": {userAgent}, "Accept": accept}
	if login.header != "" {
		req.Header.Set("Authorization", login.header)
	}
	if a.unless != "" {
		req.Header.Set("If-None-Match", a.unless)
	}
	resp, err := a.host.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	body, err := readAll(resp)
	if err != nil {
		return nil, err
	}
	return &response{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// readAll reads an answer whose length may be known; a body that ends before
// its length is an error.
func readAll(resp *http.Response) ([]byte, error) {
	if resp.Request.Method == http.MethodHead || resp.StatusCode == http.StatusNotModified || resp.ContentLength == 0 {
		return nil, nil
	}
	if resp.ContentLength > maxBody {
		return nil, faultf(NotRegistry, "the answer has more than %d MiB", maxBody>>20)
	}
	if resp.ContentLength > 0 && resp.ContentLength <= 64<<10 {
		body := make([]byte, resp.ContentLength)
		if _, err := io.ReadFull(resp.Body, body); err != nil {
			return nil, cutShort(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, cutShort(err)
	}
	return body, nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return faultf(NotRegistry, "the answer is cut short")
	}
	if _, known := errors.AsType[*fault](err); known {
		return err
	}
	return &networkError{err}
}

// pingFault tells a host without a registry from a registry without the image.
func pingFault(err error, w *wire) error {
	if kind, _ := explain(err, w, 0); kind == NotFound || kind == NotRegistry {
		return faultf(NotRegistry, "%s is no registry: it gives no answer to /v2/ that a registry gives", w.host)
	}
	return err
}
