// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// answer is what a server says to a push.
type answer struct {
	status int
	body   string
	cut    bool // in the midst
}

// report is a server's report on the branch main, with what it says to people.
func report(said, refused string) answer {
	var status, body strings.Builder
	lines := pktline.NewEncoder(&status)
	_ = lines.EncodeString("unpack ok\n", "ng refs/heads/main "+refused+"\n")
	_ = lines.Flush()
	bands := pktline.NewEncoder(&body)
	if said != "" {
		_ = bands.EncodeString("\x02" + said)
	}
	_ = bands.EncodeString("\x01" + status.String())
	_ = bands.Flush()
	return answer{status: http.StatusOK, body: body.String()}
}

func (a answer) write(t *testing.T, w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
	if a.cut {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-receive-pack-result\r\nContent-Length: 1000\r\n\r\n%s", a.body)
		_ = conn.Close()
		return
	}
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body))
}

const (
	toPropose = "or propose what is due with `mode: PullRequest`"
	toCheck   = `check that branch "main" may be pushed to`
	toUnlock  = "its .lock files have to be removed"
	tryLater  = "try again later"
)

// answers are what servers are known to say, and what is told of it where nobody else
// has pushed.
var answers = map[string]struct {
	answer

	kind mirror.Kind
	says []string
}{
	// github.com/grafana/mimir/issues/14809
	"GitHub, protected": {report("error: GH006: Protected branch update failed for refs/heads/main.\n\n- Changes must be made through a pull request.\n", "protected branch hook declined"), mirror.Rejected, []string{"GH006", "protected branch hook declined", toPropose}},
	// docs.github.com, about rulesets
	"GitHub, a ruleset":    {report("error: GH013: Repository rule violations found for refs/heads/main.\n- Changes must be made through a pull request.\n", "push declined due to repository rule violations"), mirror.Rejected, []string{"GH013", toPropose}},
	"GitHub, a rule alone": {report("error: GH013: Repository rule violations found for refs/heads/main.\n- Commits must have verified signatures.\n", "push declined due to repository rule violations"), mirror.Rejected, []string{"verified signatures", toCheck}},
	// github.com/slsa-framework/example-package/issues/250
	"GitHub, a race": {report("", "cannot lock ref 'refs/heads/main': is at 669941e6196d60ec8a5f14cc3cd5764037bad4e8 but expected cdec69331ca3b4565378c23c6f917d5f89426a3a"), mirror.Rejected, []string{"cannot lock ref", toCheck}},
	// lib/gitlab/checks of GitLab
	"GitLab, protected":         {report("GitLab: You are not allowed to push code to protected branches on this project.\n", "pre-receive hook declined"), mirror.Rejected, []string{"GitLab: You are not allowed", toPropose}},
	"GitLab, a race":            {report("error: cannot lock ref 'refs/heads/main': is at 669941e6196d60ec8a5f14cc3cd5764037bad4e8 but expected cdec69331ca3b4565378c23c6f917d5f89426a3a\n", "failed to update ref"), mirror.Rejected, []string{"failed to update ref", toCheck}},
	"GitLab, a hook of its own": {report("GitLab: Commit message does not follow the pattern\n", "pre-receive hook declined"), mirror.Rejected, []string{"does not follow the pattern", toCheck}},
	// routers/private/hook_pre_receive.go of Gitea
	"Gitea, protected":           {report("Gitea: Not allowed to push to protected branch main\n", "pre-receive hook declined"), mirror.Rejected, []string{"Gitea: Not allowed", toPropose}},
	"Gitea, a file is protected": {report("Gitea: branch main is protected from changing file a.yaml\n", "pre-receive hook declined"), mirror.Rejected, []string{"changing file a.yaml", toCheck}},
	// confluence.atlassian.com, about branch permissions, and community.atlassian.com, question 2249496
	"Bitbucket, protected":       {report("Branch refs/heads/main can only be modified through pull requests.\nCheck your branch permissions configuration with the project administrator.\n", "pre-receive hook declined"), mirror.Rejected, []string{"branch permissions", toPropose}},
	"Bitbucket Cloud, protected": {report("Permission denied to update branch main.\n", "pre-receive hook declined"), mirror.Rejected, []string{"Permission denied", toPropose}},
	"Bitbucket, a race":          {report("", "failed to lock"), mirror.Rejected, []string{"failed to lock", toUnlock}},
	// learn.microsoft.com, about branch policies
	"Azure DevOps, protected": {report("", "TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch."), mirror.Rejected, []string{"TF402455", toPropose}},
	// builtin/receive-pack.c and refs/files-backend.c of Git, by versions
	"git, a race":            {report("", "incorrect old value provided"), mirror.Rejected, []string{"incorrect old value", toCheck}},
	"git, no fast-forward":   {report("", "non-fast-forward"), mirror.Rejected, []string{"non-fast-forward", toCheck}},
	"git, as clients put it": {report("", "fetch first"), mirror.Rejected, []string{"fetch first", toCheck}},
	"git, with a lease":      {report("", "stale info"), mirror.Rejected, []string{"stale info", toCheck}},
	"git, a lock is left":    {report("error: cannot lock ref 'refs/heads/main': Unable to create '/srv/fleet.git/./refs/heads/main.lock': File exists.\n\nAnother git process seems to be running in this repository\n", "failed to update ref"), mirror.Rejected, []string{"File exists", toUnlock}},
	"git, no room":           {report("fatal: write error: No space left on device\n", "unpacker error"), mirror.Rejected, []string{"No space left", toCheck}},
	// JGit's ReceivePack.java, which is Gerrit's
	"Gerrit, a race":   {report("", "lock failure"), mirror.Rejected, []string{"lock failure", toUnlock}},
	"Gerrit, no right": {report("", "prohibited by Gerrit: not permitted: update"), mirror.Rejected, []string{"not permitted: update", toCheck}},

	"401":                   {answer{status: 401}, mirror.Unauthorized, []string{"other credentials"}},
	"403":                   {answer{status: 403, body: "no"}, mirror.Forbidden, []string{"the server forbids it"}},
	"409":                   {answer{status: 409, body: "<html>conflict"}, mirror.Rejected, []string{"the server refuses the push: the server answers 409 Conflict: " + toCheck}},
	"413":                   {answer{status: 413, body: "<html>too large"}, mirror.Rejected, []string{"413 Request Entity Too Large"}},
	"500":                   {answer{status: 500, body: "<html>oh"}, mirror.Unreachable, []string{"the server answers 500", tryLater}},
	"502":                   {answer{status: 502, body: "<html>oh"}, mirror.Unreachable, []string{"the server answers 502", tryLater}},
	"504":                   {answer{status: 504, body: "<html>oh"}, mirror.Unreachable, []string{"the server answers 504", tryLater}},
	"nothing":               {answer{status: 200}, mirror.Unreachable, []string{"did not say whether it took the push"}},
	"a page":                {answer{status: 200, body: "<html>log in"}, mirror.Unreachable, []string{"not that of a Git server"}},
	"cut before the report": {answer{cut: true}, mirror.Unreachable, []string{"EOF"}},
	"cut in the report":     {answer{cut: true, body: report("", "no").body[:20]}, mirror.Unreachable, []string{"not that of a Git server"}},
}

// answering serves a repository, and gives an answer to the pushes of others than the
// test in the place of what really happens.
type answering struct {
	gitserver.Repo

	git    *gitserver.Server
	url    string
	before func() // a push is answered; nil lets it through
	passOn bool   // let the push through before the answer
}

func newAnswering(t *testing.T, a answer) *answering {
	t.Helper()
	s := &answering{git: gitserver.New(t, gitserver.Options{})}
	s.Repo = s.git.Create("fleet")
	s.Seed(t, map[string]string{"a.yaml": "a: 1\n", "b.yaml": "b: 1\n"}, "First")
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.before == nil || !strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
			s.git.ServeHTTP(w, r)
			return
		}
		s.before()
		s.before = nil
		if s.passOn {
			s.git.ServeHTTP(httptest.NewRecorder(), r)
		}
		a.write(t, w)
	}))
	t.Cleanup(front.Close)
	s.url = front.URL + "/fleet.git"
	return s
}

// write pushes the nth content of a.yaml.
func (s *answering) write(t *testing.T, m *mirror.Mirror, n int) error {
	t.Helper()
	return commit(t.Context(), m, map[string][]byte{"a.yaml": fmt.Appendf(nil, "a: %d\n", n)})
}

// expect checks that the nth content is there, that one push of all that reached git
// did it, and how many commits there are now.
func (s *answering) expect(t *testing.T, n, commits int) {
	t.Helper()
	if got, want := s.Read(t, "main", "a.yaml"), fmt.Sprintf("a: %d\n", n); got != want {
		t.Errorf("a.yaml holds %q, want %q", got, want)
	}
	if got := s.git.Counts().ReceivePacks; got != 1 {
		t.Errorf("%d pushes, want 1", got)
	}
	if got := gitserver.Git(t, s.Dir, "rev-list", "--count", "main"); got != fmt.Sprint(commits) {
		t.Errorf("the branch has %s commits, want %d", got, commits)
	}
	s.git.Reset()
}

// TestAnswersToAPush: whatever a server says, the branch tells what happened.
func TestAnswersToAPush(t *testing.T) {
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			s := newAnswering(t, c.answer)
			m := open(t, s.url)
			fetch(t, m)

			// Nobody else pushed, so that it was refused.
			s.before = func() {}
			err := s.write(t, m, 2)
			for _, says := range c.says {
				wantKind(t, err, c.kind, says)
			}
			if err == nil || strings.ContainsAny(err.Error(), "\n\x02<") {
				t.Errorf("the message is not in one line of text: %v", err)
			}
			if err := s.write(t, m, 2); err != nil {
				t.Fatal(err)
			}
			s.expect(t, 2, 2)

			// Somebody else pushed, so that it lost a race.
			s.before = func() { s.Seed(t, map[string]string{"b.yaml": "b: 2\n"}, "Theirs") }
			err = s.write(t, m, 3)
			if _, lost := errors.AsType[*mirror.RaceError](err); !lost || strings.ContainsAny(err.Error(), "\n\x02<") {
				t.Errorf("the push says %v, want a lost race in one line", err)
			}
			fetch(t, m)
			if err := s.write(t, m, 3); err != nil {
				t.Fatal(err)
			}
			s.expect(t, 3, 4)

			// It was taken, whatever was answered.
			s.before, s.passOn = func() {}, true
			if err := s.write(t, m, 4); err != nil {
				t.Errorf("a push that was taken fails: %v", err)
			}
			if got := m.Head().String(); got != s.Head(t, "main") {
				t.Errorf("the mirror is at %s, which is not the head", got)
			}
			s.expect(t, 4, 5)
			s.Fsck(t)
		})
	}
}

// TestAPushThatNobodyKnowsOf: the server is away after it got the push.
func TestAPushThatNobodyKnowsOf(t *testing.T) {
	git := gitserver.New(t, gitserver.Options{})
	repo := git.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	away := false
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away = away || strings.HasSuffix(r.URL.Path, "/git-receive-pack"); away {
			http.Error(w, "<html>", http.StatusBadGateway)
			return
		}
		git.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	err := writeTo(t.Context(), front.URL+"/fleet.git", "", mirror.Auth{})
	wantKind(t, err, mirror.Unreachable, "whether it was taken is not known yet")
	if strings.ContainsAny(err.Error(), "\n<") {
		t.Errorf("the message is more than a line: %v", err)
	}
}
