// SPDX-License-Identifier: Apache-2.0

package pintle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/pintle-dev/pintle"

// rule says what one folder, and all below it without a rule of its own, may
// import. Tests are free: they stand on fixtures.
type rule struct {
	folder string
	// own are the folders of this module it may import, with all below them.
	own []string
	// only are the outside modules it may import; nil means any, empty means
	// the standard library alone.
	only []string
	// never are packages, with all below them, that it may not reach even
	// through others.
	never []string
}

// anyModule leaves the choice of outside modules to never.
var anyModule []string

var (
	kubernetes = []string{"k8s.io", "sigs.k8s.io"}
	outward    = []string{"net/http", "os/exec", "github.com/go-git/go-git/v5", "github.com/google/go-containerregistry"}
)

// rules are the import directions that ARCHITECTURE.md draws.
var rules = []rule{
	{folder: "."},
	{folder: "policy", only: []string{"github.com/Masterminds/semver/v3"}, never: slices.Concat(kubernetes, outward)},
	{folder: "address", only: []string{}, never: outward},
	{folder: "registry", own: []string{"address"}, only: anyModule, never: slices.Concat(kubernetes, []string{"github.com/go-git", "github.com/spf13/cobra"})},
	{folder: "registry/events", own: []string{"registry"}, only: anyModule, never: slices.Concat(kubernetes, []string{"github.com/go-git", "github.com/spf13/cobra"})},
	{folder: "registry/identity", own: []string{"registry"}, only: anyModule, never: slices.Concat(kubernetes, []string{"github.com/go-git", "github.com/spf13/cobra"})},
	{folder: "gitwriter", own: []string{"gitwriter", "address"}, only: anyModule, never: append(kubernetes[:2:2], "github.com/google/go-containerregistry", "github.com/spf13/cobra")},
	{folder: "gitwriter/githubapp", only: []string{"github.com/go-jose/go-jose/v4"}, never: kubernetes},
	{folder: "gitwriter/manifest", own: []string{"gitwriter/manifest"}, only: []string{"go.yaml.in/yaml/v3", "github.com/bmatcuk/doublestar/v4"}, never: slices.Concat(kubernetes, outward)},
	{folder: "gitwriter/signing", only: []string{"github.com/ProtonMail/go-crypto", "golang.org/x/crypto"}, never: slices.Concat(kubernetes, outward)},
	{folder: "gitwriter/ledger", only: []string{}, never: slices.Concat(kubernetes, outward)},
	{folder: "gitwriter/forge", own: []string{"address"}, only: anyModule, never: append(kubernetes[:2:2], "github.com/go-git", "github.com/google/go-containerregistry", "github.com/spf13/cobra")},
	{folder: "config", only: []string{}},
	{folder: "api/v1alpha1", only: []string{"k8s.io/apimachinery"}},
	{folder: "api/document", own: []string{"api/v1alpha1", "config/crd", "policy"}, only: anyModule, never: []string{"github.com/go-git", "github.com/google/go-containerregistry"}},
	{folder: "reconcile", own: []string{"api", "policy", "registry", "gitwriter", "reconcile"}, only: anyModule},
	{folder: "reconcile/credentials", own: []string{"api/v1alpha1", "gitwriter/mirror", "gitwriter/signing", "gitwriter/githubapp"}, only: anyModule},
	{folder: "reconcile/decide", own: []string{"policy", "gitwriter/ledger"}, only: []string{}, never: slices.Concat(kubernetes, outward)},
	{folder: "cmd", own: []string{"reconcile", "api", "registry", "gitwriter", "cmd"}, only: anyModule},
	{folder: "fixtures", own: []string{"fixtures"}, only: anyModule},
	{folder: "fixtures/bench", own: []string{"fixtures", "reconcile", "registry", "api"}, only: []string{"gonum.org/v1/plot"}},
}

// graph is import path → imports of all packages that the build needs.
type graph map[string][]string

func TestImportDirections(t *testing.T) {
	packages := load(t)
	if _, found := packages[module]; !found {
		t.Fatalf("the root package is not among %d packages", len(packages))
	}
	for _, violation := range check(packages, rules) {
		t.Error(violation)
	}
}

// TestCheckFindsViolations shows on made-up graphs that check can say no.
func TestCheckFindsViolations(t *testing.T) {
	sample := []rule{
		{folder: "pure", only: []string{"example.com/math"}, never: []string{"net/http"}},
		{folder: "low", only: anyModule},
		{folder: "low/strict", only: []string{}},
		{folder: "high", own: []string{"low"}, only: anyModule, never: []string{"example.com/bad"}},
	}
	own := func(folder string) string { return module + "/" + folder }
	tests := map[string]struct {
		graph graph
		want  []string
	}{
		"all well": {
			graph: graph{
				own("pure"): {"fmt", "example.com/math/v2"}, own("low"): {"net/http"}, own("low/a"): {"example.com/x"},
				own("high"): {own("low/a"), "net/http"}, "example.com/math/v2": nil, "example.com/x": nil, "net/http": nil,
			},
		},
		"upwards": {
			graph: graph{own("low"): {own("high")}, own("high"): nil},
			want:  []string{"low imports high: not among the folders it may import"},
		},
		"a sibling of the allowed": {
			graph: graph{own("high"): {own("lower")}, own("lower"): nil},
			want:  []string{"high imports lower: not among the folders it may import", "lower has no rule: add it to rules, and to ARCHITECTURE.md"},
		},
		"an outside module": {
			graph: graph{own("pure"): {"example.com/mathematics"}, "example.com/mathematics": nil},
			want:  []string{"pure imports example.com/mathematics: not among the modules it may import"},
		},
		"the strictest rule counts": {
			graph: graph{own("low/strict/deep"): {"example.com/x"}, "example.com/x": nil},
			want:  []string{"low/strict/deep imports example.com/x: not among the modules it may import"},
		},
		"through others": {
			graph: graph{own("high"): {"example.com/a"}, "example.com/a": {"example.com/b"}, "example.com/b": {"example.com/bad/deep"}, "example.com/bad/deep": nil},
			want:  []string{"high reaches example.com/bad/deep, which it may not: high → example.com/a → example.com/b → example.com/bad/deep"},
		},
		"the standard library": {
			graph: graph{own("pure"): {"net/http"}, "net/http": nil},
			want:  []string{"pure reaches net/http, which it may not: pure → net/http"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, check(test.graph, sample)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// load asks the go command for every package of the module and all they need.
func load(t *testing.T) graph {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports", "./...").Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		t.Fatalf("go list: %v: %s", err, failed.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	packages := graph{}
	decoder := json.NewDecoder(strings.NewReader(string(output)))
	for {
		var one struct {
			ImportPath string   `json:"ImportPath"`
			Imports    []string `json:"Imports"`
		}
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages[one.ImportPath] = one.Imports
	}
}

// check lists, sorted, each import that breaks a rule.
func check(packages graph, rules []rule) []string {
	var violations []string
	for path, imports := range packages {
		folder, ours := folderOf(path)
		if !ours {
			continue
		}
		rule, found := ruleOf(folder, rules)
		if !found {
			violations = append(violations, folder+" has no rule: add it to rules, and to ARCHITECTURE.md")
			continue
		}
		for _, imported := range imports {
			if what := rule.refuses(folder, imported); what != "" {
				violations = append(violations, what)
			}
		}
		for _, way := range waysTo(packages, path, rule.never) {
			violations = append(violations, fmt.Sprintf("%s reaches %s, which it may not: %s", folder, way[len(way)-1], strings.Join(shorten(way), " → ")))
		}
	}
	slices.Sort(violations)
	return violations
}

// refuses says what is wrong with a direct import, or nothing.
func (r rule) refuses(folder, imported string) string {
	if target, ours := folderOf(imported); ours {
		if !covers(r.own, target) {
			return fmt.Sprintf("%s imports %s: not among the folders it may import", folder, target)
		}
		return ""
	}
	if r.only == nil || isStandard(imported) || covers(r.only, imported) {
		return ""
	}
	return fmt.Sprintf("%s imports %s: not among the modules it may import", folder, imported)
}

// ruleOf is the rule with the longest folder that covers this one.
func ruleOf(folder string, rules []rule) (best rule, found bool) {
	for _, rule := range rules {
		if covers([]string{rule.folder}, folder) && (!found || len(rule.folder) > len(best.folder)) {
			best, found = rule, true
		}
	}
	return best, found
}

// waysTo finds the shortest way from a package to each forbidden one. It does
// not walk on beyond a forbidden package.
func waysTo(packages graph, from string, forbidden []string) [][]string {
	var ways [][]string
	seen := map[string]bool{from: true}
	queue := [][]string{{from}}
	for len(queue) > 0 {
		way := queue[0]
		queue = queue[1:]
		for _, next := range packages[way[len(way)-1]] {
			if seen[next] {
				continue
			}
			seen[next] = true
			longer := append(slices.Clone(way), next)
			if covers(forbidden, next) {
				ways = append(ways, longer)
				continue
			}
			queue = append(queue, longer)
		}
	}
	return ways
}

// covers is true where one of the prefixes is the path or a folder above it.
func covers(prefixes []string, path string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	})
}

// folderOf is the folder of a package of this module; "." is the root.
func folderOf(path string) (folder string, ours bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// isStandard is true for the standard library, whose first path element has no
// dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func shorten(way []string) []string {
	short := make([]string, len(way))
	for i, path := range way {
		short[i] = strings.TrimPrefix(path, module+"/")
	}
	return short
}
