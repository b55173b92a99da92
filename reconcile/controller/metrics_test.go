// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pintle-dev/pintle/reconcile"
)

// measure has metrics, and gives them as "name{label=value} number", but those at zero
// and the buckets of histograms.
func measure(t *testing.T) (*metrics, func() []string) {
	t.Helper()
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	return m, func() []string {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, f := range families {
			for _, s := range f.GetMetric() {
				labels := map[string]string{}
				for _, l := range s.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				var text []string
				for _, name := range slices.Sorted(maps.Keys(labels)) {
					text = append(text, name+"="+labels[name])
				}
				number := s.GetCounter().GetValue() + s.GetGauge().GetValue() + float64(s.GetHistogram().GetSampleCount())
				if number != 0 {
					lines = append(lines, fmt.Sprintf("%s{%s} %v", strings.TrimPrefix(f.GetName(), "pintle_"), strings.Join(text, ","), number))
				}
			}
		}
		return lines
	}
}

// A policy counts under the reason that it has now, and nowhere once it is gone.
func TestPoliciesByReason(t *testing.T) {
	m, lines := measure(t)
	all := views()
	one, other := all["up to date"], all["rolled back"]
	other.policy.Name = "other"
	other.places[0].Vetoes = []reconcile.Veto{{TagDigest: *image(1)}, {TagDigest: *image(2)}}
	expect := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, lines()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	for range 3 { // a status that says the same counts once
		m.policy(one.policy, one.status())
	}
	m.policy(other.policy, other.status())
	expect("two reasons", "policies{reason=RolledBack} 1", "policies{reason=UpToDate} 1", "policy_vetoes{namespace=prod,policy=other} 2")
	other.places[0] = placeOf("fleet", 1, reconcile.UpToDate)
	m.policy(other.policy, other.status())
	expect("one reason", "policies{reason=UpToDate} 2")
	gone := all["left the registry"]
	m.policy(gone.policy, gone.status())
	expect("a digest left", "digest_missing{namespace=prod,policy=app} 1", "policies{reason=RolledBack} 1", "policies{reason=UpToDate} 1")
	m.policy(gone.policy, invalidPolicy(gone.policy, &reconcile.SpecError{}, noon))
	m.forgetPolicy(key(one.policy))
	m.forgetPolicy(key(other.policy))
	m.forgetPolicy(key(other.policy))
	expect("all forgotten")
}

func TestRepositoriesInMetrics(t *testing.T) {
	m, lines := measure(t)
	repository := repositoryOf()
	report := withProblems(reconcile.Problem{}, reconcile.Problem{})
	report.Races = 2
	report.Commits = []reconcile.Commit{{SHA: "abc"}, {SHA: "def"}}
	m.passed(repository, report, time.Second)
	m.passed(repository, reportOf(reconcile.Due), time.Second)
	planned := reportOf(reconcile.Due)
	planned.Commits = []reconcile.Commit{{}}
	m.passed(repository, planned, time.Second)
	m.failed(repository)
	m.repository(repository, passedStatus(repository, report, nil, false, noon))
	labels := "{namespace=prod,repository=fleet} "
	want := []string{"commits_total" + labels + "2", "lost_races_total" + labels + "2", "pass_failures_total" + labels + "1",
		"pass_seconds" + labels + "3", "pushes_total" + labels + "1", "repository_problems" + labels + "2", "repository_ready" + labels + "1"}
	if diff := cmp.Diff(want, lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.repository(repository, passedStatus(repository, reportOf(), nil, false, noon))
	if got := strings.Join(lines(), "\n"); strings.Contains(got, "problems") {
		t.Errorf("mended problems count:\n%s", got)
	}
	m.repository(repository, failedStatus(repository, errors.New("it broke"), noon))
	if got := strings.Join(lines(), "\n"); strings.Contains(got, "ready") {
		t.Errorf("a repository that can't be written is ready:\n%s", got)
	}
	m.forgetRepository(key(repository))
	if got := lines(); got != nil {
		t.Errorf("a repository that is gone left %v", got)
	}
}

func TestLooksInMetrics(t *testing.T) {
	m, lines := measure(t)
	for _, v := range []*policyView{views()["up to date"], views()["no match"], views()["no answer"], views()["too young"], views()["rolled back"]} {
		m.resolved(v.resolution)
	}
	m.request("ghcr.io", 200)
	m.request("ghcr.io", 200)
	m.request("ghcr.io", 0)
	m.toCommit(3 * time.Second)
	want := []string{"registry_requests_total{code=0,host=ghcr.io} 1", "registry_requests_total{code=200,host=ghcr.io} 2",
		"resolutions_total{result=failed} 1", "resolutions_total{result=no_match} 1", "resolutions_total{result=ok} 3", "seconds_to_commit{} 1"}
	if diff := cmp.Diff(want, lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A second set of metrics can't be registered where one is: that is told.
func TestMetricsOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	if _, err := newMetrics(registry); err != nil {
		t.Fatal(err)
	}
	if _, err := newMetrics(registry); err == nil {
		t.Error("a second one is registered")
	}
}
