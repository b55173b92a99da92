// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	core "k8s.io/api/core/v1"
)

// metric is what the controller exports under a name.
type metric struct {
	kind   string // counter, gauge or histogram
	labels []string
	shared bool // other controllers export it too, so that the job has to be named
}

// metrics are the names that the dashboard and the rules may build on: the controller's
// own, and some of controller-runtime's.
var metrics = map[string]metric{
	"pintle_resolutions_total":           {kind: "counter", labels: []string{"result"}},
	"pintle_registry_requests_total":     {kind: "counter", labels: []string{"host", "code"}},
	"pintle_commits_total":               {kind: "counter", labels: []string{"namespace", "repository"}},
	"pintle_pushes_total":                {kind: "counter", labels: []string{"namespace", "repository"}},
	"pintle_lost_races_total":            {kind: "counter", labels: []string{"namespace", "repository"}},
	"pintle_policy_vetoes":               {kind: "gauge", labels: []string{"namespace", "policy"}},
	"pintle_policies":                    {kind: "gauge", labels: []string{"reason"}},
	"pintle_repository_problems":         {kind: "gauge", labels: []string{"namespace", "repository"}},
	"pintle_repository_ready":            {kind: "gauge", labels: []string{"namespace", "repository"}},
	"pintle_digest_missing":              {kind: "gauge", labels: []string{"namespace", "policy"}},
	"pintle_seconds_to_commit":           {kind: "histogram"},
	"pintle_pass_seconds":                {kind: "histogram", labels: []string{"namespace", "repository"}},
	"pintle_pass_failures_total":         {kind: "counter", labels: []string{"namespace", "repository"}},
	"controller_runtime_reconcile_total": {kind: "counter", labels: []string{"controller", "result"}, shared: true},
	"workqueue_depth":                    {kind: "gauge", labels: []string{"name"}, shared: true},
	"leader_election_master_status":      {kind: "gauge", labels: []string{"name"}, shared: true},
	"rest_client_requests_total":         {kind: "counter", labels: []string{"code", "method", "host"}, shared: true},
}

// reasons are the verdicts by which policies are counted.
var reasons = strings.Fields("UpToDate Updated Proposed RolledBack ManuallySet Pinned Suspended TooYoung NoMatch DowngradeRefused WindowClosed NoField Failed InvalidSpec")

// words are those of PromQL that the expressions use.
var words = strings.Fields("sum max count by rate increase histogram_quantile or vector")

type panel struct {
	ID         int    `json:"id"`
	Type       string `json:"type"`
	Title      string `json:"title"`
	Datasource struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Description string `json:"description"`
	Targets     []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
	} `json:"targets"`
	Position struct {
		X int `json:"x"`
		Y int `json:"y"`
		W int `json:"w"`
		H int `json:"h"`
	} `json:"gridPos"`
}

type dashboard struct {
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
}

// shown reads the dashboard as Grafana gets it.
func shown(t *testing.T) dashboard {
	t.Helper()
	held := find[core.ConfigMap](t, mustBuild(t, monitored), "ConfigMap", "pintle-dashboard")
	if held.Labels["grafana_dashboard"] != "1" {
		t.Error("Grafana's sidecar does not find the dashboard")
	}
	var d dashboard
	if err := json.Unmarshal([]byte(held.Data["pintle.json"]), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func alerts(t *testing.T) map[string]alert {
	t.Helper()
	named := map[string]alert{}
	for _, group := range find[prometheusRule](t, mustBuild(t, monitored), "PrometheusRule", "pintle").Spec.Groups {
		for _, rule := range group.Rules {
			if _, twice := named[rule.Alert]; twice {
				t.Errorf("two rules are named %s", rule.Alert)
			}
			named[rule.Alert] = rule
		}
	}
	return named
}

func TestDashboardIsWhole(t *testing.T) {
	d := shown(t)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have id %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.Position.X; x < p.Position.X+p.Position.W; x++ {
			for y := p.Position.Y; y < p.Position.Y+p.Position.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q has no room at %d,%d beside %q", p.Title, x, y, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q has no description, no query, or a data source of its own", p.Title)
		}
	}
}

// Each expression asks for metrics and labels that there are, in the way that their kind
// is asked for; and the dashboard shows all there are.
func TestExpressionsAskForWhatThereIs(t *testing.T) {
	expressions := map[string]string{}
	d := shown(t)
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			expressions[fmt.Sprintf("panel %s, query %d", p.Title, i)] = target.Expr
			for _, label := range regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(target.Legend, -1) {
				if !regexp.MustCompile(`by \([^)]*\b` + label[1] + `\b`).MatchString(target.Expr) {
					t.Errorf("the legend of panel %s names %s, which the query does not give", p.Title, label[1])
				}
			}
		}
	}
	showing := strings.Join(slices.Collect(maps.Values(expressions)), "\n")
	for name := range metrics {
		if !regexp.MustCompile(name + `(_bucket)?\b`).MatchString(showing) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
	for name, rule := range alerts(t) {
		expressions[name] = rule.Expr
	}
	for name, expression := range expressions {
		for _, problem := range examine(expression) {
			t.Errorf("%s: %s: %s", name, expression, problem)
		}
	}
	for _, variable := range d.Templating.List {
		if values := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(variable.Definition); values != nil {
			if !slices.Contains(metrics[values[1]].labels, values[2]) {
				t.Errorf("variable %s: %s has no label %s", variable.Name, values[1], values[2])
			}
		}
	}
}

// TestExamineFindsMistakes shows that examine can say no.
func TestExamineFindsMistakes(t *testing.T) {
	for expression, want := range map[string]string{
		`sum(pintle_commit_total)`:                             "there is no metric pintle_commit_total",
		`max by (polcy) (pintle_policies)`:                     "there is no label polcy",
		`max(pintle_policies{namespace="x"})`:                  "pintle_policies has no label namespace",
		`max(pintle_policies{reason="Fialed"})`:                "there is no reason Fialed",
		`sum(pintle_commits_total)`:                            "pintle_commits_total is a counter: only its increase or rate tells something",
		`sum(rate(pintle_pass_seconds[5m]))`:                   "pintle_pass_seconds is a histogram: ask for its buckets",
		`sum(workqueue_depth)`:                                 "workqueue_depth is other controllers' too: name the job",
		`sum(rate(pintle_seconds_to_commit_bucket[5m])) > 0.5`: "",
	} {
		if got := strings.Join(examine(expression), "; "); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", expression, got, want)
		}
	}
}

var (
	selection = regexp.MustCompile(`(rate\(|increase\()?\b([a-z]+_\w+)(?:{([^}]*)})?`)
	matcher   = regexp.MustCompile(`(\w+)=~?"([^"]*)"`)
	grouping  = regexp.MustCompile(`by \(([^)]*)\)`)
	word      = regexp.MustCompile(`[A-Za-z_]\w*`)
)

// examine lists the mistakes in an expression. It knows as much of PromQL as is used.
func examine(expression string) (problems []string) {
	bare := regexp.MustCompile(`"[^"]*"|\[[^]]*\]`).ReplaceAllString(expression, "")
	known := slices.Concat(words, []string{"le", "job"})
	for _, m := range metrics {
		known = append(known, m.labels...)
	}
	for _, found := range selection.FindAllStringSubmatch(expression, -1) {
		call, name := found[1], found[2]
		if slices.Contains(words, name) {
			continue
		}
		m, ok := metrics[strings.TrimSuffix(name, "_bucket")]
		known = append(known, name)
		if !ok || (m.kind != "histogram" && strings.HasSuffix(name, "_bucket")) {
			problems = append(problems, "there is no metric "+name)
			continue
		}
		problems = append(problems, m.misused(name, call, found[3])...)
	}
	for _, list := range grouping.FindAllStringSubmatch(expression, -1) {
		for _, label := range word.FindAllString(list[1], -1) {
			if !slices.Contains(known, label) {
				problems = append(problems, "there is no label "+label)
				known = append(known, label)
			}
		}
	}
	for _, name := range word.FindAllString(bare, -1) {
		if !slices.Contains(known, name) {
			problems = append(problems, "there is no "+name)
		}
	}
	return problems
}

// misused lists what is wrong with the use of a metric within a call, if any, and with
// matchers.
func (m metric) misused(name, call, matchers string) (problems []string) {
	switch {
	case m.kind == "histogram" && !strings.HasSuffix(name, "_bucket"):
		problems = append(problems, name+" is a histogram: ask for its buckets")
	case m.kind != "gauge" && call == "":
		problems = append(problems, name+" is a "+m.kind+": only its increase or rate tells something")
	case m.kind == "gauge" && call != "":
		problems = append(problems, name+" is a gauge: it has no rate")
	}
	if m.shared && !strings.Contains(matchers, `job="pintle"`) {
		problems = append(problems, name+" is other controllers' too: name the job")
	}
	for _, pair := range matcher.FindAllStringSubmatch(matchers, -1) {
		if pair[1] != "job" && !slices.Contains(m.labels, pair[1]) {
			problems = append(problems, name+" has no label "+pair[1])
		}
		for reason := range strings.SplitSeq(pair[2], "|") {
			if pair[1] == "reason" && !slices.Contains(reasons, reason) {
				problems = append(problems, "there is no reason "+reason)
			}
		}
	}
	return problems
}

func TestAlertsTellWhatToDo(t *testing.T) {
	rules := alerts(t)
	want := []string{"PintleCommitsSlow", "PintleDigestMissing", "PintleNoLeader", "PintlePolicyFailing", "PintleProblems", "PintleRegistryRateLimited", "PintleRepositoryFailing"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(rules))); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	for name, rule := range rules {
		if rule.For.Duration <= 0 {
			t.Errorf("%s alarms at the first sample", name)
		}
		if severity := rule.Labels["severity"]; severity != "warning" && severity != "critical" {
			t.Errorf("%s has severity %q", name, severity)
		}
		if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s says nothing", name)
		}
		for _, text := range rule.Annotations {
			for _, label := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
				if !regexp.MustCompile(`by \([^)]*\b` + label[1] + `\b`).MatchString(rule.Expr) {
					t.Errorf("%s tells of the label %s, which its expression does not give", name, label[1])
				}
			}
		}
	}
}
