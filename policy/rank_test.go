// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/policy"
)

func TestRank(t *testing.T) {
	const (
		noVersion = "is no semantic version"
		noNumber  = "is no unsigned decimal number"
	)
	long := strings.Repeat("9", 128)
	referrers := "sha256-" + strings.Repeat("0a", 32)
	cases := map[string]struct {
		spec    policy.Spec
		tags    []string
		kept    []string
		dropped map[string]string
	}{
		"semver picks the highest of the range": {
			spec: semver(">=6.0.0 <7"),
			tags: []string{"6.0.0", "5.9.9", "6.10.0", "7.0.0", "6.9.0", "latest", ""},
			kept: []string{"6.10.0", "6.9.0", "6.0.0"},
			dropped: map[string]string{
				"5.9.9": "outside the range >=6.0.0 <7", "7.0.0": "outside the range >=6.0.0 <7",
				"latest": noVersion, "": "is empty",
			},
		},
		"semver leaves pre-releases out of a range that names none": {
			spec: semver(">=1.0.0 <2"),
			tags: []string{"1.1.0-rc.1", "1.0.0", "2.1.0-rc.1"},
			kept: []string{"1.0.0"},
			dropped: map[string]string{
				"1.1.0-rc.1": "a pre-release, which the range >=1.0.0 <2 does not name: a bound such as >=1.2.0-0 would",
				"2.1.0-rc.1": "outside the range >=1.0.0 <2",
			},
		},
		"semver takes pre-releases where the range names one": {
			spec:    semver(">=1.0.0-0 <2.0.0-0"),
			tags:    []string{"1.0.0-rc.1", "1.1.0-rc.2", "1.1.0-rc.10", "2.0.0-rc.1"},
			kept:    []string{"1.1.0-rc.10", "1.1.0-rc.2", "1.0.0-rc.1"},
			dropped: map[string]string{"2.0.0-rc.1": "outside the range >=1.0.0-0 <2.0.0-0"},
		},
		"semver takes pre-releases only in the alternative that names one": {
			spec: semver("^1.0.0 || ^2.0.0-0"),
			tags: []string{"1.5.0-rc.1", "2.5.0-rc.1", "1.5.0"},
			kept: []string{"2.5.0-rc.1", "1.5.0"},
			dropped: map[string]string{
				"1.5.0-rc.1": "a pre-release, which the range ^1.0.0 || ^2.0.0-0 does not name: a bound such as >=1.2.0-0 would",
			},
		},
		"semver orders pre-releases as semver.org does, numbers of any length included": {
			spec: semver("1.0.0-0 || >1.0.0-0"),
			tags: []string{
				"1.0.0", "1.0.0-rc.1", "1.0.0-beta.11", "1.0.0-beta.2", "1.0.0-beta", "1.0.0-alpha.beta", "1.0.0-alpha.1", "1.0.0-alpha",
				"1.0.0-99999999999999999999", "1.0.0-100000000000000000000", "1.0.0--a",
			},
			kept: []string{
				"1.0.0", "1.0.0-rc.1", "1.0.0-beta.11", "1.0.0-beta.2", "1.0.0-beta", "1.0.0-alpha.beta", "1.0.0-alpha.1", "1.0.0-alpha",
				"1.0.0--a", "1.0.0-100000000000000000000", "1.0.0-99999999999999999999",
			},
		},
		"semver drops what it cannot read and goes on": {
			spec: semver("*"),
			tags: []string{"1.2.3", "01.2.3", "2024.01.15", "1.2.3.4", "1..3", "v", "V1.2.3", "1.2.3_1", "1.2.3-01", "18446744073709551616.0.0", long},
			kept: []string{"1.2.3"},
			dropped: map[string]string{
				"01.2.3": noVersion, "2024.01.15": noVersion, "1.2.3.4": noVersion, "1..3": noVersion, "v": noVersion,
				"V1.2.3": noVersion, "1.2.3_1": noVersion, "1.2.3-01": noVersion, "18446744073709551616.0.0": noVersion, long: noVersion,
			},
		},
		"semver completes partial versions": {
			spec: semver(">=1 <3"),
			tags: []string{"1", "v1.2", "1.1.9", "2", "2.0.1", "1-rc", "3"},
			kept: []string{"2.0.1", "2", "v1.2", "1.1.9", "1"},
			dropped: map[string]string{
				"1-rc": "outside the range >=1 <3", "3": "outside the range >=1 <3",
			},
		},
		"numerical Asc picks the greatest": {
			spec: numerical(policy.Asc),
			tags: []string{"9", "10", "007", "1.5", "1.25", "0", "-1", "1.", ".5", "1e3", "0x10", "NaN", "Inf", "1.2.3", "1_000"},
			kept: []string{"10", "9", "007", "1.5", "1.25", "0"},
			dropped: map[string]string{
				"-1": "is no valid tag", "1.": noNumber, ".5": "is no valid tag", "1e3": noNumber, "0x10": noNumber,
				"NaN": noNumber, "Inf": noNumber, "1.2.3": noNumber, "1_000": noNumber,
			},
		},
		"numerical Desc picks the smallest, with ties as in Asc": {
			spec: numerical(policy.Desc),
			tags: []string{"9", "10", "1.50", "1.5", "01.5"},
			kept: []string{"1.50", "1.5", "01.5", "9", "10"},
		},
		"alphabetical is Asc by default, by bytes": {
			spec: alphabetical(""),
			tags: []string{"b", "a", "B", "a.1", "_"},
			kept: []string{"b", "a.1", "a", "_", "B"},
		},
		"alphabetical Desc picks the smallest": {
			spec: alphabetical(policy.Desc),
			tags: []string{"RELEASE.2024", "RELEASE.2023"},
			kept: []string{"RELEASE.2023", "RELEASE.2024"},
		},
		"tag keeps that tag alone": {
			spec:    policy.Spec{Tag: "stable"},
			tags:    []string{"latest", "stable", "stable"},
			kept:    []string{"stable"},
			dropped: map[string]string{"latest": "not the tag that the rule follows, stable"},
		},
		"filter and extract by name": {
			spec: filtered(semver("*"), `^v(?P<v>[0-9.]+)-alpine$`, "$v"),
			tags: []string{"v1.9.0-alpine", "v1.10.0-alpine", "v2.0.0", "v1.2.3.4-alpine"},
			kept: []string{"v1.10.0-alpine", "v1.9.0-alpine"},
			dropped: map[string]string{
				"v2.0.0":          `the filter "^v(?P<v>[0-9.]+)-alpine$" does not match`,
				"v1.2.3.4-alpine": `extracted "1.2.3.4" is no semantic version`,
			},
		},
		"filter and extract by number, several groups": {
			spec: filtered(numerical(""), `^main-[0-9a-f]+-(\d+)(?:\.(\d+))?$`, "${1}$2"),
			tags: []string{"main-abc-7.1", "main-def-8"},
			kept: []string{"main-abc-7.1", "main-def-8"},
		},
		"filter that extracts nothing": {
			spec:    filtered(alphabetical(""), `^a(b?)`, "$1"),
			tags:    []string{"ab", "a"},
			kept:    []string{"ab"},
			dropped: map[string]string{"a": "the filter extracts nothing"},
		},
		"filter whose template repeats too much": {
			spec:    filtered(numerical(""), `^\d+$`, strings.Repeat("$0", 10)),
			tags:    []string{"7", long},
			kept:    []string{"7"},
			dropped: map[string]string{long: "the filter extracts more than 256 bytes"},
		},
		"filter without extract reads the whole tag": {
			spec:    filtered(alphabetical(""), "^release-", ""),
			tags:    []string{"release-b", "release-a", "z"},
			kept:    []string{"release-b", "release-a"},
			dropped: map[string]string{"z": `the filter "^release-" does not match`},
		},
		"exclude goes by the whole tag": {
			spec:    excluding(filtered(semver("*"), `^([0-9.]+)`, "$1"), "-debug$", "^2"),
			tags:    []string{"1.0.0", "1.1.0-debug", "2.0.0"},
			kept:    []string{"1.0.0"},
			dropped: map[string]string{"1.1.0-debug": `excluded by "-debug$"`, "2.0.0": `excluded by "^2"`},
		},
		"names that are no tag of the image": {
			spec: alphabetical(""),
			tags: []string{"a", "a b", "a\nb", "ä", ".a", "a/b", "a:b", long + "9", referrers, referrers + ".sig", referrers + "0", "sha256-x"},
			kept: []string{"sha256-x", referrers + "0", "a"},
			dropped: map[string]string{
				"a b": "is no valid tag", "a\nb": "is no valid tag", "ä": "is no valid tag", ".a": "is no valid tag",
				"a/b": "is no valid tag", "a:b": "is no valid tag", long + "9": "is longer than the 128 characters of a tag",
				referrers:          "belongs to another image (a signature, an attestation, a list of referrers)",
				referrers + ".sig": "belongs to another image (a signature, an attestation, a list of referrers)",
			},
		},
		"nothing to look at": {spec: semver("*")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ranking := compile(t, c.spec).Rank(named(c.tags...))
			if diff := cmp.Diff(c.kept, kept(ranking)); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if c.dropped == nil {
				c.dropped = map[string]string{}
			}
			if diff := cmp.Diff(c.dropped, reasons(ranking)); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRankNewest(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2024, 5, d, 12, 0, 0, 0, time.UTC) }
	buildpacks := time.Date(1980, 1, 1, 0, 0, 1, 0, time.UTC)
	rule := compile(t, excluding(filtered(policy.Spec{Newest: true}, "^main", ""), "-debug$"))
	ranking := rule.Rank([]policy.Candidate{
		{Tag: "main-b", Created: day(2)},
		{Tag: "main-a", Created: day(3)},
		{Tag: "main-c", Created: day(1)},
		{Tag: "main-d", Created: day(3).In(time.FixedZone("east", 7200))},
		{Tag: "main-twice", Created: time.Time{}},
		{Tag: "main-twice", Created: day(1)},
		{Tag: "main-unknown"},
		{Tag: "main-epoch", Created: time.Unix(0, 0)},
		{Tag: "main-zip", Created: buildpacks.In(time.FixedZone("west", -7200))},
		{Tag: "main-x-debug", Created: day(9)},
		{Tag: "dev", Created: day(9)},
	})
	want := []string{"main-d", "main-a", "main-b", "main-twice", "main-c"}
	if diff := cmp.Diff(want, kept(ranking)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	constant := func(date string) string {
		return "its image says it was created on " + date + ", as reproducible builds do: order such images by their tags"
	}
	wantReasons := map[string]string{
		"main-unknown": "the creation time of its image is unknown",
		"main-epoch":   constant("1970-01-01"),
		"main-zip":     constant("1980-01-01"),
		"main-x-debug": `excluded by "-debug$"`,
		"dev":          `the filter "^main" does not match`,
	}
	if diff := cmp.Diff(wantReasons, reasons(ranking)); diff != "" {
		t.Errorf("dropped (-want +got):\n%s", diff)
	}
}

func TestRankLeavesItsInputAsItIs(t *testing.T) {
	candidates := named("1.0.0", "3.0.0", "2.0.0", "2.0.0")
	compile(t, semver("*")).Rank(candidates)
	if diff := cmp.Diff(named("1.0.0", "3.0.0", "2.0.0", "2.0.0"), candidates); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestAdmits(t *testing.T) {
	cases := map[string]struct {
		spec   policy.Spec
		tag    string
		reason string // empty: admitted
	}{
		"in range":             {spec: semver("^1"), tag: "v1.2.3"},
		"out of range":         {spec: semver("^1"), tag: "2.0.0", reason: "outside the range ^1"},
		"excluded":             {spec: excluding(semver("^1"), "^1.2"), tag: "1.2.3", reason: `excluded by "^1.2"`},
		"followed":             {spec: policy.Spec{Tag: "stable"}, tag: "stable"},
		"not followed":         {spec: policy.Spec{Tag: "stable"}, tag: "edge", reason: "not the tag that the rule follows, stable"},
		"newest goes by name":  {spec: policy.Spec{Newest: true}, tag: "anything"},
		"newest drops by name": {spec: filtered(policy.Spec{Newest: true}, "^a", ""), tag: "b", reason: `the filter "^a" does not match`},
		"no tag":               {spec: alphabetical(""), tag: "a@b", reason: "is no valid tag"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ok, reason := compile(t, c.spec).Admits(c.tag)
			if ok != (c.reason == "") || reason != c.reason {
				t.Errorf("Admits(%q) = %v, %q; want reason %q", c.tag, ok, reason, c.reason)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	early, late := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	suffixed := filtered(semver("^1"), `^([0-9.]+)(-r\d+)?$`, "$1")
	cases := map[string]struct {
		spec policy.Spec
		a, b policy.Candidate
		want int
		ok   bool
	}{
		"above":                       {semver("*"), policy.Candidate{Tag: "1.10.0"}, policy.Candidate{Tag: "1.9.0"}, 1, true},
		"below":                       {semver("*"), policy.Candidate{Tag: "1.9.0"}, policy.Candidate{Tag: "1.10.0"}, -1, true},
		"the same":                    {semver("*"), policy.Candidate{Tag: "1.9.0"}, policy.Candidate{Tag: "1.9.0"}, 0, true},
		"out of range":                {semver("^1"), policy.Candidate{Tag: "2.0.0"}, policy.Candidate{Tag: "1.9.0"}, 1, true},
		"pre-release out of range":    {semver("^1"), policy.Candidate{Tag: "1.9.0-rc.1"}, policy.Candidate{Tag: "1.9.0"}, -1, true},
		"excluded":                    {excluding(semver("^1"), "9"), policy.Candidate{Tag: "1.9.0"}, policy.Candidate{Tag: "1.8.0"}, 1, true},
		"through the filter":          {suffixed, policy.Candidate{Tag: "1.10.0-r1"}, policy.Candidate{Tag: "1.9.0-r2"}, 1, true},
		"tie":                         {suffixed, policy.Candidate{Tag: "1.9.0-r1"}, policy.Candidate{Tag: "1.9.0-r2"}, -1, true},
		"not through the filter":      {suffixed, policy.Candidate{Tag: "1.10.0"}, policy.Candidate{Tag: "1.9.0-x"}, 0, false},
		"no version":                  {semver("*"), policy.Candidate{Tag: "latest"}, policy.Candidate{Tag: "1.9.0"}, 0, false},
		"no tag":                      {alphabetical(""), policy.Candidate{Tag: "a"}, policy.Candidate{Tag: ""}, 0, false},
		"Desc":                        {numerical(policy.Desc), policy.Candidate{Tag: "9"}, policy.Candidate{Tag: "10"}, 1, true},
		"followed tag":                {policy.Spec{Tag: "stable"}, policy.Candidate{Tag: "stable"}, policy.Candidate{Tag: "edge"}, 0, true},
		"newest":                      {policy.Spec{Newest: true}, policy.Candidate{Tag: "a", Created: late}, policy.Candidate{Tag: "b", Created: early}, 1, true},
		"newest, one time unknown":    {policy.Spec{Newest: true}, policy.Candidate{Tag: "a", Created: late}, policy.Candidate{Tag: "b"}, 0, false},
		"newest, reproducible builds": {policy.Spec{Newest: true}, policy.Candidate{Tag: "a", Created: time.Unix(0, 0)}, policy.Candidate{Tag: "b", Created: early}, 0, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := compile(t, c.spec).Compare(c.a, c.b)
			if sign(got) != c.want || ok != c.ok {
				t.Errorf("Compare(%v, %v) = %d, %v; want %d, %v", c.a, c.b, got, ok, c.want, c.ok)
			}
		})
	}
}

func sign(n int) int {
	switch {
	case n > 0:
		return 1
	case n < 0:
		return -1
	default:
		return 0
	}
}
