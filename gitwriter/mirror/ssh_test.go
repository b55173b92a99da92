// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

func sshAuth(server *gitserver.SSHServer) mirror.Auth {
	return mirror.Auth{SSH: mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: server.KnownHosts[0]}}
}

func openSSH(t *testing.T, server *gitserver.SSHServer, repo gitserver.Repo) *mirror.Mirror {
	t.Helper()
	m, err := mirror.Open(repo.URL, "", sshAuth(server))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sessionsEnd checks that soon nothing reads from a connection any more, when the ones
// that wait have been hung up.
func sessionsEnd(t *testing.T, mirrors ...*mirror.Mirror) {
	t.Helper()
	for _, m := range mirrors {
		mirror.HangUp(m)
	}
	stacks := make([]byte, 1<<20)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if all := stacks[:runtime.Stack(stacks, true)]; !bytes.Contains(all, []byte("golang.org/x/crypto/ssh")) {
			return
		}
	}
	t.Errorf("sessions are left:\n%s", stacks)
}

// TestTrafficOverSSH: one connection, with one command for each request.
func TestTrafficOverSSH(t *testing.T) {
	server := gitserver.NewSSH(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	m := openSSH(t, server, repo)
	fetch(t, m)
	fetch(t, m)
	if err := commit(t.Context(), m, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
		t.Fatal(err)
	}
	fetch(t, m)
	upload, receive := "git-upload-pack '"+repo.Dir+"'", "git-receive-pack '"+repo.Dir+"'"
	if diff := cmp.Diff([]string{upload, upload, upload, receive, upload}, server.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if server.Logins() != 1 {
		t.Errorf("%d logins, want 1", server.Logins())
	}
	sessionsEnd(t, m)
}
