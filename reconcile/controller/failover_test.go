// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

// heldPush is a push that does not get its answer. Until it is let go, nothing more of
// it happens.
type heldPush struct {
	here, free chan struct{} // are closed when the push is held, and when it may go on
	once       sync.Once
}

func (p *heldPush) letGo() { p.once.Do(func() { close(p.free) }) }

// untilHeld waits until the push has come.
func (p *heldPush) untilHeld(t *testing.T) {
	t.Helper()
	select {
	case <-p.here:
	case <-time.After(patience):
		t.Fatalf("no push comes within %v", patience)
	}
}

// holdPushes holds the next push to each of these repositories: what of it the server
// gets before, share says. What is let go is handed on whole and answered.
func (f *front) holdPushes(share map[string]func(body []byte)) map[string]*heldPush {
	held, done := map[string]*heldPush{}, map[string]bool{}
	for name := range share {
		held[name] = &heldPush{here: make(chan struct{}), free: make(chan struct{})}
		f.t.Cleanup(held[name].letGo)
	}
	var mu sync.Mutex
	f.instead(func(w http.ResponseWriter, r *http.Request) bool {
		name := strings.TrimSuffix(strings.Split(r.URL.Path, "/")[1], ".git")
		mu.Lock()
		hold := isPush(r) && held[name] != nil && !done[name]
		done[name] = done[name] || hold
		mu.Unlock()
		if !hold {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if share[name] != nil {
			share[name](body)
		}
		close(held[name].here)
		<-held[name].free
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		f.next.ServeHTTP(w, r.WithContext(f.t.Context())) // it goes on with what it has, whether or not its client lives
		return true
	})
	return held
}

// handOn gives the server a body as a push, and drops the answer.
func (f *front) handOn(name string, body []byte) {
	r := httptest.NewRequest(http.MethodPost, "/"+name+".git/git-receive-pack", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	f.next.ServeHTTP(httptest.NewRecorder(), r)
}

// TestReplicas runs two processes that elect a leader.
func TestReplicas(t *testing.T) {
	t.Parallel()
	cluster := parts.KubeAPIServer(t)
	if err := installCRDs(cluster.Config); err != nil {
		t.Fatal(err)
	}
	program, kubeconfig := buildCommand(t), cluster.Kubeconfig(t, "admin", "system:masters")
	t.Run("the leader is killed while it pushes", func(t *testing.T) { testKilled(t, cluster, program, kubeconfig) })
	t.Run("the leader is told to end while it pushes", func(t *testing.T) { testTerminated(t, cluster, program, kubeconfig) })
}

// fleets are repositories with one field each, all of one policy.
func (w *world) fleets(names ...string) map[string]gitserver.Repo {
	w.t.Helper()
	repos := map[string]gitserver.Repo{}
	for _, name := range names {
		repo := w.server.Create(name)
		repo.Seed(w.t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
		object := w.repository(name)
		object.Spec.URL = repo.URL
		w.create(object)
		repos[name] = repo
	}
	return repos
}

// expectWritten checks that a repository has an entry for each of these tags, in that
// order, and besides them so many commits of people.
func (w *world) expectWritten(name string, repo gitserver.Repo, people int, tags ...string) {
	w.t.Helper()
	log := gitserver.Git(w.t, repo.Dir, "log", "--reverse", "--format=%(trailers:key=Pintle-Update,valueonly,unfold)", "main")
	var got, want []string
	for line := range strings.Lines(log) {
		if words := strings.Fields(line); len(words) > 5 {
			tag, _, _ := strings.Cut(words[5], "@")
			got = append(got, words[1]+" "+tag)
		}
	}
	for i, tag := range tags {
		want = append(want, fmt.Sprintf("%d %s", i+1, tag))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s: the entries, as revision and tag (-want +got):\n%s", name, diff)
	}
	if got := commits(w.t, repo); got != people+len(tags) {
		w.t.Errorf("%s: %d commits, want %d", name, got, people+len(tags))
	}
	repo.Fsck(w.t)
}

// expectStatus checks that the status tells what these repositories hold.
func (w *world) expectStatus(policy *v1alpha1.ImagePolicy, repos map[string]gitserver.Repo, revisions int) {
	w.t.Helper()
	for name, repo := range repos {
		object := w.repository(name)
		w.until("the status of "+name+" has the head", func() (string, bool) {
			is := w.status(object)
			return is, object.Status.Head == repo.Head(w.t, "main")
		})
		w.untilReady(object, "Synced")
		if push := object.Status.LastPush; push == nil || push.Commit != object.Status.Head {
			w.t.Errorf("%s: the newest push is %v, want %s", name, push, object.Status.Head)
		}
	}
	w.until("the policy's status has all revisions", func() (string, bool) {
		is := w.status(policy)
		return is, len(policy.Status.History) == revisions*len(repos)
	})
	w.untilReady(policy, "UpToDate")
	if got := len(policy.Status.Current); got != len(repos) {
		w.t.Errorf("the status has %d repositories, want %d", got, len(repos))
	}
}

// The leader is killed with a push before it is taken, with half of it handed on, with
// its answer held back, and with a push that arrives when the other one has long pushed.
func testKilled(t *testing.T, cluster *parts.Cluster, program, kubeconfig string) {
	w := newWorld(t, cluster.Config)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	repos := w.fleets("before", "half", "taken", "late")
	policy := w.policy("app", "app")
	w.create(policy)
	first := w.replica(program, kubeconfig)
	w.untilReady(policy, "UpToDate")
	leader := w.leader()
	second := w.replica(program, kubeconfig)
	w.untilSaid(second, "Attempting to acquire leader lease")

	held := git.holdPushes(map[string]func([]byte){
		"before": nil, "late": nil,
		"half":  func(body []byte) { git.handOn("half", body[:len(body)/2]) },
		"taken": func(body []byte) { git.handOn("taken", body) },
	})
	w.push("app", "1.2.0")
	for _, push := range held {
		push.untilHeld(t)
	}
	killed := time.Now()
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended
	for name, repo := range repos {
		want := 2
		if name == "taken" {
			want = 3
		}
		if got := commits(t, repo); got != want {
			t.Errorf("%s: at the kill there are %d commits, want %d", name, got, want)
		}
	}
	w.untilLed(leader)
	led := time.Since(killed)
	for name := range repos {
		w.repo = repos[name]
		w.untilTag("app.yaml", "1.2.0")
	}
	t.Logf("another leads %.1f s after the kill, and all is written %.1f s after it", led.Seconds(), time.Since(killed).Seconds())

	head := repos["late"].Head(t, "main")
	held["late"].letGo()
	w.until("the late push came to the server", func() (string, bool) { return "", git.underWay() == len(held)-1 })
	if got := repos["late"].Head(t, "main"); got != head {
		t.Errorf("a push that came late moved the head to %s", got)
	}
	w.expectStatus(policy, repos, 2)
	w.push("app", "1.3.0")
	for name := range repos {
		w.repo = repos[name]
		w.untilTag("app.yaml", "1.3.0")
		w.expectWritten(name, repos[name], 1, "1.1.0", "1.2.0", "1.3.0")
	}
	w.expectStatus(policy, repos, 3)
}

// A leader that is told to end finishes its push, gives the lease back, and ends well.
func testTerminated(t *testing.T, cluster *parts.Cluster, program, kubeconfig string) {
	w := newWorld(t, cluster.Config)
	git, _ := w.fronts()
	w.push("app", "1.0.0", "1.1.0")
	repos := w.fleets("one", "two")
	policy := w.policy("app", "app")
	w.create(policy)
	first := w.replica(program, kubeconfig)
	w.untilReady(policy, "UpToDate")
	leader := w.leader()
	second := w.replica(program, kubeconfig)
	w.untilSaid(second, "Attempting to acquire leader lease")

	held := git.holdPushes(map[string]func([]byte){"one": nil, "two": nil})
	w.push("app", "1.2.0")
	for _, push := range held {
		push.untilHeld(t)
	}
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.untilSaid(first, "Shutdown signal received")
	w.stays(time.Second, "the leader while a push is under way", w.leader)
	released := time.Now()
	for _, push := range held {
		push.letGo()
	}
	select {
	case <-first.ended:
	case <-time.After(patience):
		t.Fatalf("it does not end; it said:\n%s", first.said())
	}
	if got := first.ProcessState.ExitCode(); got != 0 {
		t.Errorf("the exit status is %d; it said:\n%s", got, first.said())
	}
	ended := time.Since(released)
	for name, repo := range repos {
		if got := commits(t, repo); got != 3 {
			t.Errorf("%s: when it had ended there were %d commits, want 3", name, got)
		}
	}
	took := w.untilLed(leader)
	t.Logf("it ended %.1f s after the server went on; another leads %.1f s later", ended.Seconds(), took.Seconds())
	if took > 5*time.Second {
		t.Errorf("another leads after %v, so that the lease was not given back", took)
	}
	w.expectStatus(policy, repos, 2)
	w.push("app", "1.3.0")
	for name := range repos {
		w.repo = repos[name]
		w.untilTag("app.yaml", "1.3.0")
		w.expectWritten(name, repos[name], 1, "1.1.0", "1.2.0", "1.3.0")
	}
	w.expectStatus(policy, repos, 3)
}
