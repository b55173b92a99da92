// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// counter stands before a forge, counts what is asked of it, and can refuse its API.
type counter struct {
	URL string

	mu     sync.Mutex
	asked  map[string]int
	refuse int // status of all answers of the API; 0 lets them through
	// listed, if it is not nil, runs once after a list of requests was answered.
	listed func()
}

func newCounter(t *testing.T, to string) *counter {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{asked: map[string]int{}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse := c.note(r); refuse > 0 {
			http.Error(w, `{"message": "not today"}`, refuse)
			return
		}
		proxy.ServeHTTP(w, r)
		if strings.HasSuffix(r.URL.Path, "/issues") {
			c.then()
		}
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// then runs what is to happen right after a list, before its answer is at its end.
func (c *counter) then() {
	c.mu.Lock()
	do := c.listed
	c.listed = nil
	c.mu.Unlock()
	if do != nil {
		do()
	}
}

func (c *counter) note(r *http.Request) (refuse int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v1/") && r.Method == http.MethodGet:
		c.asked["read"]++
		return c.refuse
	case strings.HasPrefix(r.URL.Path, "/api/v1/"):
		c.asked["write"]++
		return c.refuse
	case strings.HasSuffix(r.URL.Path, "/git-receive-pack"):
		c.asked["push"]++
	case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
		c.asked["pack"]++
	}
	return 0
}

// taken are the counts since the last call.
func (c *counter) taken() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := maps.Clone(c.asked)
	clear(c.asked)
	return was
}

func (c *counter) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = status
}

// forged is a world whose repository is at a Gitea.
type forged struct {
	*world

	forge *parts.Forge
	front *counter
	name  string
	how   reconcile.PullRequests
	pace  reconcile.Pace
	// mute: processes get no answer from the registry.
	mute bool
	last *reconcile.Engine
}

// newForged makes a repository of its own with one policy and one field at 1.0.0.
func newForged(t *testing.T, g *parts.Forge, host, name string) *forged {
	t.Helper()
	f := &forged{world: &world{t: t, registry: host}, forge: g, front: newCounter(t, g.URL), name: name}
	g.CreateRepository(t, name)
	f.push(name, "1.0.0", "1.1.0")
	f.person(func(u user) {
		u.write("policies/app.yaml", f.policy("app", name))
		u.write("apps/app.yaml", f.deployment("app", name+":1.0.0", "app"))
	}, "First")
	return f
}

// person commits to main what edit does in a clone.
func (f *forged) person(edit func(u user), message string) {
	f.t.Helper()
	u := f.clone()
	edit(u)
	u.git("add", "--all")
	u.git("commit", "--quiet", "--message", message)
	u.git("push", "--quiet", "origin", "HEAD")
}

func (f *forged) clone() user {
	f.t.Helper()
	u, err := url.Parse(f.forge.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	u.User = url.UserPassword(f.forge.Username, f.forge.Password)
	dir := f.t.TempDir()
	gitserver.Git(f.t, dir, "clone", "--quiet", u.String()+"/ada/"+f.name+".git", ".")
	gitserver.Git(f.t, dir, "checkout", "--quiet", "-B", "main")
	return user{f.world, dir}
}

func (u user) write(file, content string) {
	u.w.t.Helper()
	path := filepath.Join(u.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		u.w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		u.w.t.Fatal(err)
	}
}

// process opens a fresh engine, which knows nothing.
func (f *forged) process() *reconcile.Engine {
	f.t.Helper()
	at := f.front.URL + "/ada/" + f.name + ".git"
	api, err := forge.New(at, forge.Gitea, forge.Auth{Username: "ada", Password: f.forge.Token})
	if err != nil {
		f.t.Fatal(err)
	}
	how := f.how
	how.Forge = api
	config := reconcile.Config{Repo: at, Git: reconcile.GitAuth{Username: "ada", Password: f.forge.Token}, PullRequests: &how, Pace: f.pace}
	if !f.mute {
		config.Registry = registry.Options{PlainHTTP: []string{f.registry}}
	}
	if f.first == nil {
		f.first, err = reconcile.Open(config)
		f.last = f.first
	} else {
		f.last, err = reconcile.OpenBeside(f.first, config)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return f.last
}

// pass lets a fresh process make one pass, and expects a reason of the first policy.
// The same process changes nothing in later ones, and asks the forge once in each.
func (f *forged) pass(reason reconcile.Reason) *reconcile.Report {
	f.t.Helper()
	report, err := f.process().Sync(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	if got := report.Policies[0]; got.Reason != reason {
		f.t.Fatalf("the reason is %s (%s), want %s", got.Reason, got.Message, reason)
	}
	var again *reconcile.Report
	// What changed is read once, and Gitea takes a moment for the changes of a push.
	f.eventually("a pass asks the forge once at most", func() error {
		f.front.taken()
		if again, err = f.last.Sync(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
		asked := f.front.taken()
		if asked["write"]+asked["push"]+asked["pack"] > 0 || len(again.Commits) > 0 {
			f.t.Fatalf("a later pass asks %v and makes %d commits, want no write, no push and no pack", asked, len(again.Commits))
		}
		if asked["read"] > 1 {
			return fmt.Errorf("it asks %v", asked)
		}
		return nil
	})
	if got := again.Policies[0]; got.Reason != reason && reason != reconcile.Updated {
		f.t.Fatalf("in a second pass the reason is %s (%s), want %s", got.Reason, got.Message, reason)
	}
	return report
}

// pull is a request as Gitea tells of it.
type pull struct {
	Number int
	Title  string
	Body   string
	State  string
	Merged bool
	Labels []struct{ Name string }
	Head   struct{ Ref, SHA string }

	RequestedReviewers []struct{ Login string } `json:"requested_reviewers"`
}

func (f *forged) api(method, path string, body, answer any) {
	f.t.Helper()
	f.forge.Call(f.t, method, "/repos/ada/"+f.name+path, body, answer)
}

func (f *forged) pull(number int) pull {
	f.t.Helper()
	var p pull
	f.api(http.MethodGet, fmt.Sprintf("/pulls/%d", number), nil, &p)
	return p
}

func (f *forged) pulls() int {
	f.t.Helper()
	var all []pull
	f.api(http.MethodGet, "/pulls?state=all", nil, &all)
	return len(all)
}

func (f *forged) close(number int) {
	f.t.Helper()
	f.api(http.MethodPatch, fmt.Sprintf("/pulls/%d", number), map[string]any{"state": "closed"}, nil)
}

// merge merges the first request as soon as Gitea has found out that it can, and may not.
func (f *forged) merge(options map[string]any) {
	f.t.Helper()
	f.eventually("the request can be merged", func() error {
		return f.forge.Try(f.t, http.MethodPost, fmt.Sprintf("/repos/ada/%s/pulls/1/merge", f.name), options, nil)
	})
	f.eventually("the request is merged", func() error {
		if !f.pull(1).Merged {
			return errors.New("not yet")
		}
		return nil
	})
}

func (f *forged) eventually(what string, is func() error) {
	f.t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = is(); err == nil {
			return
		}
	}
	f.t.Fatalf("%s: not in time: %v", what, err)
}

// holds is the tag in apps/app.yaml of a branch.
func (f *forged) holds(branch string) string {
	f.t.Helper()
	u := f.clone()
	u.git("checkout", "--quiet", "origin/"+branch)
	content, err := os.ReadFile(filepath.Join(u.dir, "apps/app.yaml"))
	if err != nil {
		f.t.Fatal(err)
	}
	_, value, _ := strings.Cut(string(content), "image:   ")
	_, tag, _ := strings.Cut(strings.TrimPrefix(value, f.registry), ":")
	tag, _, _ = strings.Cut(tag, "@")
	tag, _, _ = strings.Cut(tag, " ")
	return tag
}

func (f *forged) tip(branch string) string {
	f.t.Helper()
	out := f.clone().git("ls-remote", "origin", "refs/heads/"+branch)
	id, _, _ := strings.Cut(out, "\t")
	return id
}
