// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/reconcile"
)

// Of two that would propose to one branch, the one that came first does, until its
// request is merged: neither closes nor overwrites the other's.
func twoOwners(t *testing.T, f *forged) {
	f.how.Owner = "a/fleet"
	f.pass(reconcile.Proposed)
	before := f.tip(own)
	f.push(f.name, "1.2.0")
	f.how.Owner = "b/fleet"
	for range 2 {
		report, err := f.process().Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		says := report.Policies[0].Message
		if len(report.Commits) > 0 || len(report.Problems) != 1 || !strings.Contains(says, "waits for #1 (") || !strings.Contains(says, "it is by a/fleet") {
			t.Errorf("the other makes %d commits, its problems are %v, and it says %q", len(report.Commits), report.Problems, says)
		}
	}
	f.person(func(u user) { u.git("rm", "-q", "policies/app.yaml") }, "None are left")
	if _, err := f.process().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := f.pull(1); f.tip(own) != before || p.State != "open" || f.pulls() != 1 {
		t.Errorf("the other made of request 1 %+v", p)
	}
	f.how.Owner = "a/fleet"
	if _, err := f.process().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f.pull(1).State != "closed" {
		t.Error("its own request stays, of which nothing is left")
	}
}

// A pass asks once, however many requests there were before.
func manyClosed(t *testing.T, f *forged) {
	// No more than a page of 50, as all of them may have changed in the last minute, which is
	// listed anew; how many pages there are is counted at the fakes.
	const many = 30
	f.person(func(u user) { u.write("OTHER", "x\n"); u.git("checkout", "--quiet", "-b", "other") }, "Other")
	f.eventually("the forge knows the branch", func() error {
		return f.forge.Try(f.t, http.MethodGet, "/repos/ada/"+f.name+"/branches/other", nil, nil)
	})
	for i := range many {
		var p pull
		f.api(http.MethodPost, "/pulls", map[string]any{"head": "other", "base": "main", "title": fmt.Sprintf("Request %d", i)}, &p)
		f.close(p.Number)
	}
	if got := f.pass(reconcile.Proposed).Policies[0].Request.Number; got != many+1 {
		t.Errorf("it is proposed in #%d", got)
	}
	f.close(many + 1)
	f.pass(reconcile.RolledBack)
}
