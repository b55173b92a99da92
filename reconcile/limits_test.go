// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// TestSlowRegistry: a registry that never answers costs its own policy the
// timeout, and the others nothing.
func TestSlowRegistry(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	ended := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(ended) })
	host := strings.TrimPrefix(slow.URL, "http://")
	w.repo.Seed(t, map[string]string{
		"policies/slow.yaml": strings.ReplaceAll(w.policy("slow", "slow"), w.registry, host),
		"apps/slow.yaml":     strings.ReplaceAll(w.deployment("slow", "slow:1.0.0", "slow"), w.registry, host),
	}, "Follow a slow registry")
	engine, err := reconcile.Open(reconcile.Config{Repo: w.address, Registry: registry.Options{
		PlainHTTP: []string{w.registry, host}, Timeout: time.Second,
	}})
	if err != nil {
		t.Fatal(err)
	}
	report, err := engine.Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	app, behind := report.Policies[0], report.Policies[1]
	if app.Reason != reconcile.Updated || w.tag("apps/app.yaml") != "1.1.0" {
		t.Errorf("the healthy policy is %s: %s", app.Reason, app.Message)
	}
	want := "cannot list tags of " + host + "/slow: " + host + " did not answer within 1s"
	if behind.Reason != reconcile.Failed || behind.Message != want {
		t.Errorf("the slow policy is %s: %s, want %s", behind.Reason, behind.Message, want)
	}
}

// TestLargePoliciesFile: a file that the operator names is bounded too.
func TestLargePoliciesFile(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.repo.Seed(t, map[string]string{"a.yaml": "a: 1\n"}, "First")
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, make([]byte, mirror.MaxBlobBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := reconcile.Open(reconcile.Config{Repo: w.address, PoliciesPath: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Plan(t.Context()); !errors.Is(err, mirror.ErrTooLarge) {
		t.Errorf("the plan says %v, want that the file is too large", err)
	}
}
