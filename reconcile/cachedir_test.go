// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// TestCacheDir: a process that finds what an earlier one kept reports what a fresh one
// does, for one look-up where the head stands, whether something was written or not; and
// it knows what was undone.
func TestCacheDir(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.seed()
	folder := t.TempDir()
	sync := func(what string, want gitserver.Counts) *reconcile.Report {
		t.Helper()
		e, err := reconcile.OpenBeside(w.engine(), reconcile.Config{
			Repo: w.address, CacheDir: folder, Warn: func(err error) { t.Error(err) },
			Registry: registry.Options{PlainHTTP: []string{w.registry}, Limits: registry.NewLimits(10_000)},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.server.Reset()
		report, err := e.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, w.server.Counts()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", what, diff)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		return report
	}
	report := sync("nothing is kept", gitserver.Counts{Lookups: 1, UploadPacks: 1, ReceivePacks: 1})
	if got := report.Policies[0].Reason; got != reconcile.Updated {
		t.Fatalf("the reason is %s", got)
	}
	report = sync("after a write", gitserver.Counts{Lookups: 1})
	if diff := cmp.Diff(w.sync(), report); diff != "" {
		t.Errorf("after a write (-fresh +got):\n%s", diff)
	}

	person := w.user()
	person.git("revert", "--no-edit", "HEAD")
	person.push()
	report = sync("after an undo", gitserver.Counts{Lookups: 1, UploadPacks: 1})
	if diff := cmp.Diff(w.sync(), report); diff != "" || report.Policies[0].Reason != reconcile.RolledBack {
		t.Errorf("after an undo (-fresh +got):\n%s", diff)
	}
	report = sync("after that", gitserver.Counts{Lookups: 1})
	if diff := cmp.Diff(w.sync(), report); diff != "" {
		t.Errorf("after that (-fresh +got):\n%s", diff)
	}
}
