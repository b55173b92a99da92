// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/policy"
)

// versionTags are n distinct tags, every tenth a pre-release, in the order of a
// registry's list or, shuffled, in none.
func versionTags(n int, shuffled bool) []policy.Candidate {
	candidates := make([]policy.Candidate, 0, n)
	for i := range n {
		tag := fmt.Sprintf("v%d.%d.%d", i/1000, i/10%100, i%10)
		if i%10 == 9 {
			tag += "-rc.1"
		}
		candidates = append(candidates, policy.Candidate{Tag: tag})
	}
	slices.SortFunc(candidates, func(a, b policy.Candidate) int { return strings.Compare(a.Tag, b.Tag) })
	if shuffled {
		random := rand.New(rand.NewPCG(1, 2))
		random.Shuffle(n, func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	}
	return candidates
}

func numberTags(n int) []policy.Candidate {
	random := rand.New(rand.NewPCG(3, 4))
	candidates := make([]policy.Candidate, 0, n)
	for i := range n {
		candidates = append(candidates, policy.Candidate{Tag: fmt.Sprintf("main-%07x-%d", random.Uint32()>>4, 20240115093012000+i)})
	}
	return candidates
}

// BenchmarkThousandPolicies is a pass of 1,000 policies over 500 tags each, compiling
// included: one operation should stay well under a second.
func BenchmarkThousandPolicies(b *testing.B) {
	candidates := versionTags(500, false)
	spec := excluding(semver(">=0.2.0 <1"), "-debug$")
	b.ReportAllocs()
	for b.Loop() {
		for range 1000 {
			if kept := compile(b, spec).Rank(candidates).Kept; len(kept) == 0 {
				b.Fatal("nothing kept")
			}
		}
	}
}

// BenchmarkRank is one policy over 50,000 tags: one operation should stay under
// a tenth of a second.
func BenchmarkRank(b *testing.B) {
	cases := []struct {
		name       string
		spec       policy.Spec
		candidates []policy.Candidate
	}{
		{"semver", semver(">=1.2.0"), versionTags(50_000, false)},
		{"semver shuffled", semver(">=1.2.0"), versionTags(50_000, true)},
		{"semver nothing in range", semver(">=1000 <1001"), versionTags(50_000, false)},
		{"numerical filtered", filtered(numerical(""), `^main-[0-9a-f]+-(?P<n>\d+)$`, "$n"), numberTags(50_000)},
		{"alphabetical", alphabetical(""), numberTags(50_000)},
	}
	for _, c := range cases {
		rule := compile(b, c.spec)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rule.Rank(c.candidates)
			}
		})
	}
}
