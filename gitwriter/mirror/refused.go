// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// The words of servers choose no more than what people are told to do.
var (
	// protectedWords are those of GitHub, GitLab, Gitea, Bitbucket and Azure DevOps for
	// a branch that not everybody may push to.
	protectedWords = regexp.MustCompile(`(?i)protected branch|(through|use) (a )?pull requests?|denied to update branch`)
	// lockedWords are those of git and JGit for a branch that another process holds.
	lockedWords = regexp.MustCompile(`(?i)\.lock'?: file exists|failed to lock|lock failure`)
)

// failure explains why a push was not taken, if it was not: a refusal where the server
// says so, and else what kept it from answering. The hint is made of the server's words.
func (m *Mirror) failure(report *packp.ReportStatus, err error, said string, hint func(words string) string) error {
	if err == nil {
		err = errors.New("the server did not say whether it took the push")
	}
	spoke, isRefusal := errors.AsType[*refusal](err)
	switch known, isKnown := errors.AsType[*Error](err); {
	case isKnown:
		return known
	case report != nil, exited(err), isRefusal && (spoke.kind == Unreachable || protectedWords.MatchString(spoke.Error())):
		return m.rejected(oneLine(err.Error()+" "+said), hint)
	case isClientError(err):
		_, cause := explainAnswer(err)
		return m.rejected(cause.Error(), hint)
	}
	return m.explain("push to", err)
}

func (m *Mirror) rejected(words string, hint func(words string) string) error {
	return &Error{Repository: m.name, Op: "push to", Kind: Rejected, Hint: hint(words), Err: fmt.Errorf("the server refuses the push: %s", words)}
}

// exited tells whether git ended on this machine by itself, and so has said why.
func exited(err error) bool {
	ended, ok := errors.AsType[*exec.ExitError](err)
	return ok && ended.Exited()
}

// isClientError tells whether the answer has a status of HTTP that blames the request.
func isClientError(err error) bool {
	var status *githttp.Err
	unexpected, ok := errors.AsType[*plumbing.UnexpectedError](err)
	return ok && errors.As(unexpected.Err, &status) && status.StatusCode() >= 400 && status.StatusCode() < http.StatusInternalServerError
}

// notKnown is for a push that failed where the branch can't be looked at either: it may
// have been taken. The next pass finds out.
func (m *Mirror) notKnown(failed, look error) error {
	e := &Error{Repository: m.name, Op: "push to", Kind: Unreachable}
	if known, ok := errors.AsType[*Error](look); ok {
		e.Kind, e.Hint = known.Kind, known.Hint
	}
	e.Err = fmt.Errorf("%w, and whether it was taken is not known yet, since the branch can't be read: %w", reason(failed), reason(look))
	return e
}

// reason is an error without what was attempted where.
func reason(err error) error {
	if known, ok := errors.AsType[*Error](err); ok && known.Err != nil {
		return known.Err
	}
	return err
}
