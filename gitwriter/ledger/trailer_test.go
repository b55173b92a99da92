// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	digestC = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

func sample() Trailer {
	return Trailer{Policy: "prod/app", Revision: 3, Image: "ghcr.io/acme/app", Old: "1.0.0", New: NewValue("1.1.0", digestA), Cause: CauseSchedule}
}

func sourced() Trailer {
	t := sample()
	t.Cause, t.Source = "build/ci/app-x7k2p", "0123456789abcdef0123456789abcdef01234567"
	return t
}

func TestParse(t *testing.T) {
	line := sample().String()
	rollback := sample()
	rollback.Rollback = true
	cases := map[string]struct {
		message string
		want    []Trailer
	}{
		"an entry":                {"Update\n\n- a: b\n\n" + line + "\n", []Trailer{sample()}},
		"a rollback":              {"Back\n\n" + rollback.String() + "\n", []Trailer{rollback}},
		"more words":              {"Update\n\n" + line + " run=4\n", []Trailer{sample()}},
		"a source":                {"Update\n\n" + sourced().String() + "\n", []Trailer{sourced()}},
		"a source that is none":   {"Update\n\n" + line + " source=HEAD source=0123456;rm\n", []Trailer{sample()}},
		"CRLF":                    {"Update\r\n\r\n" + line + "\r\n", []Trailer{sample()}},
		"among others":            {"Update\n\nSigned-off-by: Ada <a@b.c>\n" + line + "\n(cherry picked from commit 1234)\n", []Trailer{sample()}},
		"the title is no trailer": {line + "\n", nil},
		"text after it":           {"Update\n\n" + line + "\n\nMore text.\n", nil},
		"indented by a squash":    {"Squashed\n\n    Update\n\n    " + line + "\n", nil},
		"text in its paragraph":   {"Update\n\nSome prose\n" + line + "\n", nil},
		"no revision":             {"Update\n\nPintle-Update: prod/app x ghcr.io/a/b 1 -> 2 cause=schedule\n", nil},
		"revision zero":           {"Update\n\nPintle-Update: prod/app 0 ghcr.io/a/b 1 -> 2 cause=schedule\n", nil},
		"a value that is none":    {"Update\n\nPintle-Update: prod/app 1 ghcr.io/a/b 1 -> 2@sha256:zz cause=schedule\n", nil},
		"a cause that is none":    {"Update\n\nPintle-Update: prod/app 1 ghcr.io/a/b 1 -> 2 cause=magic\n", nil},
		"cut short":               {"Update\n\nPintle-Update: prod/app 1 ghcr.io/a/b 1 ->\n", nil},
		"nothing":                 {"", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, _ := Parse(c.message)
			if diff := cmp.Diff(c.want, found); diff != "" {
				t.Errorf("trailers (-want +got):\n%s", diff)
			}
			if got := byGit(t, c.message); c.want != nil && len(got) != len(c.want) {
				t.Errorf("git finds %q", got)
			}
		})
	}
}

// byGit lists Pintle's trailers as the git command finds them.
func byGit(t *testing.T, message string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "interpret-trailers", "--parse")
	cmd.Stdin = strings.NewReader(message)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Pintle-") {
			lines = append(lines, line)
		}
	}
	return lines
}

func FuzzParse(f *testing.F) {
	f.Add("Update\n\n" + sample().String() + "\n")
	f.Add("a\n\n \n\tb: c\nPintle-Rollback: x/y 1 z ? -> 1 cause=build/a/b")
	f.Fuzz(func(t *testing.T, message string) {
		found, _ := Parse(message)
		for _, trailer := range found {
			again, _ := Parse("Title\n\n" + trailer.String() + "\n")
			if diff := cmp.Diff([]Trailer{trailer}, again); diff != "" {
				t.Errorf("%q does not survive (-want +got):\n%s", trailer, diff)
			}
		}
	})
}

func TestValue(t *testing.T) {
	cases := []struct {
		tag, digest string
		want        Value
	}{
		{"1.0", "", "1.0"},
		{"1.0", digestA, Value("1.0@" + digestA)},
		{"", digestA, Value(digestA)},
		{"", "", Unknown},
		{"a b", "", Unknown},
		{"1\nPintle-Update: x", "", Unknown},
		{"1.0", "sha256:short", Unknown},
	}
	for _, c := range cases {
		v := NewValue(c.tag, c.digest)
		if v != c.want {
			t.Errorf("NewValue(%q, %q) is %q, want %q", c.tag, c.digest, v, c.want)
		}
		if v != Unknown && (v.Tag() != c.tag || v.Digest() != c.digest) {
			t.Errorf("%q gives %q and %q", v, v.Tag(), v.Digest())
		}
		if back, ok := ParseValue(string(v)); !ok || back != v {
			t.Errorf("%q reads as %q, %v", v, back, ok)
		}
	}
}
