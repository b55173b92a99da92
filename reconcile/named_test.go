// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
)

// TestNamed: what a person may write for something in the history.
func TestNamed(t *testing.T) {
	digest := func(start string) string { return "sha256:" + start + strings.Repeat("0", 64-len(start)) }
	slot := ledger.SlotID{File: "a.yaml", Key: "image"}
	entry := func(revision int, old, now ledger.Value) ledger.Entry {
		return ledger.Entry{Revision: revision, Moves: map[ledger.SlotID]ledger.Move{slot: {Old: old, New: now, Wrote: now}}}
	}
	first, second, third := ledger.NewValue("1.1.0", digest("abcd1")), ledger.NewValue("1.2.0", digest("abcd2")), ledger.NewValue("2", digest("ef01"))
	o := &outcome{past: ledger.Past{Entries: []ledger.Entry{entry(1, "1.0.0", first), entry(2, first, second), entry(3, second, third)}}}
	for to, want := range map[string][]ledger.Value{
		"1":                  {first},
		"2":                  {third, second}, // a tag, and a revision
		"1.2.0":              {second},
		"1.0.0":              {"1.0.0"},
		"abcd1":              {first},
		"sha256:abcd1":       {first},
		digest("abcd2"):      {second},
		"abcd":               {second, first},
		"1.2.0@sha256:abcd2": {second},
		"1.2.0@sha256:abcd1": nil,
		"sha256:":            nil,
		"abc":                nil, // too short to be meant
		"9":                  nil,
		"1.2":                nil,
		"":                   nil,
	} {
		var got []ledger.Value
		for _, n := range o.named(to) {
			got = append(got, n.value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", to, diff)
		}
	}
}
