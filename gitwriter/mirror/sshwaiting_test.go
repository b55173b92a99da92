// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// wired is a mirror over SSH on a wire that a test can cut.
type wired struct {
	*mirror.Mirror

	server *gitserver.SSHServer
	repo   gitserver.Repo
	wire   *faults.Wire
	auth   mirror.Auth
}

func newWired(t *testing.T) *wired {
	t.Helper()
	server := gitserver.NewSSH(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	wire := faults.NewWire(t, net.JoinHostPort(server.Host, server.Port))
	host, port, _ := strings.Cut(wire.Host, ":")
	auth := sshAuth(server)
	auth.SSH.KnownHosts = "[" + host + "]:" + port + " " + afterHost(server.KnownHosts[0])
	m, err := mirror.Open("ssh://"+server.User+"@"+wire.Host+repo.Dir, "", auth)
	if err != nil {
		t.Fatal(err)
	}
	return &wired{m, server, repo, wire, auth}
}

// expect checks how many logins there were, and how many connections are soon open.
func (w *wired) expect(t *testing.T, logins, open int) {
	t.Helper()
	if got := w.server.Logins(); got != logins {
		t.Errorf("%d logins, want %d", got, logins)
	}
	got := -1
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, got = w.wire.Connections(); got == open {
			return
		}
	}
	t.Errorf("%d connections are open, want %d", got, open)
}

// A connection that waits is used, or dialled again where it has died meanwhile.
func TestAWaitingConnection(t *testing.T) {
	w := newWired(t)
	fetch(t, w.Mirror)
	if err := commit(t.Context(), w.Mirror, map[string][]byte{"a.yaml": []byte("a: 2\n")}); err != nil {
		t.Fatal(err)
	}
	w.expect(t, 1, 1)

	w.wire.Drop()
	fetch(t, w.Mirror)
	w.expect(t, 2, 1)

	// A push that is refused is as good an end of a command as any other.
	w.repo.Hook(t, "pre-receive", "exit 1")
	if err := commit(t.Context(), w.Mirror, map[string][]byte{"a.yaml": []byte("a: 3\n")}); err == nil {
		t.Error("a refused push is taken")
	}
	w.expect(t, 2, 1)

	mirror.HangUp(w.Mirror)
	w.expect(t, 2, 0)
	sessionsEnd(t)
}

// One that goes dead without a word costs seconds, not the pass.
func TestADeadConnection(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	fetch(t, w.Mirror)
	w.wire.Deafen()
	mirror.AnswerWithin(w.Mirror, 100*time.Millisecond)
	start := time.Now()
	fetch(t, w.Mirror)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s to notice", took)
	}
	if got := w.server.Logins(); got != 2 {
		t.Errorf("%d logins, want 2", got)
	}
	mirror.HangUp(w.Mirror)
}

// Nothing waits for ever, neither for a command nor in one.
func TestLimitsOfWaiting(t *testing.T) {
	w := newWired(t)
	mirror.KeepFor(w.Mirror, 50*time.Millisecond)
	fetch(t, w.Mirror)
	w.expect(t, 1, 0)
	fetch(t, w.Mirror)
	w.expect(t, 2, 0)

	// The far end is silent for too long while a command runs.
	w.repo.Hook(t, "pre-receive", "while grep -q loop \"$0\"; do sleep 0.05; done")
	mirror.IdleFor(w.Mirror, time.Second)
	mirror.KeepFor(w.Mirror, time.Minute)
	err := commit(t.Context(), w.Mirror, map[string][]byte{"a.yaml": []byte("a: 2\n")})
	wantKind(t, err, mirror.Unreachable, "no answer in time")
	w.repo.Hook(t, "pre-receive", "exit 0")
	mirror.HangUp(w.Mirror)
	w.expect(t, 4, 0) // for the push and for the look at the branch
	sessionsEnd(t)
	pushesEnd(t, w.repo)
}

// pushesEnd waits until the server is done with what nobody waits for any more.
func pushesEnd(t *testing.T, repo gitserver.Repo) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var left []string
		for _, pattern := range []string{"objects/*incoming-*", "refs/heads/*.lock", "*.lock"} {
			found, err := filepath.Glob(filepath.Join(repo.Dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, found...)
		}
		if len(left) == 0 {
			return
		}
	}
	t.Error("a push goes on")
}

// Other credentials or known hosts get a connection of their own.
func TestAWaitingConnectionIsOfItsLogin(t *testing.T) {
	w := newWired(t)
	fetch(t, w.Mirror)
	same := w.auth
	if err := w.SetAuth(same); err != nil {
		t.Fatal(err)
	}
	fetch(t, w.Mirror)
	w.expect(t, 1, 1)

	other := w.auth
	key := gitserver.NewKey(t, "ed25519", "")
	other.SSH.PrivateKey = content(t, key)
	if err := w.SetAuth(other); err != nil {
		t.Fatal(err)
	}
	w.expect(t, 1, 0)
	_, err := w.Tip(t.Context())
	wantKind(t, err, mirror.Unauthorized, "takes none of the keys")
	w.server.Allow(key)
	fetch(t, w.Mirror)
	w.expect(t, 2, 1)

	other.SSH.KnownHosts = ""
	if err := w.SetAuth(other); err != nil {
		t.Fatal(err)
	}
	_, err = w.Tip(t.Context())
	wantKind(t, err, mirror.HostKeyUnknown, "known_hosts has no key")
	w.expect(t, 2, 0)
	sessionsEnd(t)
}
