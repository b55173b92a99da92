// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/policy"
)

// Rules that share a list, at the same time, get what each would get alone.
func TestSharedListRanksAsAlone(t *testing.T) {
	var specs []policy.Spec
	for _, text := range []string{"*", "*-0", ">=1.0.0 <2", "1.x", ">=100"} {
		specs = append(specs, semver(text), excluding(semver(text), "^1", "rc"), filtered(semver(text), "^v?(.*)$", "$1"))
	}
	for _, order := range []policy.Order{policy.Asc, policy.Desc} {
		specs = append(specs, numerical(order), alphabetical(order), excluding(alphabetical(order), "a"), filtered(numerical(order), `(\d+)$`, "$1"))
	}
	specs = append(specs, rules()...)
	for seed := range uint64(50) {
		candidates := randomCandidates(rand.New(rand.NewPCG(seed, 2)), 40)
		list := policy.NewList(candidates)
		got := make([]policy.Ranking, len(specs))
		var done sync.WaitGroup
		for i, spec := range specs {
			rule := compile(t, spec)
			done.Go(func() { got[i] = list.Rank(rule) })
		}
		done.Wait()
		for i, spec := range specs {
			rule := compile(t, spec)
			if diff := cmp.Diff(rule.Rank(candidates), got[i]); diff != "" {
				t.Fatalf("seed %d, %s: alone and beside others (-alone +shared):\n%s", seed, rule, diff)
			}
			_ = append(got[i].Kept, policy.Candidate{Tag: "of one"}) // is not to show in another's
		}
	}
}
