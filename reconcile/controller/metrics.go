// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry/events"
)

// metrics are what docs/operations.md lists.
type metrics struct {
	resolutions, requests, events, commits, pushes, races, failures *prometheus.CounterVec
	vetoes, missing, problems, policies, ready                      *prometheus.GaugeVec
	commitSeconds                                                   prometheus.Histogram
	passSeconds                                                     *prometheus.HistogramVec

	hosts hostLabels

	mu      sync.Mutex
	reasons map[types.NamespacedName]string
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pintle", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "pintle", Name: name, Help: help}, labels)
	}
	m := &metrics{
		resolutions: counter("resolutions_total", "Looks at a registry for a policy, by result: ok, no_match or failed.", "result"),
		requests:    counter("registry_requests_total", "Requests to registries; the code is 0 where none came back.", "host", "code"),
		events:      counter("events_total", "Requests to the receiver of events, by the source of the endpoint and by what came of them.", "source", "result"),
		commits:     counter("commits_total", "Commits pushed.", "namespace", "repository"),
		pushes:      counter("pushes_total", "Pushes made.", "namespace", "repository"),
		races:       counter("lost_races_total", "Pushes that somebody else was faster than; each was decided again.", "namespace", "repository"),
		failures:    counter("pass_failures_total", "Passes that could not be made.", "namespace", "repository"),
		vetoes:      gauge("policy_vetoes", "Digests of a policy that were undone and are not written again.", "namespace", "policy"),
		missing:     gauge("digest_missing", "1 while a digest that Git pins has left its registry.", "namespace", "policy"),
		problems:    gauge("repository_problems", "Problems that somebody should mend.", "namespace", "repository"),
		ready:       gauge("repository_ready", "1 where a repository can be read and written, 0 where not.", "namespace", "repository"),
		policies:    gauge("policies", "Policies by the reason of their condition Ready.", "reason"),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "pintle", Name: "seconds_to_commit",
			Help: "Seconds from the first sight of a digest to the commit that writes it.", Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 86400}}),
		passSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "pintle", Name: "pass_seconds",
			Help: "Seconds that a pass over a repository takes.", Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, []string{"namespace", "repository"}),
		reasons: map[types.NamespacedName]string{},
	}
	for _, c := range []prometheus.Collector{m.resolutions, m.requests, m.events, m.commits, m.pushes, m.races, m.failures, m.vetoes, m.missing, m.problems, m.ready, m.policies, m.commitSeconds, m.passSeconds} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// request is a registry.Options.Observe.
func (m *metrics) request(host string, code int) {
	label, gone := m.hosts.of(host, time.Now())
	if gone != "" {
		m.requests.DeletePartialMatch(prometheus.Labels{"host": gone})
	}
	m.requests.WithLabelValues(label, codeLabel(code)).Inc()
}

// event is for events.Receiver.Observe.
func (m *metrics) event(source events.Source, result string) {
	m.events.WithLabelValues(string(source), result).Inc()
}

func (m *metrics) resolved(r reconcile.Resolution) {
	result := "ok"
	switch {
	case r.Reason == reconcile.NoMatch:
		result = "no_match"
	case r.Selected == nil && r.Reason != reconcile.TooYoung:
		result = "failed"
	}
	m.resolutions.WithLabelValues(result).Inc()
}

func (m *metrics) toCommit(d time.Duration) { m.commitSeconds.Observe(d.Seconds()) }

func (m *metrics) passed(repository *v1alpha1.ManifestRepository, report *reconcile.Report, took time.Duration) {
	m.passSeconds.WithLabelValues(repository.Namespace, repository.Name).Observe(took.Seconds())
	m.races.WithLabelValues(repository.Namespace, repository.Name).Add(float64(report.Races))
	pushed := 0
	for _, c := range report.Commits {
		if c.SHA != "" {
			pushed++
		}
	}
	m.commits.WithLabelValues(repository.Namespace, repository.Name).Add(float64(pushed))
	if pushed > 0 {
		m.pushes.WithLabelValues(repository.Namespace, repository.Name).Inc()
	}
}

func (m *metrics) failed(repository *v1alpha1.ManifestRepository) {
	m.failures.WithLabelValues(repository.Namespace, repository.Name).Inc()
}

func (m *metrics) repository(repository *v1alpha1.ManifestRepository, status v1alpha1.ManifestRepositoryStatus) {
	count := int32(0)
	if status.Counts != nil {
		count = status.Counts.Problems
	}
	m.problems.WithLabelValues(repository.Namespace, repository.Name).Set(float64(count))
	ready := 0.0
	if meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady) {
		ready = 1
	}
	m.ready.WithLabelValues(repository.Namespace, repository.Name).Set(ready)
}

func (m *metrics) policy(p *v1alpha1.ImagePolicy, status v1alpha1.ImagePolicyStatus) {
	m.vetoes.WithLabelValues(p.Namespace, p.Name).Set(float64(len(status.Vetoes)))
	gone := 0.0
	if meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionDigestMissing) {
		gone = 1
	}
	m.missing.WithLabelValues(p.Namespace, p.Name).Set(gone)
	reason := ""
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		reason = ready.Reason
	}
	m.turn(key(p), reason)
}

// turn counts a policy under another reason; under none, it is gone.
func (m *metrics) turn(policy types.NamespacedName, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.reasons[policy]
	if before == reason {
		return
	}
	if before != "" {
		m.policies.WithLabelValues(before).Dec()
	}
	delete(m.reasons, policy)
	if reason != "" {
		m.policies.WithLabelValues(reason).Inc()
		m.reasons[policy] = reason
	}
}

func (m *metrics) forgetPolicy(policy types.NamespacedName) {
	m.vetoes.DeleteLabelValues(policy.Namespace, policy.Name)
	m.missing.DeleteLabelValues(policy.Namespace, policy.Name)
	m.turn(policy, "")
}

func (m *metrics) forgetRepository(repository types.NamespacedName) {
	for _, v := range []interface{ DeleteLabelValues(values ...string) bool }{m.commits, m.pushes, m.races, m.failures, m.problems, m.ready, m.passSeconds} {
		v.DeleteLabelValues(repository.Namespace, repository.Name)
	}
}
