// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// What --cache-dir keeps is what a policy with minimumAge needs: without it nothing moves
// and the exit status tells; with it candidates wait, over runs.
func TestMinimumAgeAndTheCacheFolder(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	w.setPolicy(t, "  minimumAge: 24h\n")
	before := w.repo.Head(t, "main")
	status, stdout, stderr := w.pintle(t, "sync", "--repo", w.repo.URL)
	if status != statusProblems || !strings.Contains(stdout, "name a folder for it with --cache-dir") {
		t.Errorf("without a folder: status %d:\n%s%s", status, stdout, stderr)
	}
	folder := filepath.Join(t.TempDir(), "cache")
	var messages []string
	for _, command := range []string{"plan", "sync", "sync"} {
		status, stdout, stderr = w.pintle(t, command, "--repo", w.repo.URL, "--cache-dir", folder, "-o", "json")
		var report reconcile.Report
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 {
			t.Fatalf("%s: status %d, %v: %s", command, status, err, stderr)
		}
		messages = append(messages, string(report.Policies[0].Reason)+" "+report.Policies[0].Message)
	}
	if !strings.HasPrefix(messages[0], "TooYoung prod/app waits for 1.1.0: first seen ") || messages[1] != messages[0] || messages[2] != messages[0] {
		t.Errorf("with a folder, one run after the other:\n%s", strings.Join(messages, "\n"))
	}
	if got := w.repo.Head(t, "main"); got != before {
		t.Error("something was written")
	}
}

// explain shows what a gate drops.
func TestExplainShowsGates(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	w.setPolicy(t, "  platforms: [linux/s390x]\n")
	_, stdout, _ := w.pintle(t, "explain", "prod/app", "--repo", w.repo.URL, "-o", "json")
	var x reconcile.Explanation
	if err := json.Unmarshal([]byte(stdout), &x); err != nil {
		t.Fatal(err)
	}
	const why = "it is not for linux/s390x, nor for any platform"
	if diff := cmp.Diff([]reconcile.Candidate{{Tag: "1.0.0", Dropped: why}, {Tag: "1.1.0", Dropped: why}}, x.Candidates); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
	_, stdout, _ = w.pintle(t, "explain", "prod/app", "--repo", w.repo.URL)
	if strings.Count(stdout, why) < 2 || x.Policy.Reason != reconcile.NoMatch {
		t.Errorf("explain says %s:\n%s", x.Policy.Reason, stdout)
	}
}

// setPolicy adds to the spec of the policy.
func (w *world) setPolicy(t *testing.T, more string) {
	t.Helper()
	dir := w.repo.Clone(t)
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(w.policy(">=1", "@every 1s")+more), 0o600); err != nil {
		t.Fatal(err)
	}
	gitserver.Git(t, dir, "commit", "--quiet", "--all", "--message", "Another policy")
	gitserver.Git(t, dir, "push", "--quiet", "origin", "main")
}
