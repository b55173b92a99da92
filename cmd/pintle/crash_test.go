// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// crashStory is a past, a command that is killed on the way, and what must come
// of it once it was run again.
type crashStory struct {
	options  gitserver.Options
	checkout bool // the command is given a checkout
	past     func(*testing.T, *crashScene)
	command  []string
	// entry is the trailer of the one commit that the branch gains, without
	// image and digests, and tag is what the field holds then.
	entry, tag string
}

var crashStories = map[string]crashStory{
	"sync": {
		past:    func(*testing.T, *crashScene) {},
		command: []string{"sync"},
		entry:   "Pintle-Update: prod/app 1 1.0.0 -> 1.1.0 cause=schedule", tag: "1.1.0",
	},
	"sync after a revert": {
		past:    revertThenNewer,
		command: []string{"sync"},
		entry:   "Pintle-Update: prod/app 2 1.0.0 -> 1.2.0 cause=schedule", tag: "1.2.0",
	},
	"sync after a revert, no filters": {
		options: gitserver.Options{NoFilter: true},
		past:    revertThenNewer,
		command: []string{"sync"},
		entry:   "Pintle-Update: prod/app 2 1.0.0 -> 1.2.0 cause=schedule", tag: "1.2.0",
	},
	"sync after a revert, in a checkout": {
		checkout: true,
		past:     revertThenNewer,
		command:  []string{"sync"},
		entry:    "Pintle-Update: prod/app 2 1.0.0 -> 1.2.0 cause=schedule", tag: "1.2.0",
	},
	// Without --to a second run would walk back one further, as it should.
	"rollback": {
		past:    twoUpdates,
		command: []string{"rollback", "prod/app", "--to", "1.1.0"},
		entry:   "Pintle-Rollback: prod/app 3 1.2.0 -> 1.1.0 cause=rollback", tag: "1.1.0",
	},
	"resume, no filters": {
		options: gitserver.Options{NoFilter: true},
		past:    updateThenRevert,
		command: []string{"resume", "prod/app"},
		entry:   "Pintle-Update: prod/app 2 1.0.0 -> 1.1.0 cause=resume", tag: "1.1.0",
	},
}

func twoUpdates(t *testing.T, s *crashScene) {
	t.Helper()
	s.run(t, "sync")
	s.push(t, "1.2.0")
	s.run(t, "sync")
}

func updateThenRevert(t *testing.T, s *crashScene) {
	t.Helper()
	s.run(t, "sync")
	clone := s.repo.Clone(t)
	gitserver.Git(t, clone, "revert", "--no-edit", "HEAD")
	gitserver.Git(t, clone, "push", "--quiet", "origin", "main")
}

func revertThenNewer(t *testing.T, s *crashScene) {
	t.Helper()
	updateThenRevert(t, s)
	s.push(t, "1.2.0")
}

// crashMoment is when, in the step at which it is killed, a command ends.
type crashMoment string

const (
	beforeStep    crashMoment = "before"
	halfOfRequest crashMoment = "with half of the request of"
	unanswered    crashMoment = "without the answer to"
	halfOfAnswer  crashMoment = "with half of the answer to"
	// What was sent whole may arrive late: when the command runs for the second
	// time, just before it pushes, or when that is done.
	lateAndFirst crashMoment = "late, but before the second"
	lateAndLast  crashMoment = "late, after the second"
	// gitGoesOn kills the command alone. The other moments end all that it
	// started as well, as the end of a container does.
	gitGoesOn crashMoment = "alone, while git goes on with"
)

// crashStep is one request that a command makes, or one call of git.
type crashStep struct {
	name            string
	request, answer int // bytes
}

func (s crashStep) isPush() bool { return strings.Contains(s.name, "receive-pack") }

// killPoint is a moment of a step, counted from 1. No step is 0.
type killPoint struct {
	step   int
	moment crashMoment
}

// leavesPush tells whether a command that was killed there has pushed.
func (k killPoint) leavesPush(at crashStep) bool {
	return at.isPush() && (k.moment == unanswered || k.moment == halfOfAnswer)
}

// crashScene is a story told up to its command, in a repository that can be put
// back to there.
type crashScene struct {
	*world
	crashStory

	front       *crashFront
	digest      string // of the tag that the field holds in the end
	saved, base string
}

// newCrashScene makes a world like newWorld's, with both servers behind a front.
func newCrashScene(t *testing.T, story crashStory) *crashScene {
	t.Helper()
	server := gitserver.New(t, story.options)
	mux := http.NewServeMux()
	mux.Handle("/", server)
	mux.Handle("/v2/", registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	front := &crashFront{next: mux}
	listener := httptest.NewServer(front)
	t.Cleanup(listener.Close)
	server.URL = listener.URL
	w := &world{host: strings.TrimPrefix(listener.URL, "http://"), repo: server.Create("fleet")}
	s := &crashScene{world: w, crashStory: story, front: front}
	s.push(t, "1.0.0")
	s.push(t, "1.1.0")
	s.repo.Seed(t, map[string]string{"policy.yaml": s.policy(">=1", "@every 1s"), "app.yaml": s.content(":1.0.0")}, "Run 1.0.0")
	story.past(t, s)
	s.digest = s.resolve(t)
	if s.checkout {
		dir := s.repo.Clone(t)
		s.repo = gitserver.Repo{URL: dir, Dir: dir}
	}
	s.save(t)
	return s
}

func (s *crashScene) resolve(t *testing.T) string {
	t.Helper()
	reference, err := name.NewTag(s.image()+":"+s.tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := remote.Head(reference, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return descriptor.Digest.String()
}

func (s *crashScene) content(reference string) string {
	return "image: " + s.image() + reference + ` # {"$imagepolicy": "prod:app"}` + "\n"
}

func (s *crashScene) save(t *testing.T) {
	t.Helper()
	s.saved, s.base = filepath.Join(t.TempDir(), "saved"), s.repo.Head(t, "main")
	if err := os.CopyFS(s.saved, os.DirFS(s.repo.Dir)); err != nil {
		t.Fatal(err)
	}
}

func (s *crashScene) putBack(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(s.repo.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(s.repo.Dir, os.DirFS(s.saved)); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in this process, with nothing left from the one before.
func (s *crashScene) run(t *testing.T, command ...string) {
	t.Helper()
	if status, stdout, stderr := s.pintle(t, append(slices.Clone(command), "--repo", s.repo.URL)...); status != 0 {
		t.Fatalf("%v: status %d:\n%s%s", command, status, stdout, stderr)
	}
}

// start starts the story's command as a process of its own.
func (s *crashScene) start(t *testing.T, environment ...string) *crashChild {
	t.Helper()
	return startChild(t, environment, append(slices.Clone(s.command), "--repo", s.repo.URL, "--plain-http", s.host)...)
}

func (s *crashScene) git(t *testing.T, args ...string) string {
	t.Helper()
	return gitserver.Git(t, s.repo.Dir, args...)
}

var anyDigest = regexp.MustCompile(`@sha256:[0-9a-f]{64}`)

// expectOnce checks that the branch has gained what it should, once, and lost
// nothing.
func (s *crashScene) expectOnce(t *testing.T) {
	t.Helper()
	s.repo.Fsck(t)
	if got := s.git(t, "rev-parse", "main^"); got != s.base {
		t.Fatalf("want one commit on top of %s, the branch has:\n%s", s.base, s.git(t, "log", "--format=%H %an: %s", "main"))
	}
	entry := s.git(t, "log", "-1", "--format=%(trailers:only,unfold)", "main")
	entry = strings.ReplaceAll(anyDigest.ReplaceAllString(entry, ""), " "+s.image()+" ", " ")
	if diff := cmp.Diff(s.entry, strings.TrimSpace(entry)); diff != "" {
		t.Errorf("the entry (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(s.content(":"+s.tag+"@"+s.digest), s.repo.Read(t, "main", "app.yaml")); diff != "" {
		t.Errorf("app.yaml (-want +got):\n%s", diff)
	}
	if got := s.git(t, "diff", "--name-only", s.base, "main"); got != "app.yaml" {
		t.Errorf("these files changed: %s", got)
	}
	if s.checkout {
		s.expectClean(t)
	}
}

func (s *crashScene) expectClean(t *testing.T) {
	t.Helper()
	if got := s.git(t, "status", "--porcelain"); got != "" {
		t.Errorf("the checkout is not clean:\n%s", got)
	}
}

// expectNoMore checks that nothing is left to write.
func (s *crashScene) expectNoMore(t *testing.T) {
	t.Helper()
	head := s.repo.Head(t, "main")
	s.run(t, "sync")
	s.run(t, "plan", "--exit-code")
	if got := s.repo.Head(t, "main"); got != head {
		t.Errorf("the branch moved on from %s to %s", head, got)
	}
}

// crashChild is a command as a process of its own, in a process group of its own.
type crashChild struct {
	command *exec.Cmd
	output  bytes.Buffer
	ended   chan struct{}
}

// startChild starts a command. It has ended when all that it started has.
func startChild(t *testing.T, environment []string, args ...string) *crashChild {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	c := &crashChild{command: exec.CommandContext(ctx, os.Args[0], args...), ended: make(chan struct{})}
	// Without the last, a program with the race detector takes a second to end.
	c.command.Env = append(append(os.Environ(), environment...), runMain+"=1", "GORACE=atexit_sleep_ms=0")
	c.command.Stdout, c.command.Stderr = &c.output, &c.output
	c.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.command.Cancel = func() error { return syscall.Kill(-c.command.Process.Pid, syscall.SIGKILL) }
	// All that the child starts inherits the pipe's end, and so holds it open.
	alive, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.command.ExtraFiles = []*os.File{held}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	held.Close()
	go func() {
		defer close(c.ended)
		defer cancel()
		_ = c.command.Wait() // ProcessState says how it ended.
		_, _ = io.Copy(io.Discard, alive)
		alive.Close()
	}()
	return c
}

// wait waits for the child to end and returns its exit status, -1 after a signal.
func (c *crashChild) wait() int {
	<-c.ended
	return c.command.ProcessState.ExitCode()
}

func (c *crashChild) expectSuccess(t *testing.T) {
	t.Helper()
	if status := c.wait(); status != 0 {
		t.Fatalf("status %d:\n%s", status, c.output.String())
	}
}

// expectKilled tells a kill from a time limit and from an end of its own.
func (c *crashChild) expectKilled(t *testing.T) {
	t.Helper()
	if status := c.wait(); status != -1 || c.output.Len() > 0 {
		t.Fatalf("it was not killed on the way: status %d:\n%s", status, c.output.String())
	}
}

// crashFront stands before the Git server and the registry. It hands on whole
// requests, one at a time, and kills the command where it is told to.
type crashFront struct {
	next http.Handler

	mu    sync.Mutex
	steps []crashStep
	kill  killPoint
	child *crashChild
	// late is a push that is held back, inPack is true once one was cut within
	// its objects.
	late   func()
	inPack bool
}

// watch runs a child and counts its requests from 1.
func (f *crashFront) watch(kill killPoint, start func() *crashChild) *crashChild {
	f.mu.Lock() // no request overtakes the note of who makes it
	defer f.mu.Unlock()
	f.steps, f.kill, f.late = nil, kill, nil
	f.child = start()
	return f.child
}

// rest ends the counting. The request that was cut is done with then.
func (f *crashFront) rest() []crashStep {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kill.step = 0
	return f.steps
}

func (f *crashFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	// A server goes on with what it has, whether or not its client lives.
	r = r.WithContext(context.WithoutCancel(r.Context()))
	f.mu.Lock()
	defer f.mu.Unlock()
	step := crashStep{name: r.Method + " " + r.URL.Path, request: len(body)}
	if len(f.steps)+1 == f.kill.step {
		f.steps = append(f.steps, step)
		f.cut(w, r, body)
		panic(http.ErrAbortHandler)
	}
	if step.isPush() && f.kill.moment == lateAndFirst {
		f.deliver()
	}
	answer := f.handOn(r, body)
	step.answer = answer.Body.Len()
	f.steps = append(f.steps, step)
	send(w, answer, step.answer)
}

// cut does as much of a request as the moment says, and kills the child.
func (f *crashFront) cut(w http.ResponseWriter, r *http.Request, body []byte) {
	switch f.kill.moment {
	case halfOfRequest:
		half := body[:len(body)/2]
		f.inPack = f.inPack || f.steps[len(f.steps)-1].isPush() && bytes.Contains(half, []byte("PACK"))
		f.handOn(r, half)
	case unanswered:
		f.handOn(r, body)
	case halfOfAnswer:
		answer := f.handOn(r, body)
		send(w, answer, answer.Body.Len()/2)
	case lateAndFirst, lateAndLast:
		f.late = func() { f.handOn(r, body) }
	default: // The server gets nothing.
	}
	_ = f.child.command.Process.Kill()
	<-f.child.ended
}

// handOn waits until the server is done. The body's length is announced as it
// is: git http-backend waits for ever for what is missing.
func (f *crashFront) handOn(r *http.Request, body []byte) *httptest.ResponseRecorder {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer := httptest.NewRecorder()
	f.next.ServeHTTP(answer, r)
	return answer
}

// send sends the first bytes of an answer, and announces all.
func send(w http.ResponseWriter, answer *httptest.ResponseRecorder, length int) {
	maps.Copy(w.Header(), answer.Header())
	if answer.Body.Len() > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()[:length]) // the child may be gone
	_ = http.NewResponseController(w).Flush()
}

func (f *crashFront) deliver() {
	if f.late != nil {
		f.late()
		f.late = nil
	}
}

// killsOfRequests are the points at which the requests can be cut.
func killsOfRequests(steps []crashStep) []killPoint {
	var kills []killPoint
	for i, step := range steps {
		moments := []crashMoment{beforeStep}
		if step.request > 0 {
			moments = append(moments, halfOfRequest)
		}
		// Reading leaves nothing behind, so that one lost answer is as good as another.
		if step.isPush() || step.answer == 0 {
			moments = append(moments, unanswered)
		}
		if step.answer > 0 {
			moments = append(moments, halfOfAnswer)
		}
		if step.isPush() {
			moments = append(moments, lateAndFirst, lateAndLast)
		}
		for _, m := range moments {
			kills = append(kills, killPoint{i + 1, m})
		}
	}
	return kills
}

// TestCrash kills a command between any two steps of its input and output, and
// within each, and runs it again. No update may be lost, and none may be there
// twice.
func TestCrash(t *testing.T) {
	isolate(t, "true")
	t.Setenv("HOME", t.TempDir())
	for title, story := range crashStories {
		t.Run(title, func(t *testing.T) {
			t.Parallel() // Most of the time goes into starting processes.
			s := newCrashScene(t, story)
			if s.checkout {
				s.killAtCalls(t)
			} else {
				s.killAtRequests(t)
			}
		})
	}
}

// killAtRequests kills the command at each request that it makes, of Git or of
// the registry.
func (s *crashScene) killAtRequests(t *testing.T) {
	t.Helper()
	steps := s.rehearse(t)
	kills, taken := killsOfRequests(steps), 0
	for _, k := range kills {
		at := steps[k.step-1]
		t.Run(fmt.Sprintf("%s %d %s", k.moment, k.step, at.name), func(t *testing.T) { s.killAtRequest(t, k, at) })
		if k.leavesPush(at) {
			taken++
		}
	}
	// Look-up, fetch, tags or digest, and push are the least that there can be.
	if len(kills) < 14 || taken != 2 || !s.front.inPack {
		t.Errorf("%d kills, %d of them after the push was taken, one within its objects: %v", len(kills), taken, s.front.inPack)
	}
	t.Logf("%d requests, %d kills", len(steps), len(kills))
}

// rehearse runs the command as if nothing happened, and returns its requests.
func (s *crashScene) rehearse(t *testing.T) []crashStep {
	t.Helper()
	s.front.watch(killPoint{}, func() *crashChild { return s.start(t) }).expectSuccess(t)
	steps := s.front.rest()
	if pushes := slices.IndexFunc(steps, crashStep.isPush); pushes != len(steps)-1 {
		t.Fatalf("want one push, at the end: %v", steps)
	}
	s.expectOnce(t)
	s.expectNoMore(t)
	return steps
}

// killAtRequest kills the command at one point, and runs it again.
func (s *crashScene) killAtRequest(t *testing.T, k killPoint, at crashStep) {
	s.putBack(t)
	s.front.watch(k, func() *crashChild { return s.start(t) }).expectKilled(t)
	if steps := s.front.rest(); len(steps) != k.step || steps[k.step-1].name != at.name {
		t.Fatalf("it was killed after %v", steps)
	}
	if got, want := s.repo.Head(t, "main") != s.base, k.leavesPush(at); got != want {
		t.Fatalf("after the kill, the branch has moved: %v, want %v", got, want)
	}
	if !at.isPush() {
		// A process of its own would find the same as the rehearsal did, and be slower.
		s.run(t, s.command...)
		s.expectOnce(t)
		return
	}
	s.start(t).expectSuccess(t)
	s.front.deliver()
	s.expectOnce(t)
	s.expectNoMore(t)
}
