// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// TestBadRepositories are failures of the whole pass: status 1, one line on
// standard error that names the repository, nothing on standard output, and the
// branch as it was.
func TestBadRepositories(t *testing.T) {
	p := newParties(t)
	repo := p.fleet(t, "fleet", nil)
	protected := p.fleet(t, "protected", nil)
	protected.Hook(t, "pre-receive", `echo "main is protected: ask for a review" >&2; exit 1`)
	readOnly := p.fleet(t, "read-only", nil)
	gitserver.Git(t, readOnly.Dir, "config", "http.receivepack", "false")
	empty := p.git.Create("empty")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/broken"):
			http.Error(w, "out of order "+gitPassword, http.StatusInternalServerError)
		case strings.HasPrefix(r.URL.Path, "/moved"):
			http.Redirect(w, r, "/login?token="+gitPassword, http.StatusFound)
		default:
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!DOCTYPE html><title>Welcome</title>"))
		}
	}))
	t.Cleanup(web.Close)
	nowhere := filepath.Join(t.TempDir(), "fleet")
	right := func(address string) []string { return []string{"--repo", withLogin(t, address, gitPassword)} }
	tests := map[string]struct {
		args []string
		says []string
	}{
		"no such URL":       {right(p.git.URL + "/none.git"), []string{p.git.URL + "/none.git", "no such repository"}},
		"no such path":      {[]string{"--repo", nowhere}, []string{nowhere, "there is no Git repository"}},
		"no server":         {right("http://127.0.0.1:1/fleet.git"), []string{"http://127.0.0.1:1/fleet.git: dial tcp 127.0.0.1:1: connect"}},
		"wrong in URL":      {[]string{"--repo", withLogin(t, repo.URL, wrongPassword)}, []string{repo.URL, "credentials"}},
		"wrong in file":     {[]string{"--repo", repo.URL, "--git-username", gitUser, "--git-password-file", passwordFile(t, wrongPassword)}, []string{repo.URL, "credentials"}},
		"no password":       {[]string{"--repo", repo.URL}, []string{repo.URL, "--git-password-file"}},
		"no password file":  {[]string{"--repo", repo.URL, "--git-username", gitUser, "--git-password-file", nowhere}, []string{nowhere}},
		"no such branch":    {append(right(repo.URL), "--branch", "release"), []string{repo.URL, `there is no branch "release"`}},
		"empty repository":  {right(empty.URL), []string{empty.URL, "empty"}},
		"protected branch":  {right(protected.URL), []string{protected.URL, "main is protected: ask for a review", `branch "main"`}},
		"read-only":         {right(readOnly.URL), []string{readOnly.URL, "forbids"}},
		"a server's 500":    {right(web.URL + "/broken/fleet.git"), []string{web.URL + "/broken/fleet.git: the server answers 500 Internal Server Error"}},
		"a web page":        {right(web.URL + "/page/fleet.git"), []string{web.URL + "/page/fleet.git: the answer is not that of a Git server"}},
		"a login page":      {right(web.URL + "/moved/fleet.git"), []string{web.URL + "/moved/fleet.git"}},
		"malformed URL":     {[]string{"--repo", "https://" + gitUser + ":" + gitPassword + "%zz@example.com/x.git"}, []string{"malformed"}},
		"unknown scheme":    {[]string{"--repo", "gopher://" + gitUser + ":" + gitPassword + "@example.com/x.git"}, []string{"gopher"}},
		"no policies there": {append(right(repo.URL), "--policies", nowhere), []string{nowhere}},
	}
	heads := func() string {
		return repo.Head(t, "main") + protected.Head(t, "main") + readOnly.Head(t, "main")
	}
	before := heads()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := p.pintle(t, append([]string{"sync"}, test.args...)...)
			if got.status != statusFailed || got.stdout != "" {
				t.Errorf("sync ends with %d, want %d:\n%s", got.status, statusFailed, got.stdout)
			}
			if strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "pintle: cannot ") {
				t.Errorf("want one line that says what cannot be done, got:\n%s", got.stderr)
			}
			for _, part := range test.says {
				if !strings.Contains(got.stderr, part) {
					t.Errorf("lacks %q: %s", part, got.stderr)
				}
			}
		})
	}
	if heads() != before {
		t.Error("a branch moved")
	}
}
