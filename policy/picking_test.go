// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/policy"
)

// The tests in this file are cases in which other tools are known to pick
// wrongly or not at all; each names the behaviour that it keeps out.

// Two tags of equal precedence must not be picked by chance.
func TestEqualVersionsAreNotPickedAtRandom(t *testing.T) {
	for _, spec := range []policy.Spec{
		semver(">=1.0.0"),
		filtered(semver(">=1.0.0"), `^v?([0-9.]+)`, "$1"),
		filtered(numerical(policy.Desc), `^v?(\d+)`, "$1"),
		filtered(alphabetical(""), `^v?(\d+)`, "$1"),
	} {
		rule := compile(t, spec)
		candidates := named("1.2.3", "v1.2.3", "1.2.2")
		for range 200 {
			shuffle(candidates)
			if got := rule.Rank(candidates).Kept[0].Tag; got != "v1.2.3" {
				t.Fatalf("%s picked %s from %v", rule, got, candidates)
			}
		}
	}
}

// Timestamps of 17 digits differ by less than a float64 can tell.
func TestLongNumbersAreComparedExactly(t *testing.T) {
	rule := compile(t, numerical(policy.Asc))
	candidates := named("20240115093012001", "20240115093012002", "20240115093012003",
		"100000000000000000000000000000000000000000000000001", "99999999999999999999999999999999999999999999999999")
	want := []string{"100000000000000000000000000000000000000000000000001", "99999999999999999999999999999999999999999999999999",
		"20240115093012003", "20240115093012002", "20240115093012001"}
	for range 200 {
		shuffle(candidates)
		if diff := cmp.Diff(want, kept(rule.Rank(candidates))); diff != "" {
			t.Fatalf("kept (-want +got):\n%s", diff)
		}
	}
}

// One tag that is no number must not fail the whole policy.
func TestOneNonNumericTagIsDroppedAlone(t *testing.T) {
	ranking := compile(t, numerical(policy.Asc)).Rank(named("1", "latest", "2"))
	if diff := cmp.Diff([]string{"2", "1"}, kept(ranking)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"latest": "is no unsigned decimal number"}, reasons(ranking)); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
}

// A policy that holds 1.20 must move to 1.20.0 at most once, and never back.
func TestPartialAndFullVersionDoNotFlip(t *testing.T) {
	rule := compile(t, semver("1.x"))
	partial, full := policy.Candidate{Tag: "1.20"}, policy.Candidate{Tag: "1.20.0"}
	for _, candidates := range [][]policy.Candidate{{partial, full}, {full, partial}} {
		if diff := cmp.Diff([]string{"1.20.0", "1.20"}, kept(rule.Rank(candidates))); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
	}
	up, ok := rule.Compare(full, partial)
	down, okToo := rule.Compare(partial, full)
	if up <= 0 || down >= 0 || !ok || !okToo {
		t.Errorf("Compare = %d and, turned round, %d", up, down)
	}
	// More parts win over the text of the tag, which alone would say v1.20.
	if diff := cmp.Diff([]string{"1.20.0", "v1.20", "1.20"}, kept(rule.Rank(named("v1.20", "1.20", "1.20.0")))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// An empty or partial list leaves the order of what is current intact, so that
// the engine can see that the best of what is left is a step down.
func TestAPartialListStillShowsTheStepDown(t *testing.T) {
	rule := compile(t, semver("^1"))
	if ranking := rule.Rank(nil); len(ranking.Kept)+len(ranking.Dropped) != 0 {
		t.Errorf("Rank(nil) = %v", ranking)
	}
	current := policy.Candidate{Tag: "1.5.0"}
	best := rule.Rank(named("1.4.0", "1.3.0")).Kept[0]
	if order, ok := rule.Compare(best, current); !ok || order >= 0 {
		t.Errorf("Compare(%s, %s) = %d, %v; want below", best.Tag, current.Tag, order, ok)
	}
	// Also where the rule was narrowed since, and no longer admits the current.
	narrowed := compile(t, excluding(semver("~1.4"), "^1.5"))
	if order, ok := narrowed.Compare(best, current); !ok || order >= 0 {
		t.Errorf("narrowed: Compare(%s, %s) = %d, %v; want below", best.Tag, current.Tag, order, ok)
	}
}

// A template may map many tags to one value; each tag stays a candidate.
func TestTagsWithOneExtractedValueAllStay(t *testing.T) {
	rule := compile(t, filtered(semver("*"), `^([0-9.]+)-r\d+$`, "$1"))
	if diff := cmp.Diff([]string{"1.2.3-r2", "1.2.3-r1"}, kept(rule.Rank(named("1.2.3-r1", "1.2.3-r2")))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// Build metadata, which a template can put back into a version, has no part in
// precedence, and must not make the pick random either.
func TestBuildMetadataDecidesNothing(t *testing.T) {
	rule := compile(t, filtered(semver(">=1.2.3"), `^([0-9.]+)_(.+)$`, "$1+$2"))
	candidates := named("1.2.3_b", "1.2.3_a", "1.2.4_a")
	for range 50 {
		shuffle(candidates)
		if diff := cmp.Diff([]string{"1.2.4_a", "1.2.3_b", "1.2.3_a"}, kept(rule.Rank(candidates))); diff != "" {
			t.Fatalf("kept (-want +got):\n%s", diff)
		}
	}
}

// Signatures beside an image are no images: an order by text would pick them.
func TestSignaturesAreNotPicked(t *testing.T) {
	tags := named("2024-01-15")
	for i := range 5 {
		tags = append(tags, policy.Candidate{Tag: fmt.Sprintf("sha256-%064x.sig", i)})
	}
	if diff := cmp.Diff([]string{"2024-01-15"}, kept(compile(t, alphabetical("")).Rank(tags))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func shuffle(candidates []policy.Candidate) {
	rand.Shuffle(len(candidates), func(i, j int) {
		candidates[i], candidates[j] = candidates[j], candidates[i]
	})
}
