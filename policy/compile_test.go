// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/policy"
)

func TestCompileRefuses(t *testing.T) {
	cases := map[string]struct {
		spec  policy.Spec
		field string
		says  string // a part of the reason
	}{
		"no rule":   {policy.Spec{}, "spec.select", "set one of semver, tag, numerical, alphabetical and newest"},
		"two rules": {policy.Spec{Semver: &policy.Semver{Range: "*"}, Newest: true}, "spec.select", "(semver, newest): keep one"},
		"all rules": {
			policy.Spec{Semver: &policy.Semver{}, Tag: "a", Numerical: &policy.Ordered{}, Alphabetical: &policy.Ordered{}, Newest: true},
			"spec.select", "(semver, tag, numerical, alphabetical, newest)",
		},
		"empty range":                   {semver(" \n"), "spec.select.semver.range", "is empty: write one"},
		"bad range":                     {semver(">=x.y"), "spec.select.semver.range", "is no range of versions"},
		"bad range on lines":            {semver("a\nb"), "spec.select.semver.range", `"a b" is no range`},
		"range of huge numbers":         {semver(">=99999999999999999999"), "spec.select.semver.range", "is no range"},
		"long range":                    {semver(strings.Repeat("1.2.3 || ", 100) + "1"), "spec.select.semver.range", "too long"},
		"range of many parts":           {semver(strings.Repeat("1||", 40) + "1"), "spec.select.semver.range", "too many"},
		"numerical order":               {numerical("asc"), "spec.select.numerical.order", `"asc" is no order: write Asc`},
		"alphabetical order":            {alphabetical("up"), "spec.select.alphabetical.order", `"up" is no order`},
		"tag":                           {policy.Spec{Tag: "a:b"}, "spec.select.tag", `"a:b" is no valid tag`},
		"long tag":                      {policy.Spec{Tag: strings.Repeat("a", 1<<20)}, "spec.select.tag", "is longer than"},
		"tag of a signature":            {policy.Spec{Tag: "sha256-" + strings.Repeat("0", 64) + ".sig"}, "spec.select.tag", "belongs to another image"},
		"excluded tag":                  {excluding(policy.Spec{Tag: "edge"}, "^e"), "spec.select.exclude", `the followed tag edge is excluded by "^e"`},
		"tag kept out by a long filter": {filtered(policy.Spec{Tag: "edge"}, strings.Repeat("\x18", 500), ""), "spec.select.filter", `"… does not match)`},
		"filtered tag":                  {filtered(policy.Spec{Tag: "edge"}, "^s", ""), "spec.select.filter", "the followed tag edge is kept out"},
		"empty pattern":                 {filtered(semver("*"), "", "$1"), "spec.select.filter.pattern", "is empty"},
		"bad pattern":                   {filtered(semver("*"), "(a", ""), "spec.select.filter.pattern", "missing closing )"},
		"look-around":                   {filtered(semver("*"), "(?!a)", ""), "spec.select.filter.pattern", "no look-around"},
		"long pattern":                  {filtered(semver("*"), strings.Repeat("a", 1025), ""), "spec.select.filter.pattern", "has 1025 bytes: shorten it to 1024"},
		"large pattern":                 {filtered(semver("*"), strings.Repeat(".{1000}", 9), ""), "spec.select.filter.pattern", "smaller {n,m} repetitions"},
		"large patterns together":       {excluding(semver("*"), strings.Split(strings.Repeat(".{600} ", 5), " ")[:5]...), "spec.select.exclude[3]", "smaller {n,m} repetitions"},
		"bad exclude":                   {excluding(semver("*"), "a", "["), "spec.select.exclude[1]", "missing closing ]"},
		"empty exclude":                 {excluding(semver("*"), ""), "spec.select.exclude[0]", "is empty"},
		"many excludes":                 {excluding(semver("*"), strings.Split(strings.Repeat("a ", 65), " ")...), "spec.select.exclude", "are too many"},
		"unknown group":                 {filtered(semver("*"), "(?P<v>.*)", "$version"), "spec.select.filter.extract", "$version names no group"},
		"unknown group, in braces":      {filtered(semver("*"), "(?P<v>.*)", "x${version}"), "spec.select.filter.extract", "$version names no group"},
		"text after a name":             {filtered(semver("*"), "(.*)", "$1x"), "spec.select.filter.extract", "write ${group} where text follows"},
		"letter after a name":           {filtered(semver("*"), "(?P<v>.*)", "$vé"), "spec.select.filter.extract", "$vé names no group"},
		"unknown number":                {filtered(semver("*"), "(.*)", "$2"), "spec.select.filter.extract", "$2 names no group"},
		"number with leading zeros":     {filtered(semver("*"), "(.*)", "$01"), "spec.select.filter.extract", "$01 names no group"},
		"dollar alone":                  {filtered(semver("*"), "(.*)", "$1$"), "spec.select.filter.extract", "$$ for a dollar sign"},
		"open brace":                    {filtered(semver("*"), "(.*)", "${1"), "spec.select.filter.extract", "names no group: write"},
		"long template":                 {filtered(semver("*"), "(.*)", strings.Repeat("$1", 129)), "spec.select.filter.extract", "has 258 bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rule, err := policy.Compile(c.spec)
			var refused *policy.SpecError
			if !errors.As(err, &refused) || rule != nil {
				t.Fatalf("Compile = %v, %v; want a *SpecError alone", rule, err)
			}
			if refused.Field != c.field || !strings.Contains(refused.Reason, c.says) {
				t.Errorf("got  %s\nwant %s: …%s…", refused, c.field, c.says)
			}
			if strings.ContainsAny(err.Error(), "\n\r") || len(err.Error()) > 800 {
				t.Errorf("not one line of a reasonable length: %q", err)
			}
		})
	}
}

func TestCompileTakesWhatTheTemplateLanguageAllows(t *testing.T) {
	for _, extract := range []string{"$v", "${v}", "$1", "$0", "${1}.0", "$$1$1", "v", "$v-$n"} {
		compile(t, filtered(alphabetical(""), `(?P<v>\d+)(?P<n>x?)`, extract))
	}
}

func TestRuleDescribesItself(t *testing.T) {
	cases := []struct {
		spec                   policy.Spec
		text                   string
		list, created, follows bool
	}{
		{spec: semver(">=6.0.0  <7"), text: "semver >=6.0.0 <7", list: true},
		{spec: policy.Spec{Tag: "stable"}, text: "tag stable", follows: true},
		{spec: numerical(""), text: "numerical Asc", list: true},
		{spec: alphabetical(policy.Desc), text: "alphabetical Desc", list: true},
		{spec: policy.Spec{Newest: true}, text: "newest, by the time of linux/amd64, or else of the first platform", list: true, created: true},
		{
			spec: excluding(filtered(semver("^1"), `^v(\d+)`, "$1"), "-debug$", "a\nb"),
			text: `semver ^1, filter "^v(\\d+)" extract "$1", exclude "-debug$", "a\nb"`, list: true,
		},
	}
	for _, c := range cases {
		rule := compile(t, c.spec)
		if diff := cmp.Diff(c.text, rule.String()); diff != "" {
			t.Errorf("String (-want +got):\n%s", diff)
		}
		got := [3]bool{rule.NeedsList(), rule.NeedsCreated(), rule.FollowsTag()}
		if want := [3]bool{c.list, c.created, c.follows}; got != want {
			t.Errorf("%s: NeedsList, NeedsCreated, FollowsTag = %v; want %v", rule, got, want)
		}
	}
}
