// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/reconcile"
)

// planned moves one field of a file from an old value to a new one.
func planned(file string, old, with ledger.Value) gitwriter.Planned {
	field := manifest.Field{File: file, Line: 7, Value: "r/app:" + string(old)}
	return composed(gitwriter.Planned{Updates: []gitwriter.Update{{
		Image: "r/app", Slot: gitwriter.Slot{Policy: "prod/app", Value: old}, New: with, Wrote: with, Revision: 3, Cause: "schedule",
		Changes: []manifest.Change{{Field: field, New: "r/app:" + string(with)}},
	}}})
}

func composed(p gitwriter.Planned) gitwriter.Planned {
	if err := p.Compose(nil, nil); err != nil {
		panic(err) // There is no template.
	}
	return p
}

func TestRequestText(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	tip := strings.Repeat("b", 40)
	text := reconcile.TextOf([]gitwriter.Planned{planned("a.yaml", "1.0.0", ledger.NewValue("1.1.0", digest))}, tip, "prod/fleet")
	want := "<!-- pintle: " + tip + " for prod/fleet -->\n| file | from | to |\n|---|---|---|\n| `a.yaml:7` | `r/app:1.0.0` | `r/app:1.1.0@" + digest + "` |\n" +
		"\nClosing this request without merging it declines these images: they are not proposed again.\n" +
		"\nPintle-Update: prod/app 3 r/app 1.0.0 -> 1.1.0@" + digest + " cause=schedule\n"
	if diff := cmp.Diff(want, text.Body); diff != "" || text.Title != "Update r/app to 1.1.0" {
		t.Errorf("the title is %q, the body (-want +got):\n%s", text.Title, diff)
	}
}

// Whatever files and tags are called, a request names nobody, has no markup of
// theirs, and fits.
func TestRequestTextOfHostileValues(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	hostile := planned("a`|\n@ada <img src=x> [x](https://evil.example.com) #1.yaml", ledger.NewValue("1.0-", digest), ledger.NewValue("1.1-", digest))
	text := reconcile.TextOf([]gitwriter.Planned{hostile}, "", "")
	if want := "| `a???@ada <img src=x> [x](https://evil.example.com) #1.yaml:7` |"; !strings.Contains(text.Body, want) {
		t.Errorf("the body lacks %q:\n%s", want, text.Body)
	}
	for line := range strings.Lines(text.Body) {
		if strings.HasPrefix(line, "| `") && strings.Count(line, "`") != 6 {
			t.Errorf("a row breaks out of its cells: %s", line)
		}
	}
	if strings.Contains(text.Body, "Pintle-Update") {
		t.Errorf("outside of code, -@sha256 may be taken for a name:\n%s", text.Body)
	}
	long := planned(strings.Repeat("x", 5000), "1.0.0", "1.1.0")
	long.Updates[0].Image = strings.Repeat("y", 1000) + " @ada #1"
	long = composed(long)
	var many []gitwriter.Planned
	for range 500 {
		many = append(many, long)
	}
	text = reconcile.TextOf(many, "", "")
	if len(text.Title) > 250 || len(text.Body) > 60_000 || strings.ContainsAny(text.Title, "#@") || !strings.Contains(text.Body, "and 400 more.") {
		t.Errorf("the title has %d bytes, the body %d: %s", len(text.Title), len(text.Body), fmt.Sprintf("%.300s", text.Title))
	}
}
