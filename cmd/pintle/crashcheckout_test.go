// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// gitScript stands before git. It writes down each call, those that git itself
// makes included, and kills the command at one of them. It takes all of standard
// input before that, so that there is no doubt about what arrived.
const gitScript = `#!/bin/sh
echo "$*" >>"$CRASH_CALLS"
: "${CRASH_COMMAND:=$PPID}"
export CRASH_COMMAND
step=0
while read -r _; do step=$((step + 1)); done <"$CRASH_CALLS"
[ "$step" -eq "$CRASH_STEP" ] || exec "$CRASH_GIT" "$@"
cat >"$CRASH_INPUT"
case "$CRASH_MOMENT" in
"` + string(halfOfRequest) + `")
	head -c "$(($(wc -c <"$CRASH_INPUT") / 2))" "$CRASH_INPUT" | "$CRASH_GIT" "$@" ;;
"` + string(unanswered) + `")
	"$CRASH_GIT" "$@" <"$CRASH_INPUT" ;;
"` + string(gitGoesOn) + `")
	kill -9 "$CRASH_COMMAND"
	exec "$CRASH_GIT" "$@" <"$CRASH_INPUT" ;;
esac
kill -9 0 # all of the process group, which is the child's own
`

// gitCalls are what the script has written down.
type gitCalls struct{ dir string }

func newGitCalls(t *testing.T) gitCalls {
	t.Helper()
	c := gitCalls{t.TempDir()}
	if err := os.WriteFile(c.file("git"), []byte(gitScript), 0o700); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c gitCalls) file(name string) string { return filepath.Join(c.dir, name) }

// environment puts the script before git, for Pintle by PATH and for git itself
// by GIT_EXEC_PATH.
func (c gitCalls) environment(t *testing.T, k killPoint) []string {
	t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file("calls"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"PATH=" + c.dir + string(os.PathListSeparator) + os.Getenv("PATH"), "GIT_EXEC_PATH=" + c.dir, "CRASH_GIT=" + git,
		"CRASH_CALLS=" + c.file("calls"), "CRASH_INPUT=" + c.file("input"),
		"CRASH_STEP=" + strconv.Itoa(k.step), "CRASH_MOMENT=" + string(k.moment),
	}
}

// list has the subcommand of each call.
func (c gitCalls) list(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(c.file("calls"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for call := range strings.Lines(string(content)) {
		words := strings.Fields(call)
		isOption := func(word string) bool { return strings.HasPrefix(word, "-") || strings.Contains(word, "=") }
		names = append(names, slices.DeleteFunc(words, isOption)[0])
	}
	return names
}

// killsOfCalls are the points at which calls can be cut. Those after the merge
// are git's own, as part of it.
func killsOfCalls(names []string, merge int) []killPoint {
	var kills []killPoint
	for i, name := range names {
		moments := []crashMoment{beforeStep}
		if name == "unpack-objects" {
			moments = append(moments, halfOfRequest, unanswered)
		}
		// After a call that reads, all is as it is before the next one.
		if i+1 >= merge {
			moments = append(moments, unanswered, gitGoesOn)
		}
		for _, m := range moments {
			kills = append(kills, killPoint{i + 1, m})
		}
	}
	return kills
}

// killAtCalls kills the command before each call of git, and where objects and
// the branch are written also after half of the objects, and after the call.
func (s *crashScene) killAtCalls(t *testing.T) {
	t.Helper()
	calls := newGitCalls(t)
	s.start(t, calls.environment(t, killPoint{})...).expectSuccess(t)
	s.expectOnce(t)
	s.expectNoMore(t)
	names := calls.list(t)
	merge := 1 + slices.Index(names, "merge")
	kills, taken := killsOfCalls(names, merge), 0
	for _, k := range kills {
		t.Run(fmt.Sprintf("%s %d %s", k.moment, k.step, names[k.step-1]), func(t *testing.T) {
			if s.killAtCall(t, calls, k, merge) {
				taken++
			}
		})
	}
	if merge < 3 || taken < 2 || !slices.Contains(names, "unpack-objects") {
		t.Errorf("%d kills, %d of them after the branch moved, of the calls %q", len(kills), taken, names)
	}
	t.Logf("%d calls, %d kills, %d of them after the branch moved", len(names), len(kills), taken)
}

// killAtCall kills the command at one point, and runs it again. It tells whether
// the branch had moved by then.
func (s *crashScene) killAtCall(t *testing.T, calls gitCalls, k killPoint, merge int) (taken bool) {
	s.putBack(t)
	s.start(t, calls.environment(t, k)...).expectKilled(t)
	taken = s.repo.Head(t, "main") != s.base
	if !taken && k.moment == gitGoesOn || taken && k.step < merge {
		t.Errorf("after the kill, the branch has moved: %v", taken)
	}
	s.expectClean(t)
	s.run(t, s.command...)
	s.expectOnce(t)
	if k.step >= merge {
		s.expectNoMore(t)
	}
	return taken
}

// TestRaceInACheckout: somebody commits in a checkout between Pintle's look and
// its push. Nothing of theirs is touched, and the second try is on top of it.
func TestRaceInACheckout(t *testing.T) {
	isolate(t, "true")
	story := crashStories["sync"]
	story.checkout = true
	s := newCrashScene(t, story)
	notes := filepath.Join(s.repo.Dir, "notes.yaml")
	var once sync.Once
	next := s.front.next
	s.front.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { // Git has been read, and the registry is asked.
			if err := os.WriteFile(notes, []byte("a: 1\n"), 0o600); err != nil {
				t.Error(err)
			}
			s.git(t, "add", "notes.yaml")
			s.git(t, "commit", "--quiet", "--message", "Take a note")
			s.base = s.repo.Head(t, "main")
		})
		next.ServeHTTP(w, r)
	})
	if status, stdout, stderr := s.pintle(t, "sync", "--repo", s.repo.URL); status != 0 {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	if _, err := os.Stat(notes); err != nil {
		t.Errorf("the person's file: %v", err)
	}
	s.expectClean(t)
	s.expectOnce(t)
}

// TestLockLeftBehind: where a git that was killed, anybody's, left a lock, the
// message names it, and nothing is touched.
func TestLockLeftBehind(t *testing.T) {
	isolate(t, "true")
	story := crashStories["sync"]
	story.checkout = true
	s := newCrashScene(t, story)
	for _, lock := range []string{"index.lock", "HEAD.lock", "refs/heads/main.lock"} {
		t.Run(lock, func(t *testing.T) {
			s.putBack(t)
			file := filepath.Join(s.repo.Dir, ".git", filepath.FromSlash(lock))
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			status, _, stderr := s.pintle(t, "sync", "--repo", s.repo.URL)
			if status != statusFailed || !strings.Contains(stderr, lock) || strings.Contains(stderr, "stash") {
				t.Errorf("status %d: %s", status, stderr)
			}
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			s.expectClean(t)
			s.run(t, "sync")
			s.expectOnce(t)
		})
	}
}
