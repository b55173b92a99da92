// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Kind says what a caller can do about an [Error].
type Kind int

// The kinds of an [Error].
const (
	Unavailable     Kind = iota // down, unreachable, refused by a rule of this package, or a 5xx answer
	NotFound                    // 404: no such repository, tag or digest
	Unauthorized                // 401: a login is missing or wrong
	Forbidden                   // 403: the login may not read it
	TooManyRequests             // 429
	NotRegistry                 // an answer that no registry gives: HTML, cut-off JSON, a wrong digest
	Timeout                     // no whole answer in time
	InvalidName                 // not a reference by its grammar; nothing was asked
)

var kindNames = [...]string{"Unavailable", "NotFound", "Unauthorized", "Forbidden", "TooManyRequests", "NotRegistry", "Timeout", "InvalidName"}

// String gives the name of the constant.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return kindNames[k]
}

// Error is every error of this package. Its text is for people and holds no
// credential; callers branch on Kind.
type Error struct {
	Image  string // what was asked about, as the caller wrote it
	Mirror string // where it was asked, if that is another name
	Op     string // what failed, such as "list tags of"
	Kind   Kind
	Err    error
}

// Error reads "cannot list tags of ghcr.io/acme/podinfo: <why>".
func (e *Error) Error() string {
	at := ""
	if e.Mirror != "" {
		at = " at its mirror " + printable(e.Mirror)
	}
	return fmt.Sprintf("cannot %s %s%s: %v", e.Op, printable(e.Image), at, e.Err)
}

// Unwrap gives the cause, so that errors.Is finds context.Canceled.
func (e *Error) Unwrap() error { return e.Err }

// fault is a cause whose kind is known where it happens; ask.failed makes an
// Error of it.
type fault struct {
	kind Kind
	text string
}

func (f *fault) Error() string { return f.text }

func faultf(kind Kind, format string, args ...any) error {
	return &fault{kind: kind, text: fmt.Sprintf(format, args...)}
}

// networkError is a failure below HTTP. It exists because the errors of
// net/http and of go-containerregistry print URLs, which may hold tokens.
type networkError struct{ err error }

func (e *networkError) Error() string { return e.err.Error() }
func (e *networkError) Unwrap() error { return e.err }

// Timeout is asked by url.Error, which does not look below.
func (e *networkError) Timeout() bool {
	var below net.Error
	return errors.As(e.err, &below) && below.Timeout()
}

// explain gives the kind and a text for people of an error on the way to the
// registry of w. Text of errors that are not of this package is not repeated
// unless it is known to hold no URL. The order matters: a ping's error holds
// those of two tries, of which wire refuses one.
func explain(err error, w *wire, timeout time.Duration) (Kind, error) {
	host := w.host
	var known *fault
	var answer *transport.Error
	var network *networkError
	switch {
	case errors.Is(err, context.Canceled):
		return Unavailable, context.Canceled
	case isTimeout(err):
		return Timeout, &quiet{text: fmt.Sprintf("%s did not answer within %v", host, timeout), cause: context.DeadlineExceeded}
	case errors.As(err, &network):
		return Unavailable, explainNetwork(network.err, host)
	case errors.As(err, &answer):
		return explainStatus(answer.StatusCode, host, w.pauses.sentence(time.Now()))
	case errors.As(err, &known):
		return known.kind, known
	case errors.Is(err, errHTTPS):
		return Unavailable, fmt.Errorf("%s leads to HTTPS, but `--plain-http` names it", host)
	default:
		return NotRegistry, fmt.Errorf("%s gives no answer that a registry or its token service gives", host)
	}
}

// quiet has the cause for errors.Is, and a text of its own.
type quiet struct {
	text  string
	cause error
}

func (q *quiet) Error() string { return q.text }
func (q *quiet) Unwrap() error { return q.cause }

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// explainNetwork repeats only texts that the other side has no say in.
func explainNetwork(err error, host string) error {
	var known *fault
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var operation *net.OpError
	text := fmt.Sprintf("%s can't be asked: the connection broke, or what comes is no HTTP", host)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &dns):
		text = fmt.Sprintf("the name %s is not known: %v", dns.Name, dns)
	case errors.As(err, &certificate):
		text = fmt.Sprintf("the certificate of %s is not trusted: %s", host, distrust(certificate))
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		text = fmt.Sprintf("%s speaks plain HTTP: if that is meant, allow it with `--plain-http %s`", host, host)
	case errors.As(err, &operation):
		text = fmt.Sprintf("%s can't be reached: %v", host, operation)
	}
	return &quiet{text: text, cause: err}
}

func distrust(err error) string {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return "it is for another name"
	case errors.As(err, &authority):
		return "no authority that this machine trusts signed it"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired, or is not valid yet"
	default:
		return "its chain is not valid"
	}
}

// explainStatus names what an HTTP status other than success means. next says when
// it is asked again, "" if that is open.
func explainStatus(status int, host, next string) (Kind, error) {
	said := fmt.Sprintf("the registry answers %d %s", status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized:
		return Unauthorized, fmt.Errorf("%s: log in with `docker login %s`", said, loginName(host))
	case status == http.StatusForbidden:
		return Forbidden, fmt.Errorf("%s: the login for %s may not read it", said, loginName(host))
	case status == http.StatusNotFound:
		return NotFound, fmt.Errorf("%s: it does not exist, or only for another login", said)
	case status == http.StatusTooManyRequests && next != "":
		return TooManyRequests, fmt.Errorf("%s; %s", said, next)
	case status == http.StatusTooManyRequests:
		return TooManyRequests, fmt.Errorf("%s: ask less often, or log in for a higher limit", said)
	case status == http.StatusRequestTimeout:
		return Timeout, errors.New(said)
	case status >= 500:
		return Unavailable, errors.New(said)
	default:
		return NotRegistry, fmt.Errorf("%s, which is no answer to this question", said)
	}
}

// loginName is what `docker login` calls a registry.
func loginName(host string) string {
	if host == dockerHub {
		return "docker.io"
	}
	return host
}
