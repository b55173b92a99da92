// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile"
)

// TestWalk takes random steps as a user would, and after each one checks what
// must always hold: a second pass writes nothing; a process that knows all that
// came before and one that knows nothing see the same; and a tag that somebody
// moved away from is not written again.
func TestWalk(t *testing.T) {
	const steps = 30
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			w := newWorld(t, gitserver.Options{})
			w.seed()
			warm := w.engine()
			minor, undone := 1, map[string]bool{}
			u := w.user()
			for step := range steps {
				before := w.tag(app)
				switch r.IntN(5) {
				case 0:
					minor++
					w.push("app", fmt.Sprintf("1.%d.0", minor))
				case 1:
					u.git("pull", "--quiet")
					if u.git("log", "-1", "--format=%an") == "Pintle" {
						u.git("revert", "--no-edit", "HEAD")
						u.push()
						undone[before] = true
					}
				case 2:
					by := fmt.Sprintf("1.%d.0", r.IntN(minor+1))
					if by != before {
						u.edit(app, u.reference(), w.image("app:"+by))
						u.commit("By hand")
						u.push()
						undone[before] = true
						delete(undone, by)
					}
				case 3:
					u.git("pull", "--quiet")
					u.git("commit", "--quiet", "--allow-empty", "--message", "Something else")
					u.push()
				case 4: // Nothing happens.
				}
				held := w.tag(app)
				report, err := warm.Sync(t.Context())
				if err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				after := w.tag(app)
				if after != held && undone[after] {
					t.Fatalf("step %d: %s was undone and is written again", step, after)
				}
				again, err := warm.Sync(t.Context())
				if err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				if len(again.Commits) != 0 {
					t.Fatalf("step %d: a second pass writes %v after %v", step, again.Commits, report.Commits)
				}
				fresh, err := w.engine().Plan(t.Context())
				if err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				if diff := cmp.Diff(reasons(again), reasons(fresh)); diff != "" {
					t.Fatalf("step %d: a fresh process sees it otherwise (-warm +fresh):\n%s", step, diff)
				}
			}
			w.repo.Fsck(t)
		})
	}
}

func reasons(r *reconcile.Report) []string {
	var all []string
	for _, p := range r.Policies {
		all = append(all, fmt.Sprintf("%s/%s %s", p.Namespace, p.Name, p.Reason))
	}
	return all
}
