// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/policy"
)

func value(tag, hex string) ledger.Value {
	if hex == "" {
		return ledger.NewValue(tag, "")
	}
	return ledger.NewValue(tag, "sha256:"+strings.Repeat(hex, 64))
}

func compile(t *testing.T, spec policy.Spec) *policy.Rule {
	t.Helper()
	rule, err := policy.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// TestChain documents the verdicts: what a slot holds, what happened to it, and
// what becomes of it when the rule picks 1.2.0.
func TestChain(t *testing.T) {
	semver := compile(t, policy.Spec{Semver: &policy.Semver{Range: ">=1.0.0 <2"}})
	follow := compile(t, policy.Spec{Tag: "stable"})
	newest := compile(t, policy.Spec{Newest: true})
	day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	selection, old := value("1.2.0", "b"), value("1.1.0", "a")
	waits := func(tag, hex string) []Gated {
		return []Gated{{Value: value(tag, hex), Why: "first seen then", Until: day.Add(time.Hour)}}
	}
	lacks := func(tag, hex string) []Gated {
		return []Gated{{Value: value(tag, hex), Why: "it is not for linux/arm64"}}
	}
	past := []Gated{waits("1.6.0", "f")[0], lacks("1.5.0", "c")[0]}
	doer := Doer{Commit: "a1b2c3d4e5f6", Name: "Ada", When: day}

	cases := map[string]struct {
		policy Policy
		slot   Slot
		want   Reason
		says   string
	}{
		"holds the selection":                   {slot: Slot{Value: selection}, want: UpToDate},
		"lower, adopted":                        {slot: Slot{Value: "1.1.0"}, want: Due},
		"lower, written":                        {slot: Slot{Value: old, Left: old}, want: Due},
		"the version without its digest":        {slot: Slot{Value: "1.2.0"}, want: Due},
		"the version with another digest":       {slot: Slot{Value: value("1.2.0", "a")}, want: Due},
		"no version":                            {slot: Slot{Value: "latest"}, want: Due},
		"a digest alone":                        {slot: Slot{Value: value("", "a")}, want: Due},
		"nothing yet":                           {slot: Slot{Value: ledger.Unknown}, want: Due},
		"higher, admitted":                      {slot: Slot{Value: "1.3.0"}, want: DowngradeRefused, says: "ranks below"},
		"higher, admitted, written":             {slot: Slot{Value: "1.3.0", Left: "1.3.0"}, want: DowngradeRefused},
		"higher, out of range, adopted":         {slot: Slot{Value: "2.1.0"}, want: DowngradeRefused},
		"higher, out of range, written":         {slot: Slot{Value: "2.1.0", Left: "2.1.0"}, want: Due},
		"another image, adopted":                {slot: Slot{Value: ledger.Unknown, Foreign: true}, want: Failed, says: "another image"},
		"another image by hand":                 {slot: Slot{Value: ledger.Unknown, Foreign: true, Left: old, Undone: true}, want: ManuallySet},
		"can't be edited":                       {slot: Slot{Value: old, Refusal: "it is an alias"}, want: Failed, says: "alias"},
		"can't be edited, holds it":             {slot: Slot{Value: selection, Refusal: "it is an alias"}, want: UpToDate},
		"suspended":                             {policy: Policy{Suspended: true}, slot: Slot{Value: old}, want: Suspended},
		"pinned":                                {policy: Policy{Pin: "revision 3"}, slot: Slot{Value: old}, want: Due, says: "as spec.pin says"},
		"lower, a better one is too young":      {policy: Policy{Gated: waits("1.5.0", "c")}, slot: Slot{Value: old}, want: Due},
		"selection held, a better one waits":    {policy: Policy{Gated: past}, slot: Slot{Value: selection}, want: UpToDate, says: "holds the selection; 1.6.0 ranks above it and waits: first seen then"},
		"higher, a better one is too young":     {policy: Policy{Gated: waits("1.5.0", "c")}, slot: Slot{Value: "1.3.0"}, want: TooYoung, says: "p/n stays at 1.3.0: 1.5.0 waits: first seen then"},
		"higher, itself too young":              {policy: Policy{Gated: waits("1.5.0", "c")}, slot: Slot{Value: value("1.5.0", "a"), Left: value("1.5.0", "a")}, want: TooYoung, says: "stays at 1.5.0: 1.5.0 waits"},
		"higher, for other platforms":           {policy: Policy{Gated: lacks("1.5.0", "c")}, slot: Slot{Value: value("1.5.0", "c")}, want: DowngradeRefused, says: "1.5.0 can't be taken (it is not for linux/arm64), and the next one, 1.2.0, ranks below"},
		"higher, one waits, one never fits":     {policy: Policy{Gated: past}, slot: Slot{Value: "1.3.0"}, want: TooYoung, says: "1.6.0 waits"},
		"higher, one never fits, one waits":     {policy: Policy{Gated: []Gated{lacks("1.6.0", "f")[0], waits("1.5.0", "c")[0]}}, slot: Slot{Value: "1.3.0"}, want: TooYoung, says: "1.5.0 waits"},
		"higher than all that wait":             {policy: Policy{Gated: waits("1.5.0", "c")}, slot: Slot{Value: "1.7.0"}, want: DowngradeRefused, says: "the best tag that the registry lists now"},
		"higher, out of range, one waits":       {policy: Policy{Gated: waits("1.5.0", "c")}, slot: Slot{Value: "2.1.0", Left: "2.1.0"}, want: Due},
		"what waits, by its digest":             {policy: Policy{Gated: waits("1.5.0", "c")}, slot: Slot{Value: value("", "c")}, want: TooYoung},
		"what waits, by digest and another tag": {policy: Policy{Gated: waits("1.5.0", "c")}, slot: Slot{Value: value("latest", "c")}, want: TooYoung},
		"what waits was undone":                 {policy: Policy{Gated: waits("1.5.0", "c"), Vetoes: []ledger.Value{value("1.5.0", "c")}}, slot: Slot{Value: old, Left: old}, want: RolledBack, says: "1.5.0 was undone"},
		"what never fits was undone":            {policy: Policy{Gated: past, Vetoes: []ledger.Value{value("1.5.0", "c")}}, slot: Slot{Value: old, Left: old}, want: RolledBack},
		"what is not there was undone":          {policy: Policy{Gated: lacks("1.5.0", ""), Vetoes: []ledger.Value{value("1.5.0", "c")}}, slot: Slot{Value: old, Left: old}, want: RolledBack},
		"selection undone, higher, one waits":   {policy: Policy{Gated: waits("1.5.0", "c"), Vetoes: []ledger.Value{selection}}, slot: Slot{Value: "1.3.0", Left: "1.3.0"}, want: TooYoung},
		"gone back below one that waits":        {policy: Policy{Gated: waits("1.5.0", "c"), Back: true, Vetoes: []ledger.Value{value("1.5.0", "c")}}, slot: Slot{Value: old, Left: value("1.5.0", "c"), Undone: true}, want: RolledBack},
		"resumed, higher, one waits":            {policy: Policy{Order: Resume, Gated: waits("1.5.0", "c")}, slot: Slot{Value: "1.3.0"}, want: TooYoung},
		"resumed, lower, one waits":             {policy: Policy{Order: Resume, Gated: waits("1.5.0", "c"), Vetoes: []ledger.Value{value("1.5.0", "c")}}, slot: Slot{Value: old}, want: Due},
		"newest, itself too young":              {policy: Policy{Rule: newest, Created: map[string]time.Time{"1.2.0": day, "1.5.0": day.Add(time.Hour)}, Gated: []Gated{{Value: value("1.5.0", "c"), Created: day.Add(time.Hour), Until: day}}}, slot: Slot{Value: "1.5.0"}, want: TooYoung},
		"selection undone":                      {policy: Policy{Vetoes: []ledger.Value{selection}}, slot: Slot{Value: old, Left: selection, Undone: true, Doer: doer}, want: RolledBack, says: "p/n stays at 1.1.0: 1.2.0 was undone by a1b2c3d4e (Ada, 2 h ago). Newer than 1.2.0 will be written; `pintle resume p/n` lifts it"},
		"selection undone, other tag":           {policy: Policy{Vetoes: []ledger.Value{value("v1.2.0", "b")}}, slot: Slot{Value: old}, want: RolledBack},
		"newer than undone":                     {policy: Policy{Vetoes: []ledger.Value{old}}, slot: Slot{Value: "1.0.0", Left: old, Undone: true}, want: Due},
		"not above all undone":                  {policy: Policy{Vetoes: []ledger.Value{value("1.5.0", "c")}}, slot: Slot{Value: "1.0.0", Left: value("1.5.0", "c"), Undone: true}, want: RolledBack, says: "1.5.0 was undone"},
		"undone is out of the rule now":         {policy: Policy{Vetoes: []ledger.Value{value("2.5.0", "c")}}, slot: Slot{Value: "1.0.0", Left: value("2.5.0", "c"), Undone: true}, want: Due},
		"undone long ago, not held":             {policy: Policy{Vetoes: []ledger.Value{value("1.5.0", "c")}}, slot: Slot{Value: old, Left: old}, want: Due},
		"by hand, not admitted":                 {slot: Slot{Value: "hotfix", Left: old, Undone: true}, want: ManuallySet, says: "set by hand"},
		"same version pushed again, undone":     {policy: Policy{Vetoes: []ledger.Value{value("1.2.0", "a")}}, slot: Slot{Value: "1.0.0", Left: value("1.2.0", "a"), Undone: true}, want: RolledBack},
		"followed tag moves":                    {policy: Policy{Rule: follow, Selection: value("stable", "b")}, slot: Slot{Value: value("stable", "a")}, want: Due},
		"followed tag undone":                   {policy: Policy{Rule: follow, Selection: value("stable", "b"), Vetoes: []ledger.Value{value("stable", "b")}}, slot: Slot{Value: value("stable", "a"), Left: value("stable", "b"), Undone: true}, want: RolledBack, says: "Another digest"},
		"followed tag moves on after undo":      {policy: Policy{Rule: follow, Selection: value("stable", "c"), Vetoes: []ledger.Value{value("stable", "b")}}, slot: Slot{Value: value("stable", "a"), Left: value("stable", "b"), Undone: true}, want: Due},
		"newest, current vanished, no date":     {policy: Policy{Rule: newest, Created: map[string]time.Time{"1.2.0": day}}, slot: Slot{Value: old, Left: old}, want: DowngradeRefused, says: "when it was made"},
		"newest, current vanished but dated":    {policy: Policy{Rule: newest, Created: map[string]time.Time{"1.2.0": day, old.Digest(): day.Add(-time.Hour)}}, slot: Slot{Value: old, Left: old}, want: Due},
		"newest, current is younger":            {policy: Policy{Rule: newest, Created: map[string]time.Time{"1.2.0": day, "1.1.0": day.Add(time.Hour)}}, slot: Slot{Value: old, Left: old}, want: DowngradeRefused},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := c.policy
			p.Name, p.Image, p.Now = "p/n", "ghcr.io/acme/n", day.Add(2*time.Hour)
			if p.Rule == nil {
				p.Rule = semver
			}
			if p.Selection == "" {
				p.Selection = selection
			}
			c.slot.Want, c.slot.Known = p.Selection, c.slot.Value
			got := Decide(p, []Slot{c.slot})[0]
			if got.Reason != c.want || !strings.Contains(got.Message, c.says) {
				t.Errorf("the verdict is %s (%s), want %s with %q", got.Reason, got.Message, c.want, c.says)
			}
			if strings.ContainsAny(got.Message, "\n\r") || got.Message == "" {
				t.Errorf("the message is no line: %q", got.Message)
			}
		})
	}
}

// TestHoldIsForAll: one slot that was undone holds the others where they are.
func TestHoldIsForAll(t *testing.T) {
	rule := compile(t, policy.Spec{Semver: &policy.Semver{Range: ">=1.0.0"}})
	selection := value("1.2.0", "b")
	verdicts := Decide(Policy{Name: "p/n", Rule: rule, Selection: selection, Vetoes: []ledger.Value{selection}}, []Slot{
		{Value: "1.0.0", Want: selection, Left: selection, Undone: true},
		{Value: selection, Want: selection, Left: selection},
		{Value: "1.1.0", Want: selection},
	})
	var got []Reason
	for _, v := range verdicts {
		got = append(got, v.Reason)
	}
	if diff := cmp.Diff([]Reason{RolledBack, UpToDate, RolledBack}, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestGravity(t *testing.T) {
	if !Failed.Graver(NoMatch) || !RolledBack.Graver(Updated) || UpToDate.Graver(Due) || Failed.Graver(Failed) {
		t.Error("the order of gravity is off")
	}
}
