// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// TestSwept: what a field held is known where a process fetched it, had no need to read
// it then, and let go of it.
func TestSwept(t *testing.T) {
	for name, options := range map[string]gitserver.Options{"filter": {}, "no filter": {NoFilter: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options)
			w.push("app", "1.0.0", "1.1.0")
			w.repo.Seed(t, map[string]string{"policies/app.yaml": w.policy("app", "app")}, "First")
			// So large that a few are worth to be let go of.
			rest := strings.Repeat("# "+strings.Repeat("-", 76)+"\n", 4000)
			for i, tag := range []string{"1.0.0", "1.2.0", "1.0.0", "1.1.0", "1.0.0"} {
				content := w.deployment("app", "app:"+tag, "app") + fmt.Sprintf("# %d\n", i) + rest
				w.repo.Seed(t, map[string]string{app: content}, "By hand")
			}
			e := w.engine()
			for round, tag := range []string{"", "1.2.0"} {
				if tag != "" {
					w.push("app", tag)
					w.repo.Seed(t, map[string]string{"notes/one.txt": tag}, "A note")
				}
				fresh, err := w.engine().Plan(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				report, err := e.Plan(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(fresh, report); diff != "" || report.Policies[0].Reason != reconcile.RolledBack {
					t.Errorf("round %d: %s (-fresh +got):\n%s", round, report.Policies[0].Reason, diff)
				}
			}
		})
	}
}

// TestBrokenUnderUs: where a process finds that the disk does not hold any more what was
// read of the past, it fails once and fetches it, and does not take the past for empty.
func TestBrokenUnderUs(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"policies/app.yaml": w.policy("app", "app"), app: w.deployment("app", "app:1.0.0", "app")}, "First")
	folder := t.TempDir()
	open := func() *reconcile.Engine {
		t.Helper()
		e, err := reconcile.OpenBeside(w.engine(), reconcile.Config{
			Repo: w.address, CacheDir: folder,
			Registry: registry.Options{PlainHTTP: []string{w.registry}, Limits: registry.NewLimits(10_000)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	w.repo.Seed(t, map[string]string{app: w.deployment("app", "app:1.1.0", "app")}, "By hand")
	e := open()
	if _, err := e.Plan(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.repo.Seed(t, map[string]string{app: w.deployment("app", "app:1.0.0", "app")}, "Back by hand")
	want, err := w.engine().Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	e = open()
	files, err := filepath.Glob(filepath.Join(folder, "git", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files: %v, %v", files, err)
	}
	kept, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.ReplaceAll(kept, []byte("app:1.1.0"), []byte("app:1.1.X")), 0o600); err != nil {
		t.Fatal(err)
	}
	if report, err := e.Plan(t.Context()); err == nil {
		t.Errorf("what is broken was no error; the reason is %s", report.Policies[0].Reason)
	}
	got, err := e.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Policies[0].Reason != reconcile.RolledBack {
		t.Errorf("after that: %s (-fresh +got):\n%s", got.Policies[0].Reason, diff)
	}
}

// TestOtherOrder: a merge that puts the same commits in another order, with the last head
// where it was, does not mix up what files held in them.
func TestOtherOrder(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"policies/app.yaml": w.policy("app", "app"), app: w.deployment("app", "app:1.0.0", "app"), "notes.txt": "one"}, "First")
	person := w.user()
	person.git("branch", "side")
	person.edit(app, "app:1.0.0", "app:1.2.0")
	person.commit("By hand")
	person.edit(app, "app:1.2.0", "app:1.0.0")
	person.commit("Back by hand")
	person.git("checkout", "--quiet", "side")
	for _, edit := range [][2]string{{"one", "two"}, {"two", "three"}} {
		person.edit("notes.txt", edit[0], edit[1])
		person.commit("A note")
	}
	person.git("checkout", "--quiet", "main")
	person.git("merge", "--quiet", "--no-ff", "-m", "Merge", "side")
	person.push()
	e := w.engine()
	for round := range 2 {
		if round == 1 {
			w.push("app", "1.2.0")
			person.git("checkout", "--quiet", "side")
			person.git("merge", "--quiet", "--no-ff", "-m", "The other way", "main")
			person.git("branch", "--force", "main")
			person.push()
		}
		want, err := w.engine().Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("round %d: %s, want %s (-fresh +got):\n%s", round, got.Policies[0].Reason, want.Policies[0].Reason, diff)
		}
	}
}
