// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/policy"
)

var update = flag.Bool("update", false, "write the tables anew")

var blanks = regexp.MustCompile(` +\n`)

// option is one value of a dimension of the table.
type option[T any] struct {
	name string
	set  T
}

var (
	selected = value("1.2.0", "b")
	older    = value("1.1.0", "a")
	newer    = value("1.5.0", "c")
	young    = []Gated{{Value: newer, Why: "first seen 2026-01-01T02:00:00Z, old enough at 2026-01-03T02:00:00Z", Until: time.Date(2026, 1, 3, 2, 0, 0, 0, time.UTC)}}
	elsewise = []Gated{{Value: newer, Why: "it is not for linux/arm64, only for linux/amd64"}}
)

// currents are what a field may hold when the rule picks 1.2.0.
var currents = []option[Slot]{
	{"1.2.0", Slot{Value: selected}},
	{"1.1.0", Slot{Value: older}},
	{"1.5.0", Slot{Value: newer}},
	{"hotfix", Slot{Value: "hotfix"}},
	{"other image", Slot{Value: ledger.Unknown, Foreign: true}},
}

// written are what Pintle may have left in the field.
var written = []option[func(*Slot)]{
	{"never", func(*Slot) {}},
	{"what it holds", func(s *Slot) { s.Left = s.Value }},
	{"something else", func(s *Slot) {
		s.Left, s.Undone = selected, true
		if s.Value == selected {
			s.Left = older
		}
	}},
	{"by a rollback", func(s *Slot) { s.Left, s.RolledBack = s.Value, true }},
}

const closed = "when the next window opens, at 2026-01-05T09:00:00+01:00"

var undone = []option[[]ledger.Value]{
	{"nothing", nil},
	{"1.2.0", []ledger.Value{selected}},
	{"1.5.0", []ledger.Value{newer}},
	{"1.1.0", []ledger.Value{older}},
}

// asked is who wants 1.2.0 to be written, and against what.
var asked = []option[Policy]{
	{"rule", Policy{}},
	{"rule, 1.5.0 too young", Policy{Gated: young}},
	{"rule, 1.5.0 for other platforms", Policy{Gated: elsewise}},
	{"rule, suspended", Policy{Suspended: true}},
	{"pin", Policy{Pin: "revision 3"}},
	{"pin, suspended", Policy{Pin: "revision 3", Suspended: true}},
	{"pin, undone since", Policy{Pin: "revision 3", PinUndone: true}},
	{"rollback", Policy{Order: Rollback}},
	{"rollback, suspended", Policy{Order: Rollback, Suspended: true}},
	{"resume", Policy{Order: Resume}},
	{"resume, 1.5.0 too young", Policy{Order: Resume, Gated: young}},
	{"rule, window closed", Policy{Closed: closed}},
	{"pin, window closed", Policy{Pin: "revision 3", Closed: closed}},
	{"rollback, window closed", Policy{Order: Rollback, Closed: closed}},
	{"resume, window closed", Policy{Order: Resume, Closed: closed}},
}

var rules = []option[string]{
	{">=1.0.0 <2", ">=1.0.0 <2"},
	{">=1.2.0 <1.3", ">=1.2.0 <1.3"}, // narrowed: of all there is, it admits 1.2.0 alone
}

// TestTable puts every combination of what a field holds, what was written and
// undone, who asks, and whether the rule was narrowed to the chain, and compares
// the verdicts with the table that documents them. -update writes it anew.
func TestTable(t *testing.T) {
	var table strings.Builder
	sentences := map[string]bool{}
	for _, who := range asked {
		fmt.Fprintf(&table, "## %s\n\n", who.name)
		fmt.Fprintf(&table, "%-14s %-10s %-16s", "rule", "undone", "written")
		for _, c := range currents {
			fmt.Fprintf(&table, " %-18s", c.name)
		}
		table.WriteString("\n")
		for _, rule := range rules {
			for _, vetoes := range undone {
				for _, left := range written {
					fmt.Fprintf(&table, "%-14s %-10s %-16s", rule.name, vetoes.name, left.name)
					for _, c := range currents {
						v := verdictOf(t, who.set, rule.set, vetoes.set, left.set, c.set)
						sentences[string(v.Reason)+": "+v.Message] = true
						fmt.Fprintf(&table, " %-18s", v.Reason)
					}
					table.WriteString("\n")
				}
			}
		}
		table.WriteString("\n")
	}
	table.WriteString("## sentences\n\n")
	for _, s := range slices.Sorted(maps.Keys(sentences)) {
		table.WriteString(s + "\n")
	}
	golden(t, filepath.Join("testdata", "verdicts.txt"), blanks.ReplaceAllString(table.String(), "\n"))
	documented(t, sentences)
}

// verdictOf asks the chain about one field.
func verdictOf(t *testing.T, p Policy, rule string, vetoes []ledger.Value, left func(*Slot), s Slot) Verdict {
	t.Helper()
	now := time.Date(2026, 1, 2, 2, 0, 0, 0, time.UTC)
	left(&s)
	s.Known, s.Want = s.Value, selected
	s.Doer = Doer{Commit: "a1b2c3d4e5f6", Name: "Ada", When: now.Add(-2 * time.Hour)}
	p.Name, p.Image, p.Now, p.Selection, p.Vetoes, p.Back = "prod/podinfo", "ghcr.io/acme/podinfo", now, selected, vetoes, s.Undone || s.RolledBack
	p.Rule = compile(t, policy.Spec{Semver: &policy.Semver{Range: rule}})
	v := Decide(p, []Slot{s})[0]
	if v.Reason == "" || v.Message == "" || strings.ContainsAny(v.Message, "\r\n") || slices.Index(byGravity, v.Reason) < 0 {
		t.Errorf("%+v of %+v has the verdict %+v", s, p, v)
	}
	return v
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
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

// documented sees that docs/verdicts.md quotes only sentences that the chain
// says, and one at least for each reason.
func documented(t *testing.T, sentences map[string]bool) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "verdicts.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := map[string]bool{}
	for line := range strings.SplitSeq(string(page), "\n") {
		reason, sentence, ok := strings.Cut(strings.TrimPrefix(line, "> "), ": ")
		if !strings.HasPrefix(line, "> ") || !ok {
			continue
		}
		quoted[reason] = true
		if !sentences[reason+": "+sentence] {
			t.Errorf("docs/verdicts.md quotes %q, which the chain never says", line)
		}
	}
	for s := range sentences {
		if reason, _, _ := strings.Cut(s, ": "); !quoted[reason] {
			t.Errorf("docs/verdicts.md quotes nothing for %s", reason)
		}
	}
}
