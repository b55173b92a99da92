// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/reconcile"
)

// Two that work on different paths of one branch leave each other's requests alone.
func besideEachOther(t *testing.T, f *forged) {
	f.push("two", "1.0.0", "1.1.0")
	f.person(func(u user) {
		u.git("rm", "-rq", "policies", "apps")
		u.write("a/policy.yaml", f.policy("app", f.name))
		u.write("a/app.yaml", f.deployment("app", f.name+":1.0.0", "app"))
		u.write("b/policy.yaml", f.policy("two", "two"))
		u.write("b/app.yaml", f.deployment("two", "two:1.0.0", "two"))
	}, "Teams")
	for range 2 {
		for number, path := range []string{"a", "b"} {
			f.paths = []string{path}
			if got := f.pass(reconcile.Proposed).Policies[0].Request.Number; got != number+1 {
				t.Errorf("what is below %s is proposed in #%d", path, got)
			}
		}
	}
	f.person(func(u user) { u.git("rm", "-q", "b/policy.yaml") }, "No more")
	if _, err := f.process().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for number, state := range map[int]string{1: "open", 2: "closed"} {
		if p := f.pull(number); p.State != state || !strings.HasPrefix(p.Head.Ref, own+"-") && state == "open" {
			t.Errorf("request %d is %+v, want it %s", number, p, state)
		}
	}
}
