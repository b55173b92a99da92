// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/cmd/pintle/render"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	head    = "0123456789abcdef0123456789abcdef01234567"
)

// sample is a pass that moved one field, pinned another, and met trouble.
func sample(sha string, moved reconcile.Reason) *reconcile.Report {
	return &reconcile.Report{
		Head:   head,
		Branch: "main",
		Commits: []reconcile.Commit{{SHA: sha, Subject: "Update podinfo to 1.1.0", Changes: []reconcile.Change{
			{Policy: "prod/podinfo", Image: "ghcr.io/acme/podinfo", File: "apps/a.yaml", Line: 2, Old: "ghcr.io/acme/podinfo:1.0.0", New: "ghcr.io/acme/podinfo:1.1.0@" + digestA},
			{Policy: "prod/podinfo", Image: "ghcr.io/acme/podinfo", File: "apps/b.yaml", Line: 1, Old: "ghcr.io/acme/podinfo:1.1.0", New: "ghcr.io/acme/podinfo:1.1.0@" + digestA, Repinned: true},
		}}},
		Policies: []reconcile.Policy{
			{
				Name: "podinfo", Namespace: "prod", Image: "ghcr.io/acme/podinfo", Reason: moved,
				Selected: &reconcile.TagDigest{Tag: "1.1.0", Digest: digestA},
				Fields:   []reconcile.Field{{File: "apps/a.yaml", Line: 2, Reason: moved}, {File: "apps/b.yaml", Line: 1, Reason: moved}},
			},
			{
				Name: "redis", Namespace: "prod", Image: "docker.io/library/redis", Reason: reconcile.RolledBack,
				Selected: &reconcile.TagDigest{Tag: "7.2.0", Digest: digestB}, Message: "7.2.0 was undone by 4444",
				Fields: []reconcile.Field{{File: "apps/redis.yaml", Line: 9, Value: "redis:7.1.0@" + digestB, Reason: reconcile.RolledBack, Message: "reverted"}},
			},
			{Name: "web", Namespace: "prod", Image: "ghcr.io/acme/web", Reason: reconcile.NoMatch, Message: "no tag fits semver >=9"},
		},
		Problems: []reconcile.Problem{{File: "apps/x.yaml", Line: 3, Message: "the marker names no policy"}, {Message: "no place"}},
		Notices:  []string{"spec.registry.secretRef of prod/web is ignored without a cluster"},
		Diffs: []reconcile.FileDiff{{
			Path: "apps/a.yaml",
			Old:  []byte("a: 1\nimage: ghcr.io/acme/podinfo:1.0.0\nb: 2\n"),
			New:  []byte("a: 1\nimage: ghcr.io/acme/podinfo:1.1.0@" + digestA + "\nb: 2\n"),
		}},
	}
}

func TestReportsForPeople(t *testing.T) {
	checkout := sample(head, reconcile.Updated)
	checkout.Checkout = true
	idle := &reconcile.Report{Head: head, Branch: "main"}
	tests := map[string]func(io.Writer) error{
		"plan":     func(w io.Writer) error { return render.Plan(w, sample("", reconcile.Due), render.Style{}) },
		"colors":   func(w io.Writer) error { return render.Plan(w, sample("", reconcile.Due), render.Style{Color: true}) },
		"sync":     func(w io.Writer) error { return render.Sync(w, sample(head, reconcile.Updated), render.Style{}) },
		"checkout": func(w io.Writer) error { return render.Sync(w, checkout, render.Style{}) },
		"idleplan": func(w io.Writer) error { return render.Plan(w, idle, render.Style{}) },
		"idlesync": func(w io.Writer) error { return render.Sync(w, idle, render.Style{}) },
		"explain":  func(w io.Writer) error { return render.Explanation(w, explanation(), render.Style{}) },
		"nothing":  func(w io.Writer) error { return render.Explanation(w, &reconcile.Explanation{}, render.Style{}) },
		"lint": func(w io.Writer) error {
			report := &reconcile.LintReport{Files: 2, Policies: 1, Fields: 3, Problems: sample("", reconcile.Due).Problems}
			return render.Lint(w, report, render.Style{})
		},
		"origin": func(w io.Writer) error {
			return render.Origin(w, "prod/fleet", "https://git.example.com/acme/fleet.git", nil, false, render.Style{})
		},
		"originnotices": func(w io.Writer) error {
			return render.Origin(w, "prod/fleet", "https://git.example.com/acme/fleet.git", []string{"it is suspended"}, true, render.Style{Color: true})
		},
		"lintclean": func(w io.Writer) error {
			return render.Lint(w, &reconcile.LintReport{Files: 1, Policies: 2, Fields: 1}, render.Style{})
		},
	}
	for name, write := range tests {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", got.String())
			if err := write(brokenPipe{}); !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("a closed pipe gives %v", err)
			}
		})
	}
}

func explanation() *reconcile.Explanation {
	report := sample("", reconcile.Due)
	return &reconcile.Explanation{
		Policy:     report.Policies[1],
		Rule:       "semver >=7",
		Candidates: []reconcile.Candidate{{Tag: "7.2.0", Rank: 1}, {Tag: "7.1.0", Rank: 2}, {Tag: "latest", Dropped: "is no semantic version"}},
		Vetoes:     []reconcile.Veto{{TagDigest: reconcile.TagDigest{Tag: "7.2.0", Digest: digestB}, By: head, Author: "Ada Person", When: "2026-01-02T03:04:05Z"}},
		Problems:   report.Problems,
	}
}

// golden compares with testdata; PINTLE_GOLDEN=write writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("PINTLE_GOLDEN") == "write" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestSafe(t *testing.T) {
	tests := map[string]string{
		"podinfo:1.0.0":         "podinfo:1.0.0",
		"ünïcode ☃":             "ünïcode ☃",
		"\x1b[31mred":           `\x1b[31mred`,
		"two\nlines\r\tand tab": `two\nlines\r\tand tab`,
		"c1 \u009b31m":          `c1 \u009b31m`,
		"bidi \u202e evil":      `bidi \u202e evil`,
		"bad \xff\xfe utf-8":    `bad \xff\xfe utf-8`,
		"real \ufffd":           "real \ufffd",
		"nul \x00":              `nul \x00`,
		"low \xc2":              `low \xc2`,
	}
	for text, want := range tests {
		if got := render.Safe(text); got != want {
			t.Errorf("Safe(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestHostileValues puts escape sequences into every text of the reports: none
// may reach the terminal.
func TestHostileValues(t *testing.T) {
	evil := "\x1b]0;owned\x07\u009b2J\u202e\r\nX"
	report := &reconcile.Report{
		Head: head, Branch: "main" + evil,
		Commits:  []reconcile.Commit{{Subject: evil, Changes: []reconcile.Change{{File: evil, Old: evil, New: evil}}}},
		Policies: []reconcile.Policy{{Name: evil, Namespace: evil, Image: evil, Message: evil, Reason: reconcile.Failed, Selected: &reconcile.TagDigest{Tag: evil, Digest: evil}, Fields: []reconcile.Field{{File: evil, Value: evil, Message: evil, Reason: reconcile.Failed}}}},
		Problems: []reconcile.Problem{{File: evil, Line: 1, Message: evil}},
		Notices:  []string{evil},
		Diffs:    []reconcile.FileDiff{{Path: evil, Old: []byte("a" + evil), New: []byte("b" + evil)}},
	}
	explained := &reconcile.Explanation{
		Policy: report.Policies[0], Rule: evil, Problems: report.Problems,
		Candidates: []reconcile.Candidate{{Tag: evil, Dropped: evil}},
		Vetoes:     []reconcile.Veto{{TagDigest: reconcile.TagDigest{Tag: evil}, By: evil, Author: evil, When: evil}},
	}
	writers := map[string]func(io.Writer) error{
		"plan":    func(w io.Writer) error { return render.Plan(w, report, render.Style{}) },
		"sync":    func(w io.Writer) error { return render.Sync(w, report, render.Style{}) },
		"explain": func(w io.Writer) error { return render.Explanation(w, explained, render.Style{}) },
		"lint": func(w io.Writer) error {
			return render.Lint(w, &reconcile.LintReport{Problems: report.Problems}, render.Style{})
		},
		"json":   func(w io.Writer) error { return render.JSON(w, report) },
		"origin": func(w io.Writer) error { return render.Origin(w, evil, evil, []string{evil}, true, render.Style{}) },
	}
	for name, write := range writers {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexAny(got.String(), "\x1b\x07\u009b\u202e\r"); i >= 0 {
			t.Errorf("%s lets a control character through at byte %d:\n%q", name, i, got.String())
		}
	}
}

func TestJSON(t *testing.T) {
	report := &reconcile.Report{Head: head, Branch: "main", Policies: []reconcile.Policy{{Name: "a", Reason: reconcile.NoField}}}
	report.Diffs = []reconcile.FileDiff{{Path: "secret"}}
	want := `{
  "head": "` + head + `",
  "branch": "main",
  "commits": [],
  "policies": [
    {
      "name": "a",
      "namespace": "",
      "image": "",
      "selected": null,
      "current": null,
      "reason": "NoField",
      "message": "",
      "fields": []
    }
  ],
  "problems": []
}
`
	var got bytes.Buffer
	if err := render.JSON(&got, report); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if report.Commits != nil {
		t.Error("the report itself was changed")
	}
	got.Reset()
	if err := render.JSON(&got, []any{struct{ A []string }{}, nil}); err != nil || got.String() != "[\n  {\n    \"A\": []\n  },\n  null\n]\n" {
		t.Errorf("a list of anything: %v:\n%s", err, got.String())
	}

	got.Reset()
	if err := render.JSONLine(&got, report); err != nil {
		t.Fatal(err)
	}
	if strings.Count(got.String(), "\n") != 1 {
		t.Errorf("JSONLine writes several lines:\n%s", got.String())
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var quick bytes.Buffer
		stop := render.Progress(&quick, "Planning")
		time.Sleep(1900 * time.Millisecond)
		stop()
		if quick.Len() > 0 {
			t.Errorf("quick work shows %q", quick.String())
		}

		var slow bytes.Buffer
		stop = render.Progress(&slow, "Planning")
		time.Sleep(3500 * time.Millisecond)
		stop()
		stop()
		want := "\r\x1b[KPlanning… 2 s\r\x1b[KPlanning… 3 s\r\x1b[K"
		if diff := cmp.Diff(want, slow.String()); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
	})
}

// TestDiffsApply lets the git command judge: what the diff says must turn the
// old file into the new one.
func TestDiffsApply(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(n int, final bool) []byte {
		var all []string
		for range n {
			all = append(all, fmt.Sprintf("line %d", random.IntN(6)))
		}
		joined := strings.Join(all, "\n")
		if final && n > 0 {
			joined += "\n"
		}
		return []byte(joined)
	}
	for round := range 60 {
		before := text(1+random.IntN(40), random.IntN(3) > 0)
		after := bytes.Clone(before)
		if round%2 == 0 {
			rows := bytes.SplitAfter(after, []byte("\n"))
			for range 1 + random.IntN(4) {
				i := random.IntN(len(rows))
				rows[i] = bytes.Replace(rows[i], []byte("line"), []byte("changed"), 1)
			}
			after = bytes.Join(rows, nil)
		} else {
			after = text(1+random.IntN(40), random.IntN(3) > 0)
		}
		if bytes.Equal(before, after) {
			continue
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), before, 0o600); err != nil {
			t.Fatal(err)
		}
		patch := render.Diffs([]reconcile.FileDiff{{Path: "f", Old: before, New: after}}, render.Style{})
		if err := os.WriteFile(filepath.Join(dir, "p"), []byte(patch), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := gitserver.Try(t, dir, "apply", "p"); err != nil {
			t.Fatalf("%v\n%s", err, patch)
		}
		got, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(after), string(got)); diff != "" {
			t.Fatalf("applied (-want +got):\n%s\npatch:\n%s", diff, patch)
		}
	}
}

func TestUnchangedFilesHaveNoDiff(t *testing.T) {
	same := []reconcile.FileDiff{{Path: "a", Old: []byte("a\n"), New: []byte("a\n")}}
	if got := render.Diffs(same, render.Style{Color: true}); got != "" {
		t.Errorf("an unchanged file gives %q", got)
	}
}
