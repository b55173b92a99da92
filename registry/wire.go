// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	userAgent = "pintle"

	// maxBody bounds every answer: a list of 100,000 tags of the longest kind
	// has 13 MiB.
	maxBody = 16 << 20
	// maxHeaders bounds the header lines of an answer, in bytes.
	maxHeaders   = 64 << 10
	maxRedirects = 5
)

// errHTTPS refuses HTTPS to a registry that speaks plain HTTP: the ping of
// go-containerregistry tries it first.
var errHTTPS = errors.New("HTTPS to a registry that speaks plain HTTP")

// wire carries the requests for one registry: to itself, to its token service
// and to where it redirects. It is the one place that decides which scheme and
// host may be asked, tries a request again, and bounds the answer. It adds no
// credential.
type wire struct {
	host    string // HOST[:PORT] of the registry, as in its URLs
	scheme  string // "http" only where the operator said so
	plain   hosts  // those that the operator said so of
	dialer  *dialer
	base    *http.Transport
	observe func(host string, code int) // may be nil
	pauses  pauses
}

func newWire(host string, plain hosts, options Options) *wire {
	own := &url.URL{Scheme: "https", Host: host}
	if plain.name(hostPort(&url.URL{Scheme: "http", Host: host})) {
		own.Scheme = "http"
	}
	d := newDialer(hostPort(own), newWord(options))
	return &wire{
		host: host, scheme: own.Scheme, plain: plain, dialer: d, observe: options.Observe, pauses: pauses{unit: unitOf(options.Timeout)},
		base: &http.Transport{
			Proxy:                  d.proxyFor,
			DialContext:            d.dial,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: options.RootCAs},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // lists are small, and digests are of the bytes as sent
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: maxHeaders,
		},
	}
}

// owns says whether a URL is one of the registry itself, so that credentials
// may go there.
func (w *wire) owns(u *url.URL) bool { return u.Host == w.host && u.Scheme == w.scheme }

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := w.admit(req.URL); err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := w.send(req)
	if w.worthASecondTry(req, resp, err) && pause(req.Context(), w.pauses.unit/10) == nil {
		if resp != nil {
			discard(resp)
		}
		resp, err = w.send(req)
	}
	if err != nil {
		return nil, err
	}
	if w.owns(req.URL) {
		w.pauses.hear(resp, time.Now())
	}
	return resp, nil
}

func (w *wire) send(req *http.Request) (*http.Response, error) {
	resp, err := w.base.RoundTrip(req)
	if err != nil {
		w.count(0)
		return nil, &networkError{err}
	}
	w.count(resp.StatusCode)
	resp.Body = &bounded{ReadCloser: resp.Body, left: maxBody}
	return resp, nil
}

func (w *wire) count(code int) {
	if w.observe != nil {
		w.observe(w.host, code)
	}
}

// admit refuses what may not be asked, before anything is sent.
func (w *wire) admit(u *url.URL) error {
	if err := w.admitScheme(u); err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil { // behind a proxy this is the only check
		if err := w.dialer.check(hostPort(u), ip); err != nil {
			return err
		}
	}
	return nil
}

// admitScheme refuses plain HTTP where it is not meant.
func (w *wire) admitScheme(u *url.URL) error {
	own := u.Host == w.host
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return faultf(Unavailable, "%s sends to a URL that is not https", w.host)
	case own && u.Scheme == "http" && w.scheme == "https":
		return faultf(Unavailable, "%s leads to plain HTTP: if that is meant, allow it with `--plain-http %s`", w.host, w.host)
	case own && u.Scheme == "https" && w.scheme == "http":
		return errHTTPS
	case u.Scheme == "http" && (w.scheme == "https" || !w.plain.name(hostPort(u))):
		return faultf(Unavailable, "%s sends to plain HTTP on another host, which is not followed", w.host)
	}
	return nil
}

// worthASecondTry: one more, after a tenth of a unit, for what is often over in a
// moment. Not for 429,
// which asks for fewer requests, and not when the caller or the clock gave up.
func (w *wire) worthASecondTry(req *http.Request, resp *http.Response, err error) bool {
	if req.Context().Err() != nil || req.Method != http.MethodGet && req.Method != http.MethodHead {
		return false
	}
	if err != nil {
		var refused *fault
		return !errors.As(err, &refused) && !isTimeout(err)
	}
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// redirect is http.Client's CheckRedirect: few, and without the credentials of
// the registry unless they lead back to it. net/http by itself would keep them
// for other ports and subdomains.
func (w *wire) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return faultf(NotRegistry, "%s redirects more than %d times", w.host, maxRedirects)
	}
	if !w.owns(req.URL) {
		req.Header.Del("Authorization")
	}
	return nil
}

// bounded fails when an answer is longer than it may be.
type bounded struct {
	io.ReadCloser

	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, faultf(NotRegistry, "the answer has more than %d MiB", maxBody>>20)
	}
	return n, err
}

// discard reads the rest of an answer, within reason, so that its connection
// can be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
