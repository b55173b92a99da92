// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// TestBadManifests puts one bad file beside a healthy field of the same policy
// and a healthy policy: both move, and the bad file is named once.
func TestBadManifests(t *testing.T) {
	p := newParties(t)
	image := p.front + "/app:1.0.0"
	marker := ` # {"$imagepolicy": "prod:app"}` + "\n"
	tests := map[string]struct {
		content string
		reason  reconcile.Reason // of prod/app; Updated if empty
		want    complaint
	}{
		"unknown policy":  {"a: 1\n" + field("a:1", "none"), "", complaint{"x.yaml", 2, "prod/none"}},
		"malformed":       {`image: a:1 # {"$imagepolicy": "prod"}` + "\n", "", complaint{"x.yaml", 1, "this marker is not followed"}},
		"unparsable YAML": {"a: 1\nb: [" + image + marker + "c: }\n", "", complaint{"x.yaml", 2, "can't be read as YAML"}},
		"Helm template": {"{{- if .Values.on }}\nspec:\n  {{- with .Values.x }}\n  " + field(image, "app") + "{{- end }}\n",
			"", complaint{"x.yaml", 4, "can't be read as YAML"}},
		"anchored":    {"image: &i " + image + marker + "other: *i\n", reconcile.Failed, complaint{"x.yaml", 1, "can't be edited: "}},
		"aliased":     {"base: &i " + image + "\nimage: *i" + marker, reconcile.Failed, complaint{"x.yaml", 2, "can't be edited: "}},
		"block":       {"image: |-" + marker + "  " + image + "\n  more\n", reconcile.Failed, complaint{"x.yaml", 1, "block scalar of more than one line"}},
		"other image": {field("example.com/other:1", "app"), reconcile.Failed, complaint{"x.yaml", 1, "it holds another image than " + p.front + "/app"}},
		"no image":    {"image: not an image" + marker, reconcile.Failed, complaint{"x.yaml", 1, "it holds another image than " + p.front + "/app"}},
		"over 4 MiB":  {field(image, "app") + strings.Repeat("# padding\n", 500_000), "", complaint{"x.yaml", 0, "larger than 4 MiB"}},
		"too deep":    {field(image, "app") + "deep: " + strings.Repeat("[", 50_000) + "\n", "", complaint{"x.yaml", 2, "max depth"}},
		"not UTF-8":   {"a: \"\xff\xfe\"\n" + field(image, "app"), "", complaint{"x.yaml", 1, "it is not UTF-8"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			repo := p.fleet(t, strings.ReplaceAll(name, " ", "-"), map[string]string{
				"policy.yaml": p.policy(),
				"app.yaml":    field(image, "app"),
				"x.yaml":      test.content,
			})
			want := outcome{problems: []complaint{test.want}, reason: reconcile.Updated, status: statusProblems}
			if test.reason != "" {
				want.reason = test.reason
			}
			p.check(t, repo, want, "app.yaml")
			lint := p.pintle(t, "lint", repo.Clone(t))
			if lint.status != statusProblems || !strings.Contains(lint.stdout, test.want.message) || strings.Count(lint.stdout, "x.yaml:") != 1 {
				t.Errorf("lint ends with %d:\n%s%s", lint.status, lint.stdout, lint.stderr)
			}
		})
	}
}

// TestAliasBombs: a bomb beside a field is a problem with its name, and a policy
// behind one, which is a document of its own, is followed.
func TestAliasBombs(t *testing.T) {
	p := newParties(t)
	repo := p.fleet(t, "manifest", map[string]string{
		"policy.yaml": p.policy(),
		"x.yaml":      aliasBomb() + field(p.front+"/app:1.0.0", "app"),
	})
	p.check(t, repo, outcome{reason: reconcile.NoField, status: 3, problems: []complaint{{"x.yaml", 1, "aliases stand for more than"}}})

	repo = p.fleet(t, "policy", map[string]string{"policy.yaml": aliasBomb() + "---\n" + p.policy()})
	p.check(t, repo, outcome{reason: reconcile.NoField})
}

// aliasBomb has a thousand million leaves if its aliases are followed.
func aliasBomb() string {
	var b strings.Builder
	b.WriteString("a: &a [x, x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c <= 'i'; c++ {
		before := string(c - 1)
		b.WriteString(string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+before+", ", 9) + "*" + before + "]\n")
	}
	return b.String()
}

// TestLinksAreNotFollowed: symbolic links and submodules are no files of the
// repository, whatever they are called. They are left out, and nothing that
// they lead to is read or written.
func TestLinksAreNotFollowed(t *testing.T) {
	p := newParties(t)
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	content := p.policy() + "---\n" + field(p.front+"/app:1.0.0", "app")
	if err := os.WriteFile(outside, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	repo := p.fleet(t, "links", nil)
	clone := repo.Clone(t)
	for name, target := range map[string]string{
		"absolute.yaml": outside,
		"up.yaml":       "../../../../../../../../../.." + outside,
		"inside.yaml":   healthyFile,
		"folder.yaml":   filepath.Dir(outside),
		"loop.yaml":     "loop.yaml",
		"dir":           filepath.Dir(outside),
	} {
		if err := os.Symlink(target, filepath.Join(clone, name)); err != nil {
			t.Fatal(err)
		}
	}
	gitserver.Git(t, clone, "add", "--all")
	gitserver.Git(t, clone, "update-index", "--add", "--cacheinfo", "160000,"+repo.Head(t, "main")+",sub.yaml")
	gitserver.Git(t, clone, "commit", "--quiet", "--message", "Add links and a submodule")
	gitserver.Git(t, clone, "push", "--quiet", "origin", "HEAD")
	if lint := p.pintle(t, "lint", clone); lint.status != 0 || lint.stdout != "2 files, 1 policy, 1 field: no problems\n" {
		t.Errorf("lint ends with %d:\n%s%s", lint.status, lint.stdout, lint.stderr)
	}

	p.check(t, repo, outcome{})

	if sync := p.pintle(t, "sync", "--repo", clone); sync.status != 0 || sync.stderr != "" {
		t.Errorf("sync of the checkout ends with %d:\n%s%s", sync.status, sync.stdout, sync.stderr)
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != content {
		t.Errorf("the file outside holds %q, %v", got, err)
	}
	if target, err := os.Readlink(filepath.Join(clone, "inside.yaml")); err != nil || target != healthyFile {
		t.Errorf("the link is now %q, %v", target, err)
	}
}

// TestBadPolicies puts an invalid document for a marked field beside a healthy
// policy: the document is named with its line, the marker is no second problem.
func TestBadPolicies(t *testing.T) {
	p := newParties(t)
	valid := p.policy()
	edit := func(old, with string) string { return strings.Replace(valid, old, with, 1) }
	tests := map[string]struct {
		document string
		line     int
		message  string
	}{
		"typo":        {edit("semver:", "semvr:"), 6, "semvr"},
		"two rules":   {edit("select: {", "select: {newest: {}, "), 6, "exactly one"},
		"no rule":     {edit("{semver: {range: \">=1\"}}", "{}"), 6, "exactly one"},
		"bad range":   {edit(">=1", ">=one"), 6, "prod/app: spec.select.semver.range: "},
		"bad cron":    {valid + "  schedule: every five minutes\n", 7, "is no schedule"},
		"bad pattern": {edit("select: {", "select: {filter: {pattern: '('}, "), 6, "pattern"},
		"bad image":   {edit("image: "+p.front+"/app", "image: UPPER/case"), 5, "prod/app: spec.image: "},
	}
	// Whose policy is in these can't be told, so the marker is named as well.
	lost := map[string]struct {
		document string
		line     int
		message  string
	}{
		"wrong version": {edit("v1alpha1", "v9"), 1, `"pintle.dev/v9" is not known`},
		"not YAML":      {valid + "  x: [\n", 8, "is no YAML"},
	}
	for name, test := range lost {
		t.Run(name, func(t *testing.T) {
			repo := p.fleet(t, "lost-"+strings.ReplaceAll(name, " ", "-"), map[string]string{
				"policy.yaml": test.document,
				"app.yaml":    field(p.front+"/app:1.0.0", "app"),
			})
			p.check(t, repo, outcome{status: statusProblems, problems: []complaint{
				{"app.yaml", 1, "the marker names the policy prod/app, which does not exist"},
				{"policy.yaml", test.line, test.message},
			}})
		})
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			repo := p.fleet(t, "policy-"+strings.ReplaceAll(name, " ", "-"), map[string]string{
				"policy.yaml": test.document,
				"app.yaml":    field(p.front+"/app:1.0.0", "app"),
			})
			p.check(t, repo, outcome{problems: []complaint{{"policy.yaml", test.line, test.message}}, status: statusProblems})
		})
	}
}
