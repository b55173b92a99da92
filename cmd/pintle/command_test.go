// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// runMain makes the test's program the command itself, for tests that send
// signals to it.
const runMain = "PINTLE_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
	}
	// No command finds the cluster of whoever runs the tests.
	for name, value := range map[string]string{"KUBECONFIG": os.DevNull, "KUBERNETES_SERVICE_HOST": ""} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	status := m.Run()
	sharedCluster.stop()
	os.Exit(status)
}

// world is a registry with one image and a Git server with one repository.
type world struct {
	host string // of the registry
	repo gitserver.Repo
}

// newWorld pushes 1.0.0 and 1.1.0, and a manifest that holds 1.0.0.
func newWorld(t *testing.T, options gitserver.Options) *world {
	t.Helper()
	images := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(images.Close)
	w := &world{host: strings.TrimPrefix(images.URL, "http://"), repo: gitserver.New(t, options).Create("fleet")}
	w.push(t, "1.0.0")
	w.push(t, "1.1.0")
	w.repo.Seed(t, map[string]string{
		"policy.yaml": w.policy(">=1", "@every 1s"),
		"app.yaml":    "image: " + w.image() + `:1.0.0 # {"$imagepolicy": "prod:app"}` + "\n",
	}, "Run 1.0.0")
	return w
}

func (w *world) image() string { return w.host + "/acme/app" }

func (w *world) policy(versions, schedule string) string {
	return `apiVersion: pintle.dev/v1alpha1
kind: ImagePolicy
metadata: {name: app, namespace: prod}
spec:
  image: ` + w.image() + `
  schedule: "` + schedule + `"
  select: {semver: {range: "` + versions + `"}}
`
}

func (w *world) push(t *testing.T, tag string) {
	t.Helper()
	reference, err := name.NewTag(w.image()+":"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.Config(empty.Image, v1.Config{Labels: map[string]string{"tag": tag}})
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// pintle runs a command on the repository, with no configuration of the
// machine's.
func (w *world) pintle(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	status = run(t.Context(), append(args, "--plain-http", w.host), &out, &complaints)
	return status, out.String(), complaints.String()
}

func TestPlanAndSync(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	before := w.repo.Head(t, "main")

	status, stdout, stderr := w.pintle(t, "plan", "--repo", w.repo.URL)
	if status != 0 || stderr != "" {
		t.Fatalf("plan: status %d: %s", status, stderr)
	}
	for _, part := range []string{"-image: " + w.image() + ":1.0.0 #", "+image: " + w.image() + ":1.1.0@sha256:", "Due on main at " + before[:12] + ", in 1 commit: 1 field to move."} {
		if !strings.Contains(stdout, part) {
			t.Errorf("plan lacks %q:\n%s", part, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("plan is coloured in a pipe:\n%q", stdout)
	}
	if status, _, _ := w.pintle(t, "plan", "--exit-code", "--repo", w.repo.URL); status != statusDue {
		t.Errorf("plan --exit-code: status %d, want %d", status, statusDue)
	}
	if got := w.repo.Head(t, "main"); got != before {
		t.Fatalf("plan moved the branch to %s", got)
	}

	status, stdout, stderr = w.pintle(t, "sync", "-o", "json", "--repo", w.repo.URL)
	if status != 0 || stderr != "" {
		t.Fatalf("sync: status %d: %s", status, stderr)
	}
	var report reconcile.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Commits) != 1 || report.Commits[0].SHA != w.repo.Head(t, "main") || report.Head != report.Commits[0].SHA {
		t.Errorf("sync reports %+v, the branch is at %s", report.Commits, w.repo.Head(t, "main"))
	}
	w.repo.Fsck(t)

	for _, command := range [][]string{{"sync"}, {"plan", "--exit-code"}} {
		status, stdout, stderr = w.pintle(t, append(command, "--repo", w.repo.URL)...)
		if status != 0 || !strings.Contains(stdout, "Nothing") {
			t.Errorf("%v again: status %d:\n%s%s", command, status, stdout, stderr)
		}
	}
}

// TestStopped shows that a signal ends a command with a word of its own, not
// with that of whatever was under way.
func TestStopped(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, []string{"sync", "--repo", w.repo.URL, "--plain-http", w.host}, &stdout, &stderr)
	if status != statusFailed || stderr.String() != "pintle: stopped by a signal\n" {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

func TestSyncInACheckout(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	before := w.repo.Head(t, "main")
	checkout := w.repo.Clone(t)
	status, stdout, stderr := w.pintle(t, "sync", "--repo", checkout)
	if status != 0 || !strings.Contains(stdout, "Nothing was pushed") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	if got := gitserver.Git(t, checkout, "status", "--porcelain"); got != "" {
		t.Errorf("the checkout is not clean:\n%s", got)
	}
	if got := gitserver.Git(t, checkout, "rev-list", "--count", before+"..HEAD"); got != "1" {
		t.Errorf("the checkout is %s commits ahead, want 1", got)
	}
	if got := w.repo.Head(t, "main"); got != before {
		t.Errorf("the remote moved to %s", got)
	}

	gitserver.Git(t, checkout, "revert", "--no-edit", "HEAD")
	status, stdout, stderr = w.pintle(t, "plan", "--exit-code", "--repo", checkout)
	if status != 0 || !strings.Contains(stdout, "RolledBack") {
		t.Errorf("after a revert: status %d:\n%s%s", status, stdout, stderr)
	}
	if err := os.WriteFile(filepath.Join(checkout, "app.yaml"), []byte("a: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.push(t, "1.2.0")
	if status, _, stderr = w.pintle(t, "sync", "--repo", checkout); status != statusFailed || !strings.Contains(stderr, "clean") {
		t.Errorf("a checkout with changes: status %d: %s", status, stderr)
	}
}

func TestCredentials(t *testing.T) {
	const secret = "s3cret"
	w := newWorld(t, gitserver.Options{Username: "ada", Password: secret})
	withUser := func(password string) string {
		address, err := url.Parse(w.repo.URL)
		if err != nil {
			t.Fatal(err)
		}
		address.User = url.UserPassword("ada", password)
		return address.String()
	}
	file := passwordFile(t, secret+"\n")
	const wrong = "wr0ng"
	tests := map[string]struct {
		helper string
		args   []string
		want   int
	}{
		"flags":          {"exit 1", []string{"--repo", w.repo.URL, "--git-username", "ada", "--git-password-file", file}, 0},
		"URL":            {"exit 1", []string{"--repo", withUser(secret)}, 0},
		"helper":         {"echo username=ada; echo password=" + secret, []string{"--repo", w.repo.URL}, 0},
		"none":           {"exit 1", []string{"--repo", w.repo.URL}, statusFailed},
		"wrong in URL":   {"exit 1", []string{"--repo", withUser(wrong)}, statusFailed},
		"wrong in file":  {"exit 1", []string{"--repo", w.repo.URL, "--git-username", "ada", "--git-password-file", passwordFile(t, wrong)}, statusFailed},
		"wrong helper":   {"echo username=ada; echo password=" + wrong, []string{"--repo", w.repo.URL}, statusFailed},
		"no such branch": {"exit 1", []string{"--repo", withUser(secret), "--branch", "none"}, statusFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			isolate(t, test.helper)
			status, stdout, stderr := w.pintle(t, append([]string{"plan"}, test.args...)...)
			if status != test.want {
				t.Errorf("status %d, want %d: %s", status, test.want, stderr)
			}
			if said := stdout + stderr; strings.Contains(said, secret) || strings.Contains(said, wrong) {
				t.Errorf("a password is printed:\n%s", said)
			}
			if test.want != 0 && strings.Count(stderr, "\n") != 1 {
				t.Errorf("want one line, got:\n%s", stderr)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	isolate(t, "true")
	tests := map[string]struct {
		options gitserver.Options
		prepare func(*testing.T, *world)
		args    func(*world) []string
		want    int
		says    string
	}{
		"no such repository": {args: func(w *world) []string { return []string{"sync", "--repo", w.repo.URL + "x"} }, want: statusFailed, says: "cannot"},
		"no such path":       {args: func(*world) []string { return []string{"plan", "--repo", "/nonexistent/fleet"} }, want: statusFailed, says: "/nonexistent/fleet"},
		"no server":          {args: func(*world) []string { return []string{"plan", "--repo", "http://127.0.0.1:1/fleet.git"} }, want: statusFailed, says: "127.0.0.1:1"},
		"malformed URL":      {args: func(*world) []string { return []string{"plan", "--repo", "https://a:pass%zz@example.com"} }, want: statusFailed, says: "malformed"},
		"read-only":          {options: gitserver.Options{ReadOnly: true}, args: func(w *world) []string { return []string{"sync", "--repo", w.repo.URL} }, want: statusFailed, says: "cannot push"},
		"protected branch": {
			prepare: func(t *testing.T, w *world) { w.repo.Hook(t, "pre-receive", `echo "main is protected" >&2; exit 1`) },
			args:    func(w *world) []string { return []string{"sync", "--repo", w.repo.URL} }, want: statusFailed, says: "protected",
		},
		"unknown policy": {args: func(w *world) []string { return []string{"explain", "prod/none", "--repo", w.repo.URL} }, want: statusFailed, says: "prod/none"},
		"no such folder": {args: func(*world) []string { return []string{"lint", "/nonexistent/fleet"} }, want: statusFailed, says: "/nonexistent/fleet"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.options)
			before := w.repo.Head(t, "main")
			if test.prepare != nil {
				test.prepare(t, w)
			}
			args := test.args(w)
			if args[0] != "lint" {
				args = append(args, "--plain-http", w.host)
			}
			var stdout, stderr bytes.Buffer
			if got := run(t.Context(), args, &stdout, &stderr); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
			if !strings.Contains(stderr.String(), test.says) || strings.Contains(stderr.String(), "pass") {
				t.Errorf("says %q, want %q", stderr.String(), test.says)
			}
			if got := w.repo.Head(t, "main"); got != before {
				t.Errorf("the branch moved to %s", got)
			}
		})
	}
}

// TestProblems are passes that end with status 3: done as far as it goes.
func TestProblems(t *testing.T) {
	isolate(t, "true")
	tests := map[string]struct {
		files func(*world) map[string]string
		says  string
	}{
		"no match": {func(w *world) map[string]string { return map[string]string{"policy.yaml": w.policy(">=9", "@daily")} }, "NoMatch"},
		"invalid policy": {func(*world) map[string]string {
			return map[string]string{"bad.yaml": "apiVersion: pintle.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: bad, namespace: prod}\nspec:\n  image: a\n  select: {semvr: {range: \"1\"}}\n"}
		}, "bad.yaml:6: "},
		"unknown policy": {func(*world) map[string]string {
			return map[string]string{"x.yaml": "image: a:1 # {\"$imagepolicy\": \"prod:none\"}\n"}
		}, "x.yaml:1: "},
		"not YAML": {func(*world) map[string]string {
			return map[string]string{"x.yaml": "a: [ # {\"$imagepolicy\": \"prod:app\"}\n"}
		}, "x.yaml"},
		"closed registry": {func(*world) map[string]string {
			return map[string]string{"policy.yaml": (&world{host: "127.0.0.1:1"}).policy(">=1", "@daily")}
		}, "Failed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, gitserver.Options{})
			w.repo.Seed(t, test.files(w), "Break something")
			status, stdout, stderr := w.pintle(t, "plan", "--repo", w.repo.URL)
			if status != statusProblems || !strings.Contains(stdout, test.says) || stderr != "" {
				t.Errorf("status %d, want %d and %q:\n%s%s", status, statusProblems, test.says, stdout, stderr)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	w.push(t, "nightly")
	status, stdout, stderr := w.pintle(t, "explain", "prod/app", "--repo", w.repo.URL)
	if status != 0 || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, part := range []string{"prod/app follows " + w.image() + " by semver >=1", "1     1.1.0", "2     1.0.0", "-     nightly  ", "app.yaml:1"} {
		if !strings.Contains(stdout, part) {
			t.Errorf("lacks %q:\n%s", part, stdout)
		}
	}
	_, stdout, _ = w.pintle(t, "explain", "prod/app", "-o", "json", "--repo", w.repo.URL)
	var explanation reconcile.Explanation
	if err := json.Unmarshal([]byte(stdout), &explanation); err != nil {
		t.Fatal(err)
	}
	if len(explanation.Candidates) != 3 || explanation.Policy.Reason != reconcile.Due {
		t.Errorf("explains %+v", explanation)
	}
}

func TestLint(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	checkout := w.repo.Clone(t)
	lint := func(args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), append([]string{"lint", checkout}, args...), &stdout, &stderr)
		return status, stdout.String() + stderr.String()
	}
	if status, said := lint(); status != 0 || said != "2 files, 1 policy, 1 field: no problems\n" {
		t.Errorf("status %d: %s", status, said)
	}
	if err := os.WriteFile(filepath.Join(checkout, "x.yaml"), []byte("image: a:1 # {\"$imagepolicy\": \"prod:none\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, said := lint(); status != statusProblems || !strings.HasPrefix(said, "x.yaml:1: ") {
		t.Errorf("status %d: %s", status, said)
	}
	status, said := lint("-o", "json")
	var report reconcile.LintReport
	if err := json.Unmarshal([]byte(said), &report); err != nil {
		t.Fatal(err)
	}
	if status != statusProblems || len(report.Problems) != 1 {
		t.Errorf("status %d: %s", status, said)
	}
}

// TestWatchUntilASignal runs the command as a process of its own: it commits
// what is due, then what is pushed while it goes on, and ends well.
func TestWatchUntilASignal(t *testing.T) {
	isolate(t, "true")
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			w := newWorld(t, gitserver.Options{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var stderr bytes.Buffer
			command := exec.CommandContext(ctx, os.Args[0], "sync", "--watch", "--repo", w.repo.URL, "--plain-http", w.host)
			command.Env = append(os.Environ(), runMain+"=1")
			command.Stderr = &stderr
			stdout, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stdout)
			awaitLine(t, lines, "to 1.1.0 (1 field)")
			w.push(t, "1.2.0")
			awaitLine(t, lines, "to 1.2.0 (1 field)")
			if err := command.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(stdout)
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Wait(); err != nil {
				t.Errorf("the command ends with %v: %s", err, stderr.String())
			}
			if diff := cmp.Diff("", string(rest)+stderr.String()); diff != "" {
				t.Errorf("more was said (-want +got):\n%s", diff)
			}
			w.repo.Fsck(t)
		})
	}
}

// awaitLine reads one line; the process's own time limit bounds the wait.
func awaitLine(t *testing.T, lines *bufio.Scanner, end string) {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the command ended before it said %q", end)
	}
	if !strings.HasSuffix(lines.Text(), end) {
		t.Errorf("says %q, want %q", lines.Text(), end)
	}
}
