// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	"github.com/pintle-dev/pintle/policy"
)

func compile(t testing.TB, spec policy.Spec) *policy.Rule {
	t.Helper()
	rule, err := policy.Compile(spec)
	if err != nil {
		t.Fatalf("Compile(%+v): %v", spec, err)
	}
	return rule
}

func semver(text string) policy.Spec {
	return policy.Spec{Semver: &policy.Semver{Range: text}}
}

func numerical(order policy.Order) policy.Spec {
	return policy.Spec{Numerical: &policy.Ordered{Order: order}}
}

func alphabetical(order policy.Order) policy.Spec {
	return policy.Spec{Alphabetical: &policy.Ordered{Order: order}}
}

func filtered(spec policy.Spec, pattern, extract string) policy.Spec {
	spec.Filter = &policy.Filter{Pattern: pattern, Extract: extract}
	return spec
}

func excluding(spec policy.Spec, patterns ...string) policy.Spec {
	spec.Exclude = patterns
	return spec
}

func named(tags ...string) []policy.Candidate {
	var candidates []policy.Candidate
	for _, tag := range tags {
		candidates = append(candidates, policy.Candidate{Tag: tag})
	}
	return candidates
}

func kept(ranking policy.Ranking) []string {
	var tags []string
	for _, c := range ranking.Kept {
		tags = append(tags, c.Tag)
	}
	return tags
}

func reasons(ranking policy.Ranking) map[string]string {
	byTag := map[string]string{}
	for _, d := range ranking.Dropped {
		byTag[d.Tag] = d.Reason
	}
	return byTag
}
