// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// newPast is a world in which 1.1.0 and 1.2.0 were written.
func newPast(t *testing.T) *world {
	t.Helper()
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	w.syncs(t)
	w.push(t, "1.2.0")
	w.syncs(t)
	return w
}

func (w *world) syncs(t *testing.T) {
	t.Helper()
	if status, stdout, stderr := w.pintle(t, "sync", "--repo", w.repo.URL); status != 0 {
		t.Fatalf("sync: status %d:\n%s%s", status, stdout, stderr)
	}
}

// holds is the reference in the manifest.
func (w *world) holds(t *testing.T) string {
	t.Helper()
	return strings.Fields(w.repo.Read(t, "main", "app.yaml"))[1]
}

func TestHistory(t *testing.T) {
	w := newPast(t)
	if status, _, stderr := w.pintle(t, "rollback", "prod/app", "--repo", w.repo.URL); status != 0 {
		t.Fatalf("rollback: status %d: %s", status, stderr)
	}
	status, stdout, stderr := w.pintle(t, "history", "prod/app", "--repo", w.repo.URL)
	if status != 0 || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	const commit = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  [0-9a-f]{12}  `
	for i, want := range []string{
		`REVISION  IMAGE                      STATE    CAUSE     TIME                  COMMIT        AUTHOR`,
		`3         1\.1\.0@sha256:[0-9a-f]{12}  current  rollback  ` + commit + `Pintle`,
		`2         1\.2\.0@sha256:[0-9a-f]{12}  vetoed   schedule  ` + commit + `Pintle`,
		`1         1\.1\.0@sha256:[0-9a-f]{12}  earlier  schedule  ` + commit + `Pintle`,
		`-         1\.0\.0                      earlier  by hand   ` + commit + `Ada Person`,
		``,
	} {
		if lines := strings.Split(stdout, "\n"); i >= len(lines) || !regexp.MustCompile(`^`+want+`$`).MatchString(lines[i]) {
			t.Errorf("line %d is not %s:\n%s", i+1, want, stdout)
		}
	}

	status, stdout, stderr = w.pintle(t, "history", "prod/app", "-o", "json", "--repo", w.repo.URL)
	if status != 0 || stderr != "" {
		t.Fatalf("JSON: status %d: %s", status, stderr)
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil {
		t.Fatal(err)
	}
	keys := []string{"author", "cause", "commit", "digest", "revision", "state", "tag", "time"}
	for i, row := range rows {
		if i == 3 {
			keys = slices.DeleteFunc(keys, func(k string) bool { return k == "revision" }) // an edit by hand has none
		}
		if diff := cmp.Diff(keys, slices.Sorted(maps.Keys(row))); diff != "" {
			t.Errorf("keys of row %d (-want +got):\n%s", i, diff)
		}
	}
	if len(rows) != 4 || rows[0]["revision"] != 3.0 || rows[0]["commit"] != w.repo.Head(t, "main") || rows[0]["digest"] != strings.SplitN(w.holds(t), "@", 2)[1] || rows[3]["digest"] != "" {
		t.Errorf("the rows are:\n%s", stdout)
	}
}

// TestHistoryOfNothing is a policy that no field was ever bound to.
func TestHistoryOfNothing(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	w.repo.Seed(t, map[string]string{"app.yaml": "a: 1\n", "other.yaml": strings.Replace(w.policy(">=1", "@daily"), "name: app", "name: other", 1)}, "Add a policy")
	for args, want := range map[string]string{"": "No field of this branch was ever bound to the policy.\n", "-o=json": "[]\n"} {
		status, stdout, stderr := w.pintle(t, slices.DeleteFunc([]string{"history", "prod/other", "--repo", w.repo.URL, args}, func(a string) bool { return a == "" })...)
		if status != 0 || stdout != want || stderr != "" {
			t.Errorf("history %s: status %d:\n%s%s", args, status, stdout, stderr)
		}
	}
}

func TestRollbackCommand(t *testing.T) {
	w := newPast(t)
	before := w.repo.Head(t, "main")
	status, stdout, stderr := w.pintle(t, "rollback", "prod/app", "--repo", w.repo.URL, "--dry-run")
	if status != 0 || stderr != "" || !strings.Contains(stdout, "moves back from 1.2.0 to 1.1.0") || !strings.Contains(stdout, "Due on main at "+before[:12]+", in 1 commit: 1 field to move.") {
		t.Errorf("a dry run: status %d:\n%s%s", status, stdout, stderr)
	}
	if got := w.repo.Head(t, "main"); got != before {
		t.Fatalf("a dry run moved the branch to %s", got)
	}

	status, stdout, stderr = w.pintle(t, "rollback", "prod/app", "--repo", w.repo.URL, "-o", "json")
	var report reconcile.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 || stderr != "" {
		t.Fatalf("status %d, %v: %s", status, err, stderr)
	}
	if len(report.Commits) != 1 || report.Commits[0].SHA != w.repo.Head(t, "main") || len(report.Policies) != 1 || report.Policies[0].Reason != reconcile.Updated || report.Policies[0].Selected != nil {
		t.Errorf("rollback reports:\n%s", stdout)
	}
	if got := w.holds(t); !strings.HasPrefix(got, w.image()+":1.1.0@sha256:") {
		t.Errorf("the field holds %s", got)
	}
	w.repo.Fsck(t)

	status, stdout, _ = w.pintle(t, "plan", "--exit-code", "--repo", w.repo.URL)
	if status != 0 || !strings.Contains(stdout, "RolledBack") {
		t.Errorf("plan after it: status %d:\n%s", status, stdout)
	}
	status, stdout, stderr = w.pintle(t, "rollback", "prod/app", "--repo", w.repo.URL, "--to", "1.1.0")
	if status != 0 || !strings.Contains(stdout, "Nothing was due on main") {
		t.Errorf("to where it is: status %d:\n%s%s", status, stdout, stderr)
	}
}

// TestRollbackInACheckout leaves the push to the reader.
func TestRollbackInACheckout(t *testing.T) {
	w := newPast(t)
	before := w.repo.Head(t, "main")
	checkout := w.repo.Clone(t)
	status, stdout, stderr := w.pintle(t, "rollback", "prod/app", "--repo", checkout, "--to", "1")
	if status != 0 || !strings.Contains(stdout, "Nothing was pushed; `git push` does it.") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
	if got := w.repo.Head(t, "main"); got != before {
		t.Errorf("the remote moved to %s", got)
	}
	gitserver.Git(t, checkout, "push", "--quiet")
	if got := w.holds(t); !strings.HasPrefix(got, w.image()+":1.1.0@") {
		t.Errorf("the field holds %s", got)
	}
}

func TestResumeCommand(t *testing.T) {
	w := newPast(t)
	for _, command := range []string{"rollback", "resume"} {
		if status, stdout, stderr := w.pintle(t, command, "prod/app", "--repo", w.repo.URL); status != 0 || stderr != "" || !strings.Contains(stdout, "Pushed 1 commit to main: 1 field moved.") {
			t.Fatalf("%s: status %d:\n%s%s", command, status, stdout, stderr)
		}
	}
	if got := w.holds(t); !strings.HasPrefix(got, w.image()+":1.2.0@") {
		t.Errorf("the field holds %s", got)
	}
	before := w.repo.Head(t, "main")
	status, stdout, _ := w.pintle(t, "resume", "prod/app", "--repo", w.repo.URL)
	if status != 0 || !strings.Contains(stdout, "nothing was written, and so no veto lifted") || w.repo.Head(t, "main") != before {
		t.Errorf("with nothing to resume: status %d:\n%s", status, stdout)
	}

	w.repo.Seed(t, map[string]string{"policy.yaml": w.policy(">=9", "@daily")}, "Follow what is not there")
	before = w.repo.Head(t, "main")
	status, stdout, _ = w.pintle(t, "resume", "prod/app", "--repo", w.repo.URL)
	if status != statusProblems || !strings.Contains(stdout, "NoMatch") || w.repo.Head(t, "main") != before {
		t.Errorf("with nothing selected: status %d:\n%s", status, stdout)
	}
}

// TestRefusals are orders that are not carried out: one line on standard error,
// and nothing is written.
func TestRefusals(t *testing.T) {
	w := newPast(t)
	declared := func(line string) map[string]string {
		return map[string]string{"policy.yaml": w.policy(">=1", "@daily") + "  " + line + "\n"}
	}
	const usage = "\nSee `pintle rollback --help`.\n"
	tests := []struct {
		name  string
		files map[string]string
		args  []string
		want  int
		says  string // standard error; … stands for anything
	}{
		{"unknown target", nil, []string{"rollback", "prod/app", "--to", "7.0.0"}, statusFailed, "pintle: cannot roll back prod/app: nothing in its history is called \"7.0.0\": `pintle history prod/app` lists what is\n"},
		{"unknown revision", nil, []string{"rollback", "prod/app", "--to", "9"}, statusFailed, "pintle: cannot roll back prod/app: nothing in its history is called \"9\"…\n"},
		{"unknown policy, rollback", nil, []string{"rollback", "prod/none"}, statusFailed, "pintle: cannot roll back prod/none: there is no such policy; the repository has [prod/app]\n"},
		{"unknown policy, resume", nil, []string{"resume", "prod/none"}, statusFailed, "pintle: cannot resume prod/none: there is no such policy; …\n"},
		{"unknown policy, history", nil, []string{"history", "prod/none"}, statusFailed, "pintle: cannot list the history of prod/none: there is no such policy; …\n"},
		{"no NAMESPACE", nil, []string{"rollback", "app"}, statusUsage, "pintle: \"app\" is no NAMESPACE/NAME of a policy" + usage},
		{"too many parts", nil, []string{"rollback", "a/b/c"}, statusUsage, "pintle: \"a/b/c\" is no NAMESPACE/NAME of a policy" + usage},
		{"no policy", nil, []string{"rollback"}, statusUsage, "pintle: rollback takes one argument, the NAMESPACE/NAME of a policy" + usage},
		{"no NAMESPACE, history", nil, []string{"history", "app"}, statusUsage, "pintle: \"app\" is no NAMESPACE/NAME…See `pintle history --help`.\n"},
		{"no NAMESPACE, resume", nil, []string{"resume", "/app"}, statusUsage, "pintle: \"/app\" is no NAMESPACE/NAME…See `pintle resume --help`.\n"},
		{"suspended", declared("suspend: true"), []string{"resume", "prod/app"}, statusFailed, "pintle: cannot resume prod/app: it is suspended: take spec.suspend out of policy.yaml:… first\n"},
		{"pinned", declared("pin: {revision: 2}"), []string{"rollback", "prod/app"}, statusFailed, "pintle: cannot roll back prod/app: spec.pin at policy.yaml:8 names revision 2: change the pin, or remove it first\n"},
		{"invalid", declared("pin: {}"), []string{"rollback", "prod/app"}, statusFailed, "pintle: cannot roll back prod/app: it is declared, but not valid; `pintle plan` says why\n"},
		{"no field", map[string]string{"app.yaml": "a: 1\n", "policy.yaml": w.policy(">=1", "@daily")}, []string{"rollback", "prod/app"}, statusFailed, "pintle: cannot roll back prod/app: no field is bound to it: …\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.files != nil {
				w.repo.Seed(t, test.files, "Declare")
			}
			before := w.repo.Head(t, "main")
			status, stdout, stderr := w.pintle(t, append(test.args, "--repo", w.repo.URL)...)
			says := strings.ReplaceAll(regexp.QuoteMeta(test.says), "…", "(?s:.*)")
			if status != test.want || stdout != "" || !regexp.MustCompile(`\A`+says+`\z`).MatchString(stderr) {
				t.Errorf("status %d, want %d and %q:\n%s%s", status, test.want, test.says, stdout, stderr)
			}
			if status == statusFailed && strings.Count(stderr, "\n") != 1 {
				t.Errorf("want one line, got:\n%s", stderr)
			}
			if got := w.repo.Head(t, "main"); got != before {
				t.Errorf("the branch moved to %s", got)
			}
		})
	}
}
