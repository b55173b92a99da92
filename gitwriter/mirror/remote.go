// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// remote is the far end, one request at a time, without state between them.
type remote interface {
	advertise(ctx context.Context) (*packp.AdvRefs, error)
	upload(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, *packp.UploadPackResponse, error)
	receive(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error)
}

// httpRemote speaks smart HTTP through go-git, which drops credentials when a
// redirect leaves their origin.
type httpRemote struct {
	client   transport.Transport
	endpoint *transport.Endpoint
	origin   transport.Endpoint
	auth     transport.AuthMethod
}

// newHTTPTransport has a bound on every wait.
func newHTTPTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
	}
}

func newHTTPRemote(endpoint *transport.Endpoint, auth Auth) *httpRemote {
	r := &httpRemote{
		client:   githttp.NewClient(&http.Client{Transport: newHTTPTransport()}),
		endpoint: endpoint,
		origin:   *endpoint,
	}
	if auth.Username != "" || auth.Password != "" {
		r.auth = &githttp.BasicAuth{Username: auth.Username, Password: auth.Password}
	}
	return r
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

func (r *httpRemote) advertise(ctx context.Context) (*packp.AdvRefs, error) {
	*r.endpoint = r.origin
	s, err := r.client.NewUploadPackSession(r.endpoint, r.auth)
	if err != nil {
		return nil, err
	}
	return s.AdvertisedReferencesContext(ctx)
}

func (r *httpRemote) upload(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, *packp.UploadPackResponse, error) {
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
	s, err := r.client.NewReceivePackSession(r.endpoint, r.authNow())
	if err != nil {
		return nil, err
	}
	return s.ReceivePack(ctx, req)
}
