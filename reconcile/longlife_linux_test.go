// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// belongings are what a process holds.
type belongings struct{ goroutines, files, children, temporary int }

func (b belongings) String() string {
	return fmt.Sprintf("%d goroutines, %d open files, %d children, %d temporary files", b.goroutines, b.files, b.children, b.temporary)
}

// within tells whether nothing has grown by more than a few.
func (b belongings) within(few int, before belongings) bool {
	return b.goroutines <= before.goroutines+few && b.files <= before.files+few && b.children <= before.children && b.temporary <= before.temporary
}

// holds counts what this process holds, with the temporary files in a folder.
func holds(t *testing.T, temporary string) belongings {
	t.Helper()
	entries := func(folder string) []os.DirEntry {
		found, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	b := belongings{goroutines: runtime.NumGoroutine(), files: len(entries("/proc/self/fd")), temporary: len(entries(temporary))}
	for _, e := range entries("/proc") {
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat")) // also of what has ended and was not waited for
		_, rest, ok := strings.Cut(string(status), ") ")
		if fields := strings.Fields(rest); err == nil && ok && fields[1] == strconv.Itoa(os.Getpid()) {
			b.children++
		}
	}
	return b
}

// TestAThousandUpdates: a process that lives long holds no more at the end.
func TestAThousandUpdates(t *testing.T) {
	t.Run("http", func(t *testing.T) {
		repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
		liveLong(t, 1000, repo, reconcile.Config{Repo: repo.URL})
	})
	t.Run("ssh", func(t *testing.T) {
		server := gitserver.NewSSH(t, gitserver.Options{})
		repo := server.Create("fleet")
		liveLong(t, 50, repo, reconcile.Config{Repo: repo.URL, Git: sshAuth(server, net.JoinHostPort(server.Host, server.Port))})
		if got := server.Logins(); got > 2 {
			t.Errorf("%d logins, want that a connection is kept", got)
		}
	})
	t.Run("path", func(t *testing.T) {
		repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
		liveLong(t, 100, repo, reconcile.Config{Repo: repo.Dir})
	})
}

// liveLong writes so many updates with one engine.
func liveLong(t *testing.T, updates int, repo gitserver.Repo, config reconcile.Config) {
	t.Helper()
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	w := &world{t: t, registry: faults.New(t, faults.Options{}).Calm, repo: repo}
	repo.Seed(t, map[string]string{
		"policies/app.yaml": strings.Replace(w.policy("app", "app"), anySemver, "{tag: stable}", 1),
		app:                 w.deployment("app", "app:stable", "app"),
	}, "First")
	config.Registry = registry.Options{PlainHTTP: []string{w.registry}, Limits: registry.NewLimits(-1)}
	engine, err := reconcile.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	update := func(n int) {
		images.Push(t, w.registry, "app", "stable", fmt.Sprint(n))
		if report, err := engine.Sync(t.Context()); err != nil || len(report.Commits) != 1 {
			t.Fatalf("update %d: %+v, %v", n, report, err)
		}
	}
	const first = 20
	for n := range first {
		update(n)
	}
	before := holds(t, temporary)
	start := time.Now()
	for n := first; n < updates; n++ {
		update(n)
	}
	took := time.Since(start)
	after := holds(t, temporary)
	for deadline := time.Now().Add(10 * time.Second); !after.within(4, before) && time.Now().Before(deadline); after = holds(t, temporary) {
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%s each; %s; %s after %d", took/time.Duration(updates-first), after, before, first)
	if !after.within(4, before) {
		t.Errorf("after %d updates it holds %s; %s after %d", updates, after, before, first)
	}
	if got := gitserver.Git(t, repo.Dir, "rev-list", "--count", "main"); got != fmt.Sprint(updates+1) {
		t.Errorf("%s commits, want %d", got, updates+1)
	}
	repo.Fsck(t)
}
