// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// sshSession is one command of Git's that runs on the server.
type sshSession struct {
	ctx     context.Context //nolint:containedctx // it bounds the session, which lives as long
	remote  *sshRemote
	client  *ssh.Client
	command *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	said    words
	wait    func() // until the command has ended
	release func() bool
}

// start runs git-upload-pack or git-receive-pack, and reads the refs that either
// begins with. Nothing is sent before that, so that what fails on a connection that
// has waited can be tried again on a new one. The session ends with ctx.
func (r *sshRemote) start(ctx context.Context, service string) (*sshSession, *packp.AdvRefs, error) {
	if client := r.waiting.take(); client != nil {
		s, refs, err := r.startOn(ctx, client, service)
		if err == nil || ctx.Err() != nil {
			return s, refs, cause(ctx, err)
		}
	}
	client, err := r.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	return r.startOn(ctx, client, service)
}

func (r *sshRemote) startOn(ctx context.Context, client *ssh.Client, service string) (*sshSession, *packp.AdvRefs, error) {
	s := &sshSession{ctx: ctx, remote: r, client: client, wait: func() {}, release: context.AfterFunc(ctx, func() { _ = client.Close() })}
	if err := s.run(service + " " + quote(r.path)); err != nil {
		s.close()
		return nil, nil, cause(ctx, err)
	}
	refs, err := decodeRefs(s.out)
	if err != nil {
		err = s.explain(err)
		s.close()
		return nil, nil, err
	}
	return s, refs, nil
}

// cause is that ctx has ended, where this is why something failed.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (s *sshSession) run(command string) (err error) {
	// A server that went away without a word is not waited for as long as git may be.
	impatient := time.AfterFunc(s.remote.answers, func() { _ = s.client.Close() })
	s.command, err = s.client.NewSession()
	impatient.Stop()
	if err != nil {
		return err
	}
	if s.in, err = s.command.StdinPipe(); err != nil {
		return err
	}
	if s.out, err = s.command.StdoutPipe(); err != nil {
		return err
	}
	s.command.Stderr = &s.said
	if err = s.command.Start(command); err == nil {
		s.wait = sync.OnceFunc(func() { _ = s.command.Wait() })
	}
	return err
}

// close ends the connection, and waits for all that reads from it.
func (s *sshSession) close() {
	s.release()
	hangUp(s.client)
	s.wait()
}

// finish ends the command, and keeps the connection if the command soon ends with
// nothing more to say.
func (s *sshSession) finish() {
	impatient := time.AfterFunc(s.remote.answers, func() { _ = s.client.Close() })
	_ = s.in.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(s.out, maxRest))
	if err != nil || n == maxRest {
		impatient.Stop()
		s.close()
		return
	}
	s.wait()
	if inTime := impatient.Stop(); !s.release() || !inTime {
		hangUp(s.client)
		return
	}
	s.remote.waiting.put(s.client)
}

// maxRest bounds what a command may say after all that was wanted, in bytes.
const maxRest = 64 << 10

// explain says why there was no answer, in the server's words where it has any.
func (s *sshSession) explain(err error) error {
	if s.ctx.Err() != nil || errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return cause(s.ctx, err)
	}
	said := ""
	if line, ok := errors.AsType[*pktline.ErrorLine](err); ok {
		said = line.Text
	} else if n, _ := io.Copy(io.Discard, io.LimitReader(s.out, maxAnswer)); n < maxAnswer {
		s.wait() // it has said all
		said = s.said.text.String()
	}
	if said = oneLine(said); said == "" {
		return s.lost(err)
	}
	return &refusal{kind: kindOf(said), err: fmt.Errorf("the server says: %s", said)}
}

// lost is why the connection has ended, where that is why there was no answer.
func (s *sshSession) lost(err error) error {
	_ = s.client.Close()
	if ended := s.client.Wait(); isTimeout(ended) {
		return ended
	}
	return err
}

// maxAnswer bounds what is read, in bytes, to get to an error's words.
const maxAnswer = 1 << 20

var (
	notFoundWords  = regexp.MustCompile(`(?i)not found|cannot find repository|not appear to be a git repository|does not exist|could not be found|no such repository`)
	forbiddenWords = regexp.MustCompile(`(?i)read[ -]only|unauthorized|not (authorized|allowed)|denied|forbidden`)
)

// kindOf knows the words of git, GitHub, GitLab, Gitea and Bitbucket.
func kindOf(said string) Kind {
	switch {
	case strings.Contains(said, "command not found"):
		return Unreachable
	case notFoundWords.MatchString(said):
		return NotFound
	case forbiddenWords.MatchString(said):
		return Forbidden
	}
	return Unreachable
}

// quote makes one word of a path for a shell, as git does.
func quote(path string) string {
	return "'" + strings.NewReplacer(`'`, `'\''`, `!`, `'\!'`).Replace(path) + "'"
}

// words keep the beginning of what a server says beside its answer.
type words struct{ text bytes.Buffer }

func (w *words) Write(p []byte) (int, error) {
	if room := maxWords - w.text.Len(); room > 0 {
		w.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

const maxWords = 4 << 10

// sessionBody is an answer whose session ends with it.
type sessionBody struct {
	io.Reader

	session *sshSession
}

func (b *sessionBody) Close() error {
	b.session.finish()
	return nil
}
