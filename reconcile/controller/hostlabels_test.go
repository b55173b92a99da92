// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// However many registries policies name, and whatever these answer, few are counted one
// by one; an old one makes place for a new one.
func TestHostsOfMetricsAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := newMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 * maxHosts {
		m.request(fmt.Sprintf("%d.example", i), i)
	}
	for code := range 1000 {
		m.request("0.example", code)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	rows, others := 0, 0.0
	for _, family := range families {
		if family.GetName() != "pintle_registry_requests_total" {
			continue
		}
		rows = len(family.GetMetric())
		for _, one := range family.GetMetric() {
			for _, label := range one.GetLabel() {
				if label.GetValue() == otherHosts {
					others += one.GetCounter().GetValue()
				}
			}
		}
	}
	if rows > 2*maxHosts+200 || others != 4*maxHosts {
		t.Errorf("%d rows, %v requests to others, want %d", rows, others, 4*maxHosts)
	}
}

func TestHostLabels(t *testing.T) {
	var h hostLabels
	for i := range maxHosts {
		if label, gone := h.of(fmt.Sprint(i), noon); label != fmt.Sprint(i) || gone != "" {
			t.Fatalf("host %d is %s, and %s is gone", i, label, gone)
		}
	}
	later := noon.Add(keepHost)
	if label, gone := h.of("new", later); label != otherHosts || gone != "" {
		t.Errorf("one too many is %s, and %s is gone", label, gone)
	}
	for i := 1; i < maxHosts; i++ {
		h.of(fmt.Sprint(i), later)
	}
	if label, gone := h.of("new", later.Add(time.Second)); label != "new" || gone != "0" {
		t.Errorf("a new one is %s, and %s is gone, want 0", label, gone)
	}
	if label, _ := h.of("7", later.Add(time.Second)); label != "7" {
		t.Errorf("a known one is %s", label)
	}
}
