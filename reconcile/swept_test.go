// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
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
