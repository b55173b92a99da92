// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/policy"
)

// FuzzRank holds any spec and any tags against what must always be true: a spec
// is refused with its field or it ranks; every tag is accounted for; the order
// of the input plays no part; and the ranking agrees with Admits and Compare.
func FuzzRank(f *testing.F) {
	tags := "1.2.3 v1.2.3 1.20 1.20.0 2.0.0-rc.1 007 20240115093012001 latest main-abc-7 stable sha256-x a:b"
	f.Add(byte(0), ">=1.0.0-0 <2 || ~3.1", "", "", "", tags)
	f.Add(byte(0), "*", `^v?(?P<v>[0-9.]+)`, "${v}", "-debug$", tags)
	f.Add(byte(1), "stable", "", "", "^x", tags)
	f.Add(byte(2), "Desc", `(\d+)$`, "$1", "", tags)
	f.Add(byte(3), "Asc", `.`, "$0$0", `(a|b){2,9}`, tags)
	f.Add(byte(4), "", `\d`, "", "(", tags)
	f.Fuzz(func(t *testing.T, kind byte, text, pattern, extract, exclude, tags string) {
		rule, err := policy.Compile(fuzzedSpec(kind, text, pattern, extract, exclude))
		if err != nil {
			var refused *policy.SpecError
			if !errors.As(err, &refused) || refused.Field == "" || refused.Reason == "" {
				t.Fatalf("no SpecError: %v", err)
			}
			if len(err.Error()) > 2000 || strings.Contains(err.Error(), "\n") {
				t.Fatalf("not one bounded line: %q", err)
			}
			return
		}
		if len(rule.String()) > 40_000 || strings.Contains(rule.String(), "\n") {
			t.Fatalf("not one bounded line: %q", rule)
		}
		candidates := fuzzedCandidates(tags)
		ranking := rule.Rank(candidates)
		checkRanking(t, rule, candidates, ranking)
		slices.Reverse(candidates)
		if diff := cmp.Diff(ranking, rule.Rank(candidates)); diff != "" {
			t.Fatalf("the order of the input matters:\n%s", diff)
		}
	})
}

func fuzzedSpec(kind byte, text, pattern, extract, exclude string) policy.Spec {
	var spec policy.Spec
	switch kind % 5 {
	case 0:
		spec = semver(text)
	case 1:
		spec.Tag = text
	case 2:
		spec = numerical(policy.Order(text))
	case 3:
		spec = alphabetical(policy.Order(text))
	default:
		spec.Newest = true
	}
	if pattern != "" || extract != "" {
		spec = filtered(spec, pattern, extract)
	}
	if exclude != "" {
		spec.Exclude = strings.Split(exclude, "\n")
	}
	return spec
}

// fuzzedCandidates gives equal tags equal times, since a duplicate keeps one.
func fuzzedCandidates(tags string) []policy.Candidate {
	var candidates []policy.Candidate
	for tag := range strings.SplitSeq(tags, " ") {
		candidates = append(candidates, policy.Candidate{Tag: tag, Created: time.Unix(int64(len(tag)%3)*1_000_000_000, 0)})
		if len(candidates) == 50 {
			break
		}
	}
	return candidates
}

func checkRanking(t *testing.T, rule *policy.Rule, candidates []policy.Candidate, ranking policy.Ranking) {
	t.Helper()
	distinct := map[string]bool{}
	for _, c := range candidates {
		distinct[c.Tag] = true
	}
	if got := len(ranking.Kept) + len(ranking.Dropped); got != len(distinct) {
		t.Fatalf("%d distinct tags, and %d in the ranking", len(distinct), got)
	}
	for i, c := range ranking.Kept {
		if ok, reason := rule.Admits(c.Tag); !ok || !distinct[c.Tag] || len(c.Tag) > 128 {
			t.Fatalf("kept %q: %s", c.Tag, reason)
		}
		if i == 0 {
			continue
		}
		if order, ok := rule.Compare(ranking.Kept[i-1], c); !ok || order <= 0 {
			t.Fatalf("%q stands before %q, and Compare says %d, %v", ranking.Kept[i-1].Tag, c.Tag, order, ok)
		}
	}
	for _, d := range ranking.Dropped {
		if d.Reason == "" || len(d.Reason) > 2000 || strings.Contains(d.Reason, "\n") || !distinct[d.Tag] {
			t.Fatalf("dropped %q: %q", d.Tag, d.Reason)
		}
	}
}
