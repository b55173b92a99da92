// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/pintle-dev/pintle/gitwriter/githubapp"
)

// Kind tells apart why a Git repository could not be used.
type Kind int

// The kinds of Error.
const (
	// Unreachable: no answer, or one that is not Git's.
	Unreachable Kind = iota
	// NotFound: there is no such repository.
	NotFound
	// NoBranch: the repository has no such branch, or none at all.
	NoBranch
	// Unauthorized: credentials are missing or wrong.
	Unauthorized
	// Forbidden: the credentials may not do this.
	Forbidden
	// Rejected: the server refused the push, and nobody else had pushed.
	Rejected
	// Shallow: a local repository lacks its history.
	Shallow
	// Limit: the repository is larger than Pintle reads.
	Limit
	// HostKeyUnknown: no key of the SSH server is known, so it is not talked to.
	HostKeyUnknown
	// HostKeyChanged: the SSH server shows another key than the known one.
	HostKeyChanged
)

// Error is a failure to use a repository.
type Error struct {
	// Repository is the URL or path, without credentials.
	Repository string
	// Op is what was attempted, as "cannot <op> <repository>" reads it.
	Op   string
	Kind Kind
	// Hint says what to do; it may be empty.
	Hint string
	Err  error
}

func (e *Error) Error() string {
	msg := fmt.Sprintf("cannot %s %s", e.Op, e.Repository)
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		msg += ": " + e.Hint
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// refusal is an error of a transport that knows its kind.
type refusal struct {
	kind Kind
	hint string
	err  error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// RaceError says that the branch moved while a push was under way. The caller
// decides again on the new tip.
type RaceError struct{ Err error }

func (e *RaceError) Error() string {
	return fmt.Sprintf("cannot push: the branch has moved: %v", e.Err)
}

func (e *RaceError) Unwrap() error { return e.Err }

// explain turns an error of a transport into one for people.
func (m *Mirror) explain(op string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	e := &Error{Repository: m.name, Op: op, Err: err}
	refused, ok := errors.AsType[*refusal](err)
	noToken, isApp := errors.AsType[*githubapp.StatusError](err)
	switch {
	case isApp:
		e.Kind, e.Hint = kindOfToken(noToken.Status), "check the App's ID, installation and private key, and that it may write contents"
	case ok:
		e.Kind, e.Err, e.Hint = refused.kind, refused.err, refused.hint
	case errors.Is(err, transport.ErrRepositoryNotFound):
		e.Kind, e.Err, e.Hint = NotFound, errors.New("there is no such repository"), "check the URL, and that the credentials may see it"
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		e.Kind, e.Err, e.Hint = NoBranch, errors.New("the repository is empty"), "push a first commit"
	case errors.Is(err, transport.ErrAuthenticationRequired):
		e.Kind, e.Err = Unauthorized, errors.New("the server wants other credentials")
		e.Hint = "give --git-username and --git-password-file, or set up a git credential helper"
	case errors.Is(err, transport.ErrAuthorizationFailed):
		e.Kind, e.Err, e.Hint = Forbidden, errors.New("the server forbids it"), "check that the credentials may read and push this repository"
	case isTimeout(err):
		e.Err = errors.New("no answer in time")
	default:
		e.Hint, e.Err = explainAnswer(err)
	}
	return e
}

// kindOfToken tells what a GitHub App is refused for.
func kindOfToken(status int) Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound:
		return Unauthorized
	case http.StatusForbidden:
		return Forbidden
	}
	return Unreachable
}

// explainAnswer puts what is no Git server's answer, or none at all, into words
// without the URLs and the texts that came with it.
func explainAnswer(err error) (hint string, cause error) {
	var status *githttp.Err
	var request *url.Error
	if refused, ok := errors.AsType[*addressError](err); ok {
		return "check the URL", refused
	}
	unexpected, ok := errors.AsType[*plumbing.UnexpectedError](err)
	switch {
	case ok && errors.As(unexpected.Err, &status):
		return "check the URL, or try again later", fmt.Errorf("the server answers %d %s", status.StatusCode(), http.StatusText(status.StatusCode()))
	case errors.Is(err, pktline.ErrInvalidPktLen):
		return "check the URL", errors.New("the answer is not that of a Git server")
	case errors.As(err, &request):
		return "", request.Err
	}
	return "", err
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

// oneLine makes a server's words fit for a message: printable, one line, bounded.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 400 {
		s = s[:400] + "…"
	}
	return s
}
