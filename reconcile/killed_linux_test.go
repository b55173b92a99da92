// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// killed is a repository whose server dies in the midst of pushes, and an engine that
// has one update to write each time.
type killed struct {
	*world

	config   reconcile.Config
	engine   *reconcile.Engine
	versions int
	// unknown counts passes that failed although the push was taken.
	unknown int
}

// newKilled makes the repository, which is at url.
func newKilled(t *testing.T, repo gitserver.Repo, config reconcile.Config) *killed {
	t.Helper()
	k := &killed{world: &world{t: t, registry: faults.New(t, faults.Options{}).Calm, repo: repo}, config: config}
	k.config.Registry = registry.Options{PlainHTTP: []string{k.registry}, Limits: registry.NewLimits(-1)}
	images.Push(t, k.registry, "app", "1.0.0", "app")
	repo.Seed(t, map[string]string{
		"policies/app.yaml": k.policy("app", "app"),
		app:                 k.deployment("app", "app:1.0.0", "app"),
	}, "First")
	k.restart()
	k.update(func() {})
	return k
}

// restart is a new process.
func (k *killed) restart() {
	k.t.Helper()
	var err error
	if k.engine == nil {
		k.engine, err = reconcile.Open(k.config)
	} else {
		k.engine, err = reconcile.OpenBeside(k.engine, k.config)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// update makes one update due and tries to write it, after which the server is made
// well. It checks that it is there once, whatever became of the first try, of which it
// returns the error.
func (k *killed) update(mend func()) error {
	k.t.Helper()
	k.versions++
	version := fmt.Sprintf("1.%d.0", k.versions)
	images.Push(k.t, k.registry, "app", version, version)
	first, failed := k.engine.Sync(k.t.Context())
	if failed == nil && len(first.Commits) != 1 {
		k.t.Errorf("version %d: the pass that wrote it tells of %d commits", k.versions, len(first.Commits))
	}
	if failed != nil && k.tag(app) == version {
		k.unknown++
	}
	mend()
	if k.versions%5 == 0 {
		k.restart()
	}
	report, err := k.engine.Sync(k.t.Context())
	for deadline := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(deadline); report, err = k.engine.Sync(k.t.Context()) {
		time.Sleep(time.Millisecond) // what the killed server left may still be at work
	}
	if err != nil {
		k.t.Fatalf("version %d is not written, after %v: %v", k.versions, failed, err)
	}
	if got := k.tag(app); got != version || len(report.Commits) > 1 {
		k.t.Fatalf("the repository holds %s, want %s; the last pass made %d commits", got, version, len(report.Commits))
	}
	k.repo.Fsck(k.t)
	return failed
}

// expectOnce checks that each update is in the history once, with the next revision.
func (k *killed) expectOnce() {
	k.t.Helper()
	var got, want []string
	for line := range strings.SplitSeq(gitserver.Git(k.t, k.repo.Dir, "log", "--reverse", "--format=%B", "main"), "\n") {
		if trailer, ok := strings.CutPrefix(line, "Pintle-Update: prod/app "); ok {
			revision, rest, _ := strings.Cut(trailer, " ")
			_, now, _ := strings.Cut(rest, " -> ")
			now, _, _ = strings.Cut(now, "@")
			got = append(got, revision+" "+now)
		}
	}
	for i := 1; i <= k.versions; i++ {
		want = append(want, fmt.Sprintf("%d 1.%d.0", i, i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		k.t.Errorf("revisions (-want +got):\n%s", diff)
	}
	if got := gitserver.Git(k.t, k.repo.Dir, "rev-list", "--count", "main"); got != fmt.Sprint(1+k.versions) {
		k.t.Errorf("%s commits, want %d", got, 1+k.versions)
	}
}

// cutAnywhere cuts the wire at bytes of a pass that pushes, in steps, and at each byte
// that is of interest, which is told by how many come after it.
func (k *killed) cutAnywhere(wire *faults.Wire, steps map[faults.Way]int, ofInterest func(left int) bool) {
	k.t.Helper()
	cuts, failed := 0, 0
	for _, way := range []faults.Way{faults.ToServer, faults.FromServer} {
		before, total := wire.Sent(way), 0
		if err := k.update(func() { total = wire.Sent(way) - before }); err != nil {
			k.t.Fatal(err)
		}
		for at := range total {
			if at%steps[way] != 0 && (way == faults.FromServer || !ofInterest(total-at)) {
				continue
			}
			cuts++
			wire.Cut(way, at, cuts%2 == 0)
			if err := k.update(wire.Mend); err != nil {
				failed++
			}
		}
	}
	k.t.Logf("%d cuts, after %d of which the pass failed, %d times with the push taken", cuts, failed, k.unknown)
	if failed == cuts || failed == 0 {
		k.t.Error("want some cuts that the pass gets over, and some that it does not")
	}
	k.expectOnce()
}

// TestAServerThatDiesAtAnyByte: a push is there once or not at all, and the next pass
// knows.
func TestAServerThatDiesAtAnyByte(t *testing.T) {
	t.Run("http", func(t *testing.T) {
		server := gitserver.New(t, gitserver.Options{})
		var pack atomic.Int64 // the last one's length, at the end of a request
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			if start := bytes.Index(body, []byte("PACK")); start > 0 {
				pack.Store(int64(len(body) - start))
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			server.ServeHTTP(w, r)
		}))
		t.Cleanup(front.Close)
		wire := faults.NewWire(t, front.Listener.Addr().String())
		k := newKilled(t, server.Create("fleet"), reconcile.Config{Repo: "http://" + wire.Host + "/fleet.git"})
		const header, checksum = 12, 20
		k.cutAnywhere(wire, map[faults.Way]int{faults.ToServer: 64, faults.FromServer: 48}, func(left int) bool {
			start := int(pack.Load())
			return left <= start && left > start-header || left <= checksum && left%4 == 1
		})
		if k.unknown == 0 {
			t.Error("no pass failed although its push was taken")
		}
	})
	t.Run("ssh", func(t *testing.T) {
		server := gitserver.NewSSH(t, gitserver.Options{})
		wire := faults.NewWire(t, net.JoinHostPort(server.Host, server.Port))
		repo := server.Create("fleet")
		k := newKilled(t, repo, reconcile.Config{Repo: "ssh://" + server.User + "@" + wire.Host + repo.Dir, Git: sshAuth(server, wire.Host)})
		k.cutAnywhere(wire, map[faults.Way]int{faults.ToServer: 600, faults.FromServer: 120}, func(left int) bool { return left <= 4 })
	})
}

// killers are hooks that kill git-receive-pack, or a parent of it, in the midst.
var killers = map[string]struct {
	hook, when    string
	server        bool // not git-receive-pack alone
	taken, locked bool
}{
	"before the check":                  {hook: "pre-receive"},
	"before the update":                 {hook: "update"},
	"with the lock":                     {hook: "reference-transaction", when: "prepared", locked: true},
	"after the update":                  {hook: "reference-transaction", when: "committed", taken: true},
	"before the answer":                 {hook: "post-receive", taken: true},
	"and the server, before the update": {hook: "update", server: true},
	"and the server, with the lock":     {hook: "reference-transaction", when: "prepared", server: true, locked: true},
	"and the server, after the update":  {hook: "reference-transaction", when: "committed", server: true, taken: true},
}

// killScript kills the hook's parent, and its parents up to the one of a name, if one
// is given.
func killScript(when, server string) string {
	script := "kill -9 $PPID\n"
	if server != "" {
		script = `pid=$PPID; all=$pid
until grep -q '^Name:.*` + server + `' /proc/$pid/status || test $pid -le 1; do
	pid=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$pid/status); all="$pid $all"
done
test $pid -gt 1 && kill -9 $all
`
	}
	if when != "" {
		script = `test "$1" = ` + when + " || exit 0\n" + script
	}
	return script
}

// TestAServerThatIsKilled: the same where the server's processes are killed, of which
// one may have held the branch's lock.
func TestAServerThatIsKilled(t *testing.T) {
	t.Run("http", func(t *testing.T) {
		repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
		newKilled(t, repo, reconcile.Config{Repo: repo.URL}).killAnywhere("git-http-backen")
	})
	t.Run("ssh", func(t *testing.T) {
		server := gitserver.NewSSH(t, gitserver.Options{})
		repo := server.Create("fleet")
		newKilled(t, repo, reconcile.Config{Repo: repo.URL, Git: sshAuth(server, net.JoinHostPort(server.Host, server.Port))}).killAnywhere("sshd")
	})
	t.Run("path", func(t *testing.T) {
		repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
		newKilled(t, repo, reconcile.Config{Repo: repo.Dir}).killAnywhere("")
	})
}

// killAnywhere has each of the killers in the way of an update.
func (k *killed) killAnywhere(server string) {
	for name, c := range killers {
		k.t.Logf("killed %s", name)
		parent := ""
		if c.server {
			parent = server
		}
		k.repo.Hook(k.t, c.hook, killScript(c.when, parent))
		failed := k.update(func() {
			if err := os.Remove(filepath.Join(k.repo.Dir, "hooks", c.hook)); err != nil {
				k.t.Fatal(err)
			}
			k.unlock(c.locked)
		})
		if (failed == nil) != c.taken {
			k.t.Errorf("the first pass says %v; it was taken: %v", failed, c.taken)
		}
		if failed != nil && strings.Contains(failed.Error(), "may be pushed to with") {
			k.t.Errorf("a killed server is taken for one that refuses: %v", failed)
		}
	}
	k.expectOnce()
}

// unlock does what locks that are left make people do.
func (k *killed) unlock(locked bool) {
	var left []string
	for _, name := range []string{"HEAD.lock", "refs/heads/main.lock"} {
		if _, err := os.Stat(filepath.Join(k.repo.Dir, name)); err == nil {
			left = append(left, filepath.Join(k.repo.Dir, name))
		}
	}
	if (len(left) > 0) != locked {
		k.t.Errorf("the locks %v are left, want some: %v", left, locked)
	}
	if !locked {
		return
	}
	_, err := k.engine.Sync(k.t.Context())
	if err == nil || !strings.Contains(err.Error(), ".lock': File exists") || !strings.Contains(err.Error(), "have to be removed where the repository is stored") {
		k.t.Errorf("with the lock: %v", err)
	}
	for _, lock := range left {
		if err := os.Remove(lock); err != nil {
			k.t.Fatal(err)
		}
	}
}
