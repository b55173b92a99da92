// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// sshAuth logs in at a server that is reached at another HOST:PORT.
func sshAuth(server *gitserver.SSHServer, at string) reconcile.GitAuth {
	host, port, _ := strings.Cut(at, ":")
	_, key, _ := strings.Cut(server.KnownHosts[0], " ")
	return reconcile.GitAuth{SSH: mirror.SSH{PrivateKey: server.PrivateKey, KnownHosts: "[" + host + "]:" + port + " " + key}}
}

// crowd are eight engines, with a policy each, and a person, who all write one branch.
type crowd struct {
	*world

	config reconcile.Config
	// clone is the person's, who pushes to its origin.
	clone  string
	rounds int // updates of each
}

const (
	writers = 8
	notes   = 6 // commits of the person
)

// TestEightWriters: every update lands once, and what people push stands.
func TestEightWriters(t *testing.T) {
	t.Run("http", func(t *testing.T) {
		repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
		c := newCrowd(t, reconcile.Config{Repo: repo.URL})
		repo.Seed(t, c.files(), "First")
		c.clone = repo.Clone(t)
		c.work()
		repo.Fsck(t)
	})
	t.Run("ssh", func(t *testing.T) {
		server := gitserver.NewSSH(t, gitserver.Options{})
		repo := server.Create("fleet")
		c := newCrowd(t, reconcile.Config{Repo: repo.URL, Git: sshAuth(server, net.JoinHostPort(server.Host, server.Port))})
		repo.Seed(t, c.files(), "First")
		c.clone = repo.Clone(t)
		c.rounds = 2
		c.work()
		repo.Fsck(t)
	})
	t.Run("gitea", func(t *testing.T) {
		g := parts.Gitea(t)
		repo := g.CreateRepository(t, "fleet")
		c := newCrowd(t, reconcile.Config{Repo: repo, Git: reconcile.GitAuth{Username: g.Username, Password: g.Token}})
		c.clone = seedForge(t, g, repo, c.files())
		c.rounds = 1
		c.work()
		overSSH(t, g, c)
	})
}

// overSSH makes an update at Gitea's own SSH server.
func overSSH(t *testing.T, g *parts.Forge, c *crowd) {
	t.Helper()
	key := gitserver.NewKey(t, "ed25519", "")
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	config := c.config
	config.Repo = g.SSH + "/" + g.Username + "/fleet.git"
	config.Git = reconcile.GitAuth{SSH: mirror.SSH{PrivateKey: string(secret), KnownHosts: g.KnownHosts}}
	sync := func() (*reconcile.Report, error) {
		engine, err := reconcile.OpenBeside(c.first, config)
		if err != nil {
			t.Fatal(err)
		}
		return engine.Sync(t.Context())
	}
	expect := func(kind mirror.Kind, when string) {
		t.Helper()
		_, err := sync()
		if known, ok := errors.AsType[*mirror.Error](err); !ok || known.Kind != kind {
			t.Errorf("%s: %v, want kind %d", when, err, kind)
		}
	}
	expect(mirror.Unauthorized, "before the key is known")
	g.AddKey(t, string(public))
	config.Git.SSH.KnownHosts = strings.Fields(g.KnownHosts)[0] + " " + string(public)
	expect(mirror.HostKeyChanged, "with another host key")
	config.Git.SSH.KnownHosts = g.KnownHosts

	images.Push(t, c.registry, "app0", "2.0.0", "app0")
	if report, err := sync(); err != nil || len(report.Commits) != 1 {
		t.Fatalf("the update over SSH: %+v, %v", report, err)
	}
	gitserver.Git(t, c.clone, "pull", "--quiet", "--rebase", "origin", "main")
	if text := gitserver.Git(t, c.clone, "show", "main:apps/app0.yaml"); !strings.Contains(text, "app0:2.0.0@sha256:") {
		t.Errorf("app0.yaml holds %s", text)
	}
	config.Repo = strings.Replace(config.Repo, "/fleet.git", "/none.git", 1)
	expect(mirror.NotFound, "without such a repository")
}

// seedForge pushes the first commit to a forge, and returns the checkout.
func seedForge(t *testing.T, g *parts.Forge, repo string, files map[string]string) (clone string) {
	t.Helper()
	first := gitserver.New(t, gitserver.Options{}).Create("first")
	first.Seed(t, files, "First")
	clone = first.Clone(t)
	u, err := url.Parse(repo)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(g.Username, g.Token)
	gitserver.Git(t, clone, "remote", "set-url", "origin", u.String())
	gitserver.Git(t, clone, "push", "--quiet", "origin", "main")
	return clone
}

func newCrowd(t *testing.T, config reconcile.Config) *crowd {
	t.Helper()
	c := &crowd{world: &world{t: t, registry: faults.New(t, faults.Options{}).Calm}, config: config, rounds: 3}
	c.config.Registry = registry.Options{PlainHTTP: []string{c.registry}, Limits: registry.NewLimits(-1)}
	return c
}

func (c *crowd) files() map[string]string {
	files := map[string]string{"notes.yaml": "notes:\n"}
	for i := range writers {
		name := fmt.Sprintf("app%d", i)
		files["policies/"+name+".yaml"] = c.policy(name, name)
		files["apps/"+name+".yaml"] = c.deployment(name, name+":1.0.0", name)
	}
	return files
}

// work lets all write at the same time, and checks what came of it.
func (c *crowd) work() {
	c.t.Helper()
	races := make([]int, writers)
	var group sync.WaitGroup
	for i := range writers {
		var err error
		if c.first == nil {
			c.first, err = reconcile.Open(c.config)
		}
		engine := c.first
		if i > 0 {
			engine, err = reconcile.OpenBeside(c.first, c.config)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		group.Go(func() { races[i] = c.follow(engine, fmt.Sprintf("app%d", i)) })
	}
	c.write()
	group.Wait()
	c.t.Logf("lost races by writer: %v", races)
	c.expectAll()
}

// follow publishes one version after the other, and writes each. It returns how often
// somebody else was faster.
func (c *crowd) follow(engine *reconcile.Engine, name string) (races int) {
	for round := 1; round <= c.rounds; round++ {
		version := fmt.Sprintf("1.%d.0", round)
		images.Push(c.t, c.registry, name, version, name+version)
		const tries = 3
		for try := 1; ; try++ {
			report, err := engine.SyncDue(c.t.Context(), map[string]string{"prod/" + name: reconcile.BySchedule})
			if err == nil {
				races += report.Races
				break
			}
			// It gives up after twenty, and the next pass goes on.
			if _, lost := errors.AsType[*mirror.RaceError](err); !lost || try == tries {
				c.t.Errorf("%s, version %s: %v", name, version, err)
				return races
			}
			races += 21
		}
	}
	return races
}

// write is a person who commits and pushes, and pulls where that is refused.
func (c *crowd) write() {
	c.t.Helper()
	for i := range notes {
		text, err := os.ReadFile(c.clone + "/notes.yaml")
		if err != nil {
			c.t.Fatal(err)
		}
		if err := os.WriteFile(c.clone+"/notes.yaml", fmt.Appendf(text, "- %d\n", i), 0o600); err != nil {
			c.t.Fatal(err)
		}
		gitserver.Git(c.t, c.clone, "commit", "--quiet", "--all", "--message", fmt.Sprintf("Note %d", i))
		for try := 0; ; try++ {
			gitserver.Git(c.t, c.clone, "pull", "--quiet", "--rebase", "origin", "main")
			if _, err := gitserver.Try(c.t, c.clone, "push", "--quiet", "origin", "main"); err == nil {
				break
			}
			if try == 100 {
				c.t.Fatal("the person could not push in a hundred tries")
			}
		}
	}
}

// expectAll checks that each update and each note is in the history once, in order.
func (c *crowd) expectAll() {
	c.t.Helper()
	gitserver.Git(c.t, c.clone, "pull", "--quiet", "--rebase", "origin", "main")
	if found, err := gitserver.Try(c.t, c.clone, "fsck", "--strict", "--no-dangling", "--no-progress"); err != nil || found != "" {
		c.t.Errorf("fsck says %s, %v", found, err)
	}
	got, want := map[string][]string{}, map[string][]string{}
	commits := strings.Split(gitserver.Git(c.t, c.clone, "log", "--reverse", "--format=%B%x00", "main"), "\x00")
	for _, message := range commits {
		subject, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
		if strings.HasPrefix(subject, "Note ") {
			got["notes"] = append(got["notes"], subject)
		}
		for line := range strings.SplitSeq(message, "\n") {
			if trailer, ok := strings.CutPrefix(line, "Pintle-Update: prod/"); ok {
				name, rest, _ := strings.Cut(trailer, " ")
				revision, rest, _ := strings.Cut(rest, " ")
				_, now, _ := strings.Cut(rest, " -> ")
				version, _, _ := strings.Cut(now, "@")
				got[name] = append(got[name], revision+" "+version)
			}
		}
	}
	for i := range notes {
		want["notes"] = append(want["notes"], fmt.Sprintf("Note %d", i))
	}
	for i := range writers {
		name := fmt.Sprintf("app%d", i)
		for round := 1; round <= c.rounds; round++ {
			want[name] = append(want[name], fmt.Sprintf("%d 1.%d.0", round, round))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Errorf("what the history holds (-want +got):\n%s", diff)
	}
	if got, want := len(commits)-1, 1+writers*c.rounds+notes; got != want {
		c.t.Errorf("%d commits, want %d", got, want)
	}
	text, err := os.ReadFile(c.clone + "/notes.yaml")
	if err != nil || strings.Count(string(text), "\n") != 1+notes {
		c.t.Errorf("the notes hold %q, %v", text, err)
	}
}
