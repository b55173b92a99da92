// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 16 << 20
	// maxReason bounds what of a refusal is told.
	maxReason = 300
	// askTimeout bounds one request and its answer.
	askTimeout = time.Minute
)

// Reason tells apart why a forge could not be used.
type Reason int

// The reasons of an Error.
const (
	// Unreachable: no answer, or none of such an API.
	Unreachable Reason = iota
	// Unauthorized: the login is missing or wrong.
	Unauthorized
	// Forbidden: the login may not do this.
	Forbidden
	// NotFound: there is no such thing, or the login may not see it.
	NotFound
	// TooMany: too much was asked of it lately.
	TooMany
	// Refused: it does not want it, and says why.
	Refused
	// Limit: there is more than is read.
	Limit
)

// Error is a failure to use a forge.
type Error struct {
	Host string
	// Op is what was attempted, as "cannot <op> at <host>" reads it.
	Op   string
	Kind Reason
	// Wait is for how long the forge asks to be left alone, if it says so.
	Wait time.Duration
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("cannot %s at %s: %v", e.Op, e.Host, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// failed gives an error of a client its operation, and words without URLs.
func (w *wire) failed(op string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if known, ok := errors.AsType[*Error](err); ok {
		told := *known
		told.Op = op
		return &told
	}
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("no answer in time")
	}
	return &Error{Host: w.host, Op: op, Kind: Unreachable, Err: errors.New(oneLine(err.Error()))}
}

// wire makes an Error of every answer that is no success, whatever client asked, and
// follows no redirect: another host is not to get the login.
type wire struct {
	host string
	next http.RoundTripper
}

func newWire(host string, auth Auth) (*wire, error) {
	transport := &http.Transport{
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, Control: refuseAddress}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   1,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: askTimeout,
	}
	if auth.RootCAs != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("cannot read the certificate authorities of this machine: %w", err)
		}
		if !pool.AppendCertsFromPEM([]byte(auth.RootCAs)) {
			return nil, errors.New("the certificate authorities that were given hold no certificate in PEM")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &wire{host: host, next: transport}, nil
}

func (w *wire) client() *http.Client {
	return &http.Client{Transport: w, Timeout: askTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkHost(req.URL.Hostname()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		resp.Body = &bounded{resp.Body, maxAnswer}
		return resp, nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	refusal := &Error{Host: w.host, Kind: reasonOf(resp), Err: fmt.Errorf("it answers %d %s%s", resp.StatusCode, http.StatusText(resp.StatusCode), said(text))}
	if refusal.Kind == TooMany {
		refusal.Wait = pauseOf(resp.Header, time.Now())
	}
	return nil, refusal
}

func reasonOf(resp *http.Response) Reason {
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return Unauthorized
	case http.StatusTooManyRequests:
		return TooMany
	case http.StatusForbidden:
		// GitHub says so of its limits too.
		if resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-Ratelimit-Remaining") == "0" {
			return TooMany
		}
		return Forbidden
	case http.StatusNotFound, http.StatusGone:
		return NotFound
	}
	if resp.StatusCode/100 == 4 {
		return Refused
	}
	return Unreachable
}

// said is what a refusal says, as each of the three has it.
func said(text []byte) string {
	var answer struct {
		Message any `json:"message"`
		Error   any `json:"error"`
		Errors  any `json:"errors"`
	}
	if json.Unmarshal(text, &answer) != nil {
		return ""
	}
	var words []string
	for _, w := range []any{answer.Message, answer.Error, answer.Errors} {
		if w != nil && w != "" {
			words = append(words, fmt.Sprint(w))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + oneLine(strings.Join(words, "; "))
}

// oneLine makes a server's words fit for a message.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxReason {
		return string(runes[:maxReason]) + "…"
	}
	return s
}

// bounded fails where an answer is longer than it may be.
type bounded struct {
	io.ReadCloser

	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	return n, err
}
