// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	masterminds "github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/policy"
)

// rules are one or more of each kind, with and without filter and exclude.
func rules() []policy.Spec {
	return []policy.Spec{
		semver("*"),
		semver(">=0.0.0-0"),
		semver(">=1.0.0 <3"),
		semver("^1.0.0-0 || ~2.1 || !=3.x"),
		filtered(semver(">=1"), `^v?(\d+(?:\.\d+)*)`, "$1"),
		excluding(semver("*"), "^v", "0$"),
		{Tag: "1.0"},
		numerical(policy.Asc),
		numerical(policy.Desc),
		filtered(numerical(""), `(\d+)\D*$`, "$1"),
		alphabetical(policy.Asc),
		excluding(filtered(alphabetical(policy.Desc), `^(.)`, "$1"), "-"),
		{Newest: true},
		filtered(policy.Spec{Newest: true}, `\d`, ""),
	}
}

// randomCandidates are few enough distinct tags that ties, near ties and
// duplicates are frequent, and some that fit no rule.
func randomCandidates(random *rand.Rand, n int) []policy.Candidate {
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	candidates := make([]policy.Candidate, 0, n)
	for range n {
		var tag strings.Builder
		tag.WriteString(pick("", "", "v", "main-", "0"))
		for i := range 1 + random.IntN(3) {
			if i > 0 {
				tag.WriteString(pick(".", ".", "-", ""))
			}
			tag.WriteString(pick("0", "1", "2", "3", "10", "18446744073709551616", "9007199254740993"))
		}
		tag.WriteString(pick("", "", "", "", "-rc.1", "-rc.10", "-rc.99999999999999999999", "-alpha", "-r1", "_x", " ", "+b"))
		created := time.Unix(1_700_000_000+random.Int64N(4), random.Int64N(2))
		candidates = append(candidates, policy.Candidate{
			Tag:     tag.String(),
			Created: []time.Time{created, created, created, {}, time.Unix(0, 0)}[random.IntN(5)],
		})
	}
	return candidates
}

// eachRule runs a property on many random inputs, with the seed in the message.
func eachRule(t *testing.T, property func(rule *policy.Rule, random *rand.Rand) error) {
	t.Helper()
	for _, spec := range rules() {
		rule := compile(t, spec)
		for seed := range uint64(50) {
			if err := property(rule, rand.New(rand.NewPCG(seed, 1))); err != nil {
				t.Fatalf("%s, seed %d: %v", rule, seed, err)
			}
		}
	}
}

func TestAnyOrderOfTheInputGivesOneRanking(t *testing.T) {
	eachRule(t, func(rule *policy.Rule, random *rand.Rand) error {
		candidates := randomCandidates(random, 30)
		want := rule.Rank(candidates)
		doubled := append(slices.Clone(candidates), candidates[:random.IntN(len(candidates))]...)
		random.Shuffle(len(doubled), func(i, j int) { doubled[i], doubled[j] = doubled[j], doubled[i] })
		if diff := cmp.Diff(want, rule.Rank(doubled)); diff != "" {
			return fmt.Errorf("rankings of the same candidates differ:\n%s", diff)
		}
		return nil
	})
}

func TestEveryDistinctTagIsKeptOrDroppedOnce(t *testing.T) {
	eachRule(t, func(rule *policy.Rule, random *rand.Rand) error {
		candidates := randomCandidates(random, 30)
		ranking := rule.Rank(candidates)
		got := kept(ranking)
		for _, d := range ranking.Dropped {
			if d.Reason == "" {
				return fmt.Errorf("%q dropped without a reason", d.Tag)
			}
			got = append(got, d.Tag)
		}
		slices.Sort(got)
		var want []string
		for _, c := range candidates {
			want = append(want, c.Tag)
		}
		slices.Sort(want)
		if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
			return fmt.Errorf("distinct tags (-input +ranking):\n%s", diff)
		}
		return nil
	})
}

func TestAdmitsAgreesWithRank(t *testing.T) {
	eachRule(t, func(rule *policy.Rule, random *rand.Rand) error {
		ranking := rule.Rank(randomCandidates(random, 30))
		for _, c := range ranking.Kept {
			if ok, reason := rule.Admits(c.Tag); !ok {
				return fmt.Errorf("%q is kept, and not admitted: %s", c.Tag, reason)
			}
		}
		for _, d := range ranking.Dropped {
			ok, reason := rule.Admits(d.Tag)
			if ok && !rule.NeedsCreated() || !ok && reason != d.Reason {
				return fmt.Errorf("%q is dropped (%s), and Admits says %v, %q", d.Tag, d.Reason, ok, reason)
			}
		}
		return nil
	})
}

func TestCompareAgreesWithRank(t *testing.T) {
	eachRule(t, func(rule *policy.Rule, random *rand.Rand) error {
		best := rule.Rank(randomCandidates(random, 30)).Kept
		for i, a := range best {
			for j, b := range best {
				got, ok := rule.Compare(a, b)
				if want := sign(j - i); !ok || sign(got) != want {
					return fmt.Errorf("Compare(%v at %d, %v at %d) = %d, %v", a, i, b, j, got, ok)
				}
			}
		}
		return nil
	})
}

func TestCompareIsATotalOrder(t *testing.T) {
	eachRule(t, func(rule *policy.Rule, random *rand.Rand) error {
		const n = 8
		candidates := randomCandidates(random, n)
		var order [n][n]int
		var placed [n][n]bool
		for i, a := range candidates {
			for j, b := range candidates {
				order[i][j], placed[i][j] = rule.Compare(a, b)
			}
		}
		for i := range n * n * n {
			a, b, c := i/n/n, i/n%n, i%n
			if placed[a][b] != placed[b][a] || sign(order[a][b]) != -sign(order[b][a]) {
				return fmt.Errorf("%v, %v: %d and, turned round, %d", candidates[a], candidates[b], order[a][b], order[b][a])
			}
			if !placed[a][b] || !placed[b][c] {
				continue
			}
			if !placed[a][c] || order[a][b] >= 0 && order[b][c] >= 0 && sign(order[a][c]) != max(sign(order[a][b]), sign(order[b][c])) {
				return fmt.Errorf("%v, %v, %v: not transitive", candidates[a], candidates[b], candidates[c])
			}
		}
		return nil
	})
}

// The order of decimals is that of exact rational numbers.
func TestNumbersAgreeWithExactArithmetic(t *testing.T) {
	rule := compile(t, numerical(policy.Asc))
	random := rand.New(rand.NewPCG(7, 7))
	number := func() string {
		digits := func(n int) string {
			var b strings.Builder
			for range n {
				b.WriteByte("0019"[random.IntN(4)])
			}
			return b.String()
		}
		whole := digits(1 + random.IntN(30))
		if random.IntN(2) == 0 {
			return whole
		}
		return whole + "." + digits(1+random.IntN(30))
	}
	for range 5000 {
		a, b := number(), number()
		left, _ := new(big.Rat).SetString(a)
		right, _ := new(big.Rat).SetString(b)
		want := left.Cmp(right)
		if want == 0 {
			want = strings.Compare(a, b)
		}
		got, ok := rule.Compare(policy.Candidate{Tag: a}, policy.Candidate{Tag: b})
		if !ok || sign(got) != want {
			t.Fatalf("Compare(%s, %s) = %d, %v; want %d", a, b, got, ok, want)
		}
	}
}

// What is kept of versions is what the library admits, in the library's order.
func TestVersionsAgreeWithTheLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 11))
	for _, text := range []string{"*", ">=1", "^1.2 || ^3", "~1.2.0-0", "1 - 2.1", "!=1.2", ">1.2 <=3.1", "^0.1", "<2.0.0-rc.2"} {
		rule := compile(t, semver(text))
		constraints, err := masterminds.NewConstraint(text)
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			version := fmt.Sprintf("%d.%d.%d", random.IntN(4), random.IntN(4), random.IntN(3))
			version = []string{"", "v"}[random.IntN(2)] + version + []string{"", "", "-0", "-rc.1", "-rc.2"}[random.IntN(5)]
			if random.IntN(4) == 0 {
				version = version[:strings.LastIndexByte(version, '.')]
			}
			parsed, err := masterminds.NewVersion(version)
			if err != nil {
				continue
			}
			if ok, reason := rule.Admits(version); ok != constraints.Check(parsed) {
				t.Errorf("%s: Admits(%s) = %v, %s", text, version, ok, reason)
			}
			other := masterminds.MustParse("1.2.1-rc.1")
			got, ok := rule.Compare(policy.Candidate{Tag: version}, policy.Candidate{Tag: "1.2.1-rc.1"})
			if want := parsed.Compare(other); !ok || want != 0 && sign(got) != want {
				t.Errorf("Compare(%s, 1.2.1-rc.1) = %d, %v; want %d", version, got, ok, want)
			}
		}
	}
}
