// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTargetMatches(t *testing.T) {
	cases := []struct {
		kind TargetKind
		path string
		file string
		want bool
	}{
		{Workloads, "apps", "apps/a.yaml", true},
		{Workloads, "apps", "apps/b/a.yml", true},
		{Workloads, "apps", "applications/a.yaml", false},
		{Workloads, "apps/", "apps/a.yaml", true},
		{Workloads, "./apps", "apps/a.yaml", true},
		{Workloads, "/apps", "apps/a.yaml", true},
		{Workloads, "", "a.yaml", true},
		{Workloads, ".", "b/a.yaml", true},
		{Workloads, "apps/**", "apps/b/c/a.yaml", true},
		{Workloads, "apps/**", "app/a.yaml", false},
		{Workloads, "apps/**", "apps.yaml", false},
		{Workloads, "apps/*/prod", "apps/x/prod/a.yaml", true},
		{Workloads, "apps/*/prod", "apps/x/prod/deeper/a.yaml", true},
		{Workloads, "apps/*/prod", "apps/x/stage/a.yaml", false},
		{Workloads, "apps/*/prod", "apps/x/y/prod/a.yaml", false},
		{Workloads, "apps/a.yaml", "apps/a.yaml", true},
		{Workloads, "apps/{a,b}.yaml", "apps/b.yaml", true},
		{Workloads, "**/prod", "x/y/prod/a.yaml", true},
		{Workloads, "apps/[", "apps/a.yaml", false},
		{Workloads, "apps", "apps/a.json", false},
		{Kustomize, "apps", "apps/kustomization.yaml", true},
		{Kustomize, "apps", "apps/x/Kustomization", true},
		{Kustomize, "apps", "apps/x/kustomization.yml", true},
		{Kustomize, "apps", "apps/x/app.yaml", false},
		{HelmValues, "apps/values.yaml", "apps/values.yaml", true},
		{HelmValues, "apps", "apps/values.yaml", false},
		{HelmValues, "apps/*/values.yaml", "apps/x/values.yaml", true},
		{HelmValues, "apps/*/values.yaml", "apps/x/y/values.yaml", false},
	}
	for _, c := range cases {
		if got := (Target{Kind: c.kind, Path: c.path}).matches(c.file); got != c.want {
			t.Errorf("kind %d, path %q, file %q: got %v", c.kind, c.path, c.file, got)
		}
	}
}

func TestMayMatter(t *testing.T) {
	marked := []byte("a: b" + markerOfTest)
	targets := []Target{{Kind: Workloads, Path: "apps"}}
	cases := []struct {
		file    string
		content []byte
		targets []Target
		want    bool
	}{
		{"a.yaml", marked, nil, true},
		{"a.yml", marked, nil, true},
		{"x/Kustomization", marked, nil, true},
		{"README.md", marked, nil, false},
		{"a.yaml", nil, nil, false},
		{"a.yaml", nil, targets, false},
		{"apps/a.yaml", nil, targets, true},
		{"apps/a.txt", nil, targets, false},
	}
	for _, c := range cases {
		if got := MayMatter(c.file, c.content, c.targets); got != c.want {
			t.Errorf("%s with %q: got %v", c.file, c.content, got)
		}
	}
}

func TestSameImage(t *testing.T) {
	same := [][]string{
		{"nginx", "docker.io/nginx", "docker.io/library/nginx", "index.docker.io/library/nginx", "library/nginx"},
		{"acme/app", "docker.io/acme/app", "index.docker.io/acme/app"},
		{"ghcr.io/acme/app"},
		{"ghcr.io/library/nginx"},
		{"localhost/nginx"},
		{"localhost:5000/nginx"},
		{"example.com:5000/acme/app"},
	}
	for i, names := range same {
		for j, others := range same {
			for _, a := range names {
				for _, b := range others {
					if got := SameImage(a, b); got != (i == j) {
						t.Errorf("%s and %s: got %v", a, b, got)
					}
				}
			}
		}
	}
}

func TestSplitReference(t *testing.T) {
	for value, want := range map[string][3]string{
		"nginx":                           {"nginx", "", ""},
		"nginx:1":                         {"nginx", "1", ""},
		"nginx@sha256:ab":                 {"nginx", "", "sha256:ab"},
		"nginx:1@sha256:ab":               {"nginx", "1", "sha256:ab"},
		"localhost:5000/nginx":            {"localhost:5000/nginx", "", ""},
		"localhost:5000/nginx:1@sha256:a": {"localhost:5000/nginx", "1", "sha256:a"},
		"":                                {"", "", ""},
	} {
		name, tag, digest := SplitReference(value)
		if diff := cmp.Diff(want, [3]string{name, tag, digest}); diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
}

// Edits elsewhere in a file leave the keys of its fields as they are.
func TestKeysAreStable(t *testing.T) {
	list := func(items ...string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec:\n  containers:\n" + strings.Join(items, "")
	}
	app := "  - name: app\n    image: x:1" + markerOfTest + "\n"
	side := "  - name: side\n    image: y:1\n"
	want := "v1 Pod b/a: spec.containers[name=app].image"
	for name, content := range map[string]string{
		"alone":                     list(app),
		"an item in front":          list(side, app),
		"an item behind":            list(app, side),
		"a comment in front":        "# more\n\n" + list(app),
		"a document in front":       "kind: Other\n---\n" + list(app),
		"keys in front":             strings.Replace(list(app), "spec:", "status: {}\nspec:\n  x: y", 1),
		"another value":             strings.Replace(list(app), "x:1", "x:2", 1),
		"other quotes, no metadata": strings.Replace(list(app), "{name: a, namespace: b}", "\n  name: 'a'\n  namespace: b", 1),
	} {
		if got := one(t, content).Key; got != want {
			t.Errorf("%s: got key %q, want %q", name, got, want)
		}
	}
	both := one(t, list(app, "  - name: app\n    image: z\n"))
	if want := "v1 Pod b/a: spec.containers[0].image"; both.Key != want {
		t.Errorf("two of a name: got key %q, want %q", both.Key, want)
	}
}

func TestChooseByKey(t *testing.T) {
	for line, want := range map[string]string{
		`{name: a, image: "x:1"} # {"$imagepolicy": "a:b"}`:                       "x:1",
		`{repository: r, tag: t, digest: d} # {"$imagepolicy": "a:b:name"}`:       "r",
		`{repository: r, tag: t, digest: d} # {"$imagepolicy": "a:b:tag"}`:        "t",
		`{repository: r, tag: t, digest: d} # {"$imagepolicy": "a:b:digest"}`:     "d",
		`{newName: r, newTag: t, name: n} # {"$imagepolicy": "a:b:tag"}`:          "t",
		`{a: [x:1]} # {"$imagepolicy": "a:b"}`:                                    "x:1",
		`{a: x, b: y} # {"$imagepolicy": "a:b"}`:                                  "",
		`{image: x, other: {image: y}} # {"$imagepolicy": "a:b"}`:                 "",
		`{repository: r, tag: t} # {"$imagepolicy": "a:b"}`:                       "",
		`{? {image: x} : y, image: z} # {"$imagepolicy": "a:b"}`:                  "z",
		fmt.Sprintf(`[%sx] # {"$imagepolicy": "a:b"}`, strings.Repeat("a, ", 99)): "",
	} {
		fields, problems := Scan("a.yaml", []byte(line+"\n"), nil)
		if want == "" {
			if len(fields) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Message, "several values") {
				t.Errorf("%s: got fields %+v, problems %v", line, fields, problems)
			}
			continue
		}
		if len(fields) != 1 || fields[0].Value != want || len(problems) != 0 {
			t.Errorf("%s: got fields %+v, problems %v", line, fields, problems)
		}
	}
}

// A policy of a target can't reach scalars that are no image of it.
func TestTargetsBindOnlyTheirImage(t *testing.T) {
	content := "kind: RoleBinding\nroleRef: {kind: ClusterRole, name: nginx}\nspec: {containers: [{image: nginx:1}]}\n---\nkind: Pod\nspec: {containers: [{image: other/nginx:1}, {image: [nginx]}, {image: {a: b}}, nginx, {name: nginx}]}\n"
	for _, kind := range []TargetKind{Workloads, Kustomize, HelmValues} {
		target := Target{Policy: "a/b", Image: "nginx", Kind: kind, Path: "*.yaml", Repository: "roleRef.name", Tag: "roleRef"}
		fields, _ := Scan("kustomization.yaml", []byte(content), []Target{target})
		if len(fields) != 0 {
			t.Errorf("kind %d: got %+v", kind, fields)
		}
	}
}

func TestFieldsInOrder(t *testing.T) {
	content := "kind: Pod\nspec:\n  containers:\n  - image: nginx:1\n  - image: x:1" + markerOfTest + "\n  - image: nginx:2\n"
	fields, _ := Scan("apps/a.yaml", []byte(content), fuzzTargets)
	var lines []int
	for _, f := range fields {
		lines = append(lines, f.Line)
	}
	if !slices.IsSorted(lines) || len(lines) != 3 {
		t.Errorf("got lines %v", lines)
	}
}
