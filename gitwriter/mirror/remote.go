// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/net/http/httpproxy"

	"github.com/pintle-dev/pintle/gitwriter/githubapp"
)

// remote is the far end, one request at a time, without state between them.
type remote interface {
	advertise(ctx context.Context) (*packp.AdvRefs, error)
	upload(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, *packp.UploadPackResponse, error)
	receive(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error)
	// close drops connections that wait for another request.
	close()
}

// httpRemote speaks smart HTTP through go-git, which drops credentials when a
// redirect leaves their origin.
type httpRemote struct {
	wire     *http.Transport
	client   transport.Transport
	endpoint *transport.Endpoint
	origin   transport.Endpoint
	auth     transport.AuthMethod
	tokens   *githubapp.Tokens // nil without an App
}

// newHTTPTransport has a bound on every wait.
func newHTTPTransport(authorities *x509.CertPool) *http.Transport {
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	return &http.Transport{
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
		Proxy:                 func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
		DialContext:           dialer{idleTimeout}.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: idleTimeout,
	}
}

func newHTTPRemote(endpoint *transport.Endpoint, auth Auth) (*httpRemote, error) {
	authorities, err := trust(auth.RootCAs)
	if err != nil {
		return nil, err
	}
	wire := newHTTPTransport(authorities)
	r := &httpRemote{
		wire:     wire,
		client:   githttp.NewClient(&http.Client{Transport: guarded{wire}}),
		endpoint: endpoint,
		origin:   *endpoint,
	}
	if auth.Username != "" || auth.Password != "" {
		r.auth = &githttp.BasicAuth{Username: auth.Username, Password: auth.Password}
	}
	if auth.App.ID != "" {
		r.tokens, err = githubapp.New(auth.App, wire)
	}
	return r, err
}

// trust adds authorities to the system's; nil is the system's alone.
func trust(rootCAs string) (*x509.CertPool, error) {
	if rootCAs == "" {
		return nil, nil //nolint:nilnil // as tls.Config has it
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("cannot read the certificate authorities of this machine: %w", err)
	}
	if !pool.AppendCertsFromPEM([]byte(rootCAs)) {
		return nil, errors.New("the certificate authorities that were given for it hold no certificate in PEM")
	}
	return pool, nil
}

// renew gets a token of the App, where there is one.
func (r *httpRemote) renew(ctx context.Context) error {
	if r.tokens == nil {
		return nil
	}
	token, err := r.tokens.Token(ctx)
	if err != nil {
		return err
	}
	r.auth = &githttp.BasicAuth{Username: githubapp.Username, Password: token}
	return nil
}

// authNow is the credentials, unless a redirect moved the repository to another
// origin.
func (r *httpRemote) authNow() transport.AuthMethod {
	same := r.endpoint.Protocol == r.origin.Protocol && r.endpoint.Host == r.origin.Host && r.endpoint.Port == r.origin.Port
	if !same {
		return nil
	}
	return r.auth
}

func (r *httpRemote) close() { r.wire.CloseIdleConnections() }

func (r *httpRemote) advertise(ctx context.Context) (*packp.AdvRefs, error) {
	if err := r.renew(ctx); err != nil {
		return nil, err
	}
	*r.endpoint = r.origin
	s, err := r.client.NewUploadPackSession(r.endpoint, r.auth)
	if err != nil {
		return nil, err
	}
	refs, err := s.AdvertisedReferencesContext(ctx)
	if r.tokens != nil && errors.Is(err, transport.ErrAuthenticationRequired) {
		r.tokens.Forget() // it was revoked
	}
	return refs, err
}

func (r *httpRemote) upload(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, *packp.UploadPackResponse, error) {
	if err := r.renew(ctx); err != nil {
		return nil, nil, err
	}
	s, err := r.client.NewUploadPackSession(r.endpoint, r.authNow())
	if err != nil {
		return nil, nil, err
	}
	res, err := s.UploadPack(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	return res, res, nil
}

func (r *httpRemote) receive(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	if err := r.renew(ctx); err != nil {
		return nil, err
	}
	s, err := r.client.NewReceivePackSession(r.endpoint, r.authNow())
	if err != nil {
		return nil, err
	}
	return s.ReceivePack(ctx, req)
}
