// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/reconcile"
)

// operations are the rows of the tables below a heading of docs/operations.md, without
// those that head them.
func operations(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("the page has no %q", heading)
	}
	var rows [][]string
	for line := range strings.SplitSeq(section, "\n") {
		if strings.HasPrefix(line, "#") {
			break
		}
		if strings.HasPrefix(line, "| `") {
			var cells []string
			for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

// first are the names that the first column quotes.
func first(rows [][]string) []string {
	var names []string
	for _, row := range rows {
		names = append(names, strings.Trim(row[0], "`"))
	}
	return slices.Sorted(slices.Values(names))
}

// declared reads the constants of a package whose names begin with a prefix, or whose
// type has a name, in the source: one that is added must not be missed.
func declared(t *testing.T, folder, prefix, typed string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
				return true
			}
			is, _ := spec.Type.(*ast.Ident)
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING && (prefix != "" && strings.HasPrefix(spec.Names[0].Name, prefix) || is != nil && is.Name == typed) {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("no constants are found in %s", folder)
	}
	return values
}

func sorted(values ...[]string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(values...))))
}

func TestPageListsAllConditions(t *testing.T) {
	want := sorted(declared(t, filepath.Join("..", "..", "api", "v1alpha1"), "Condition", ""))
	if diff := cmp.Diff(want, first(operations(t, "## Conditions"))); diff != "" {
		t.Errorf("conditions (-code +page):\n%s", diff)
	}
}

func TestPageListsAllReasons(t *testing.T) {
	ours := declared(t, ".", "reason", "")
	// A status says UpToDate of what was just written, and Suspended of what waits.
	verdicts := slices.DeleteFunc(declared(t, filepath.Join("..", "decide"), "", "Reason"), func(r string) bool {
		return r == string(reconcile.Updated) || r == string(reconcile.Due)
	})
	var secrets []string
	for _, r := range declared(t, filepath.Join("..", "credentials"), "", "Reason") {
		secrets = append(secrets, "Secret"+r)
	}
	git := slices.Concat(slices.Collect(maps.Values(gitReasons)), slices.Collect(maps.Values(forgeReasons)))
	// They are never the reason of Ready.
	inText := append(first(operations(t, "### Of builds")), reasonSelected, reasonMissing)
	of, at := first(operations(t, "### Of a policy")), first(operations(t, "### Of a repository"))
	if diff := cmp.Diff(sorted(ours, verdicts, secrets, git), sorted(of, at, inText)); diff != "" {
		t.Errorf("reasons (-code +page):\n%s", diff)
	}
	if diff := cmp.Diff(sorted(verdicts, []string{reasonInvalid}), of); diff != "" {
		t.Errorf("reasons of a policy (-code +page):\n%s", diff)
	}
	text := strings.Join(slices.Concat(slices.Concat(operations(t, "### Of a repository")...)), "\n")
	for _, stalls := range []string{reasonInvalid, reasonUnsupported, reasonPlainHTTP} {
		if !strings.Contains(text, "`"+stalls+"`\nFalse, Stalled\n") {
			t.Errorf("the page does not say that %s stalls", stalls)
		}
	}
}

// described keeps what is said of the metrics that are registered.
type described struct {
	prometheus.Registerer

	all []string
}

var description = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{([^}]*)\}`)

func (d *described) Register(c prometheus.Collector) error {
	found := make(chan *prometheus.Desc, 1)
	c.Describe(found)
	of := description.FindStringSubmatch((<-found).String())
	labels := strings.ReplaceAll(of[2], ",", "`, `")
	if labels != "" {
		labels = "`" + labels + "`"
	}
	d.all = append(d.all, of[1]+" "+labels)
	return nil
}

func TestPageListsAllMetrics(t *testing.T) {
	code := &described{}
	if _, err := newMetrics(code); err != nil {
		t.Fatal(err)
	}
	var page []string
	for _, row := range operations(t, "## Metrics") {
		page = append(page, strings.Trim(row[0], "`")+" "+row[1])
	}
	if diff := cmp.Diff(sorted(code.all), sorted(page)); diff != "" {
		t.Errorf("metrics and their labels (-code +page):\n%s", diff)
	}
}

func TestPageListsAllAlerts(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "monitoring", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert  string
					Labels map[string]string
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &rules); err != nil {
		t.Fatal(err)
	}
	var code, page []string
	for _, group := range rules.Spec.Groups {
		for _, rule := range group.Rules {
			code = append(code, rule.Alert+" "+rule.Labels["severity"])
		}
	}
	for _, row := range operations(t, "## Alerts") {
		page = append(page, strings.Trim(row[0], "`")+" "+row[1])
	}
	if diff := cmp.Diff(code, page); diff != "" {
		t.Errorf("alerts and their severities (-code +page):\n%s", diff)
	}
}
