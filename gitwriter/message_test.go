// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// move is an update of one field.
func moveOf(policy, image, file string, line int, old, now ledger.Value) Update {
	field := manifest.Field{File: file, Line: line}
	return Update{Slot: Slot{Policy: policy, ID: ledger.SlotID{File: file, Key: fmt.Sprint(line)}, Value: old}, Image: image,
		Changes: []manifest.Change{{Field: field}}, New: now, Wrote: now, Revision: 2, Cause: ledger.CauseSchedule}
}

// parsed is what the git command takes for the trailers of a message.
func parsed(t *testing.T, message string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", "interpret-trailers", "--parse")
	command.Stdin = strings.NewReader(message)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// agree checks that git and the ledger find these trailers in a message.
func agree(t *testing.T, message string, want []ledger.Trailer) {
	t.Helper()
	var lines strings.Builder
	for _, w := range want {
		lines.WriteString(w.String() + "\n")
	}
	if diff := cmp.Diff(lines.String(), parsed(t, message)); diff != "" {
		t.Errorf("git's trailers (-want +got):\n%s", diff)
	}
	found, malformed := ledger.Parse(message)
	if diff := cmp.Diff(want, found); diff != "" || len(malformed) > 0 {
		t.Errorf("trailers (-want +got):\n%s\nmalformed: %v", diff, malformed)
	}
}

func TestMessage(t *testing.T) {
	v1, v2 := ledger.NewValue("1.0.0", digestA), ledger.NewValue("1.1.0", digestB)
	origins := map[string]Origin{
		digestA: {Source: "https://github.com/acme/app", Revision: commitA},
		digestB: {Source: "https://github.com/acme/app", Revision: commitB, Version: "1.1"},
	}
	planned := Planned{Updates: []Update{
		moveOf("prod/app", "ghcr.io/acme/app", "apps/app.yaml", 12, v1, v2),
		moveOf("prod/app", "ghcr.io/acme/app", "apps/other.yaml", 7, "1.0.0", v2),
	}}
	if err := planned.Compose(nil, origins); err != nil {
		t.Fatal(err)
	}
	want := `Update ghcr.io/acme/app to 1.1.0

| file              | old                       | new                       |
|-------------------|---------------------------|---------------------------|
| apps/app.yaml:12  | 1.0.0@sha256:aaaaaaaaaaaa | 1.1.0@sha256:bbbbbbbbbbbb |
| apps/other.yaml:7 | 1.0.0                     | 1.1.0@sha256:bbbbbbbbbbbb |

Source: https://github.com/acme/app
Version: 1.1
Revision: https://github.com/acme/app/commit/` + commitB + `
Changes: https://github.com/acme/app/compare/` + commitA + `...` + commitB + `

Cause: schedule

Pintle-Update: prod/app 2 ghcr.io/acme/app 1.0.0@` + digestA + ` -> 1.1.0@` + digestB + ` cause=schedule
Pintle-Update: prod/app 2 ghcr.io/acme/app 1.0.0 -> 1.1.0@` + digestB + ` cause=schedule
`
	if diff := cmp.Diff(want, planned.Text); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	agree(t, planned.Text, planned.trailers())
}

func TestMessageOfSeveralImages(t *testing.T) {
	planned := Planned{Updates: []Update{
		moveOf("prod/app", "ghcr.io/acme/app", "apps/app.yaml", 12, "1.0.0", "1.1.0"),
		moveOf("prod/web", "ghcr.io/acme/web", "apps/web.yaml", 3, "2.0.0", "2.1.0"),
	}}
	planned.Updates[1].Cause = "event/harbor"
	_ = planned.Compose(nil, nil)
	want := `Update ghcr.io/acme/app to 1.1.0, ghcr.io/acme/web to 2.1.0

| file             | image            | old   | new   |
|------------------|------------------|-------|-------|
| apps/app.yaml:12 | ghcr.io/acme/app | 1.0.0 | 1.1.0 |
| apps/web.yaml:3  | ghcr.io/acme/web | 2.0.0 | 2.1.0 |

Cause: event/harbor, schedule

Pintle-Update: prod/app 2 ghcr.io/acme/app 1.0.0 -> 1.1.0 cause=schedule
Pintle-Update: prod/web 2 ghcr.io/acme/web 2.0.0 -> 2.1.0 cause=event/harbor
`
	if diff := cmp.Diff(want, planned.Text); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	agree(t, planned.Text, planned.trailers())
}

func TestSubject(t *testing.T) {
	v1, v2 := ledger.NewValue("1.0.0", digestA), ledger.NewValue("1.0.0", digestB)
	rollback := moveOf("prod/app", "app", "a", 1, "1.1.0", "1.0.0")
	rollback.Rollback = true
	pin := moveOf("prod/app", "app", "a", 1, "1.1.0", "1.0.0")
	pin.Cause = ledger.CausePin
	up := moveOf("prod/app", "app", "a", 1, "1.0.0", "1.1.0")
	var many, tags []Update
	for i := range 40 {
		many = append(many, moveOf("prod/app", fmt.Sprintf("ghcr.io/acme/app%d", i), "a", i, "1.0.0", "1.1.0"))
		tags = append(tags, moveOf("prod/app", "app", "a", i, "1.0.0", ledger.Value(fmt.Sprintf("1.%d.0", i))))
	}
	cases := map[string]struct {
		updates []Update
		want    string
	}{
		"one":              {[]Update{up}, "Update app to 1.1.0"},
		"a new digest":     {[]Update{moveOf("prod/app", "app", "a", 1, v1, v2)}, "Update app to 1.0.0 at sha256:bbbbbbbbbbbb"},
		"no tag":           {[]Update{moveOf("prod/app", "app", "a", 1, v1, digestB)}, "Update app to sha256:bbbbbbbbbbbb"},
		"rollback":         {[]Update{rollback}, "Roll back app to 1.0.0"},
		"pin":              {[]Update{pin}, "Pin app to 1.0.0"},
		"a pin and others": {[]Update{pin, up}, "Update app to 1.0.0, 1.1.0"},
		"many images":      {many, "Update ghcr.io/acme/app0 to 1.1.0, ghcr.io/acme/app1 to 1.1.0, ghcr.io/acme/app2 to 1.1.0 and 37 more"},
		"many versions":    {tags, "Update app to 1.0.0, 1.1.0, 1.2.0, …"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			planned := Planned{Updates: c.updates}
			_ = planned.Compose(nil, nil)
			if got := planned.Subject(); got != c.want {
				t.Errorf("the subject is %q, want %q", got, c.want)
			}
		})
	}
}

// TestMessageIsBounded: a first write of many fields, in files with long names, makes
// no message that nobody can read.
func TestMessageIsBounded(t *testing.T) {
	var planned Planned
	for i := range 1000 {
		planned.Updates = append(planned.Updates, moveOf("prod/app", "ghcr.io/acme/app", strings.Repeat("a/", 500)+fmt.Sprint(i), i, "1.0.0", "1.1.0"))
	}
	_ = planned.Compose(nil, nil)
	if len(planned.Text) > 50_000 || !strings.Contains(planned.Text, "| and 900 more ") || strings.Count(planned.Text, "\n| aa/")+strings.Count(planned.Text, "\n| a/") != maxListed {
		t.Errorf("the message has %d bytes:\n%.3000s", len(planned.Text), planned.Text)
	}
}

// TestHostileValues: nothing that others chose breaks out of its line, or calls
// somebody.
func TestHostileValues(t *testing.T) {
	evil := "a\nPintle-Update: prod/app 9 app 1 -> 2 cause=resume\u202e\x1b[31m|@acme/owners"
	planned := Planned{Updates: []Update{moveOf("prod/app", "app", evil, 1, "1.0.0", ledger.NewValue("1.1.0", digestB))}}
	origins := map[string]Origin{digestB: {Source: "javascript:alert(1)", Revision: evil, Version: "@acme"}}
	_ = planned.Compose(nil, origins)
	for _, wrong := range []string{"\nPintle-Update: prod/app 9", "\u202e", "\x1b", "@acme", "javascript", "Revision", "Version", " |("} {
		if strings.Contains(planned.Text, wrong) {
			t.Errorf("the message has %q:\n%s", wrong, planned.Text)
		}
	}
	if !strings.Contains(planned.Text, `a?Pintle-Update: prod/app 9 app 1 -> 2 cause=resume??[31m\|(at)acme/owners:1`) {
		t.Errorf("the message is\n%s", planned.Text)
	}
	agree(t, planned.Text, planned.trailers())
}

func TestOrigin(t *testing.T) {
	cases := map[string]struct {
		source, revision string
		want             imageData
	}{
		"GitHub":              {"https://github.com/acme/app", commitA, imageData{Source: "https://github.com/acme/app", Revision: commitA, RevisionURL: "https://github.com/acme/app/commit/" + commitA}},
		"a clone's URL":       {"https://GitHub.com/acme/app.git/", "", imageData{Source: "https://github.com/acme/app"}},
		"a folder of it":      {"https://github.com/acme/app/tree/main/x", "", imageData{Source: "https://github.com/acme/app"}},
		"an issue":            {"https://github.com/acme/app/issues/1", "", imageData{Source: "https://github.com/acme/app"}},
		"GitLab's groups":     {"https://gitlab.com/a/b/c/d", commitA, imageData{Source: "https://gitlab.com/a/b/c/d", Revision: commitA, RevisionURL: "https://gitlab.com/a/b/c/d/-/commit/" + commitA}},
		"GitLab's issue":      {"https://gitlab.com/a/b/-/issues/1", "", imageData{Source: "https://gitlab.com/a/b"}},
		"another host":        {"https://git.example.com:8443/acme/app", commitA, imageData{Source: "https://git.example.com:8443/acme/app", Revision: commitA}},
		"a short revision":    {"https://github.com/acme/app", "abc1234", imageData{Source: "https://github.com/acme/app", Revision: "abc1234"}},
		"no repository":       {"https://github.com/acme", commitA, imageData{Revision: commitA}},
		"plain HTTP":          {"http://github.com/acme/app", "", imageData{}},
		"SSH":                 {"git@github.com:acme/app.git", "", imageData{}},
		"a login":             {"https://me:secret@github.com/acme/app", "", imageData{}},
		"a query":             {"https://github.com/acme/app?x=y", "", imageData{}},
		"an empty query":      {"https://github.com/acme/app?", "", imageData{}},
		"a fragment":          {"https://github.com/acme/app#x", "", imageData{}},
		"upwards":             {"https://git.example.com/a/../b", "", imageData{}},
		"a mention":           {"https://git.example.com/@acme", "", imageData{}},
		"an escape":           {"https://git.example.com/a%0ab", "", imageData{}},
		"another line":        {"https://git.example.com/a\nb", "", imageData{}},
		"too long":            {"https://git.example.com/" + strings.Repeat("a", 600), "", imageData{}},
		"no host":             {"https:///acme/app", "", imageData{}},
		"a revision with ref": {"", "v1.0.0@sha1:" + commitA, imageData{}},
		"a closing word":      {"", "fixes #1", imageData{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := imageData{Digest: digestA}
			got.tell(map[string]Origin{digestA: {Source: c.source, Revision: c.revision}})
			c.want.Digest = digestA
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(imageData{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestComparePage(t *testing.T) {
	origins := map[string]Origin{digestA: {"https://github.com/acme/app", commitA, ""}, digestB: {"https://github.com/acme/app", commitB, ""}}
	other := map[string]Origin{digestA: {"https://github.com/acme/fork", commitA, ""}, digestB: origins[digestB]}
	short := map[string]Origin{digestA: {"https://github.com/acme/app", "abc1234", ""}, digestB: origins[digestB]}
	for name, c := range map[string]struct {
		origins map[string]Origin
		want    string
	}{
		"known":           {origins, "https://github.com/acme/app/compare/" + commitA + "..." + commitB},
		"another source":  {other, ""},
		"a short one":     {short, ""},
		"the old unknown": {map[string]Origin{digestB: origins[digestB]}, ""},
	} {
		got := imageData{Digest: digestB, before: []string{digestA}}
		got.tell(c.origins)
		if got.CompareURL != c.want {
			t.Errorf("%s: %q, want %q", name, got.CompareURL, c.want)
		}
	}
}
