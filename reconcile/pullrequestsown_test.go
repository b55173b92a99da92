// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/signers"
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

// What somebody made of Pintle's commit under a name of their own is theirs. Another
// author for Pintle's commits makes none of the old ones somebody's.
func amended(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.commits.Author = reconcile.Signature{Name: "Bot", Email: "bot@example.com"}
	f.push(f.name, "1.2.0")
	if f.pass(reconcile.Proposed); f.holds(own) != "1.2.0" {
		t.Error("with another author the branch stays as it is")
	}
	u := f.clone()
	u.git("checkout", "--quiet", own)
	u.write("NOTES", "by hand\n")
	u.git("add", "--all")
	u.git("commit", "--quiet", "--amend", "--no-edit", "--reset-author")
	u.git("push", "--quiet", "--force", "origin", "HEAD")
	theirs := f.tip(own)
	f.push(f.name, "1.3.0")
	report := f.pass(reconcile.Proposed)
	if f.tip(own) != theirs || len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Message, theirs[:9]) {
		t.Errorf("the branch is at %s, want %s; the problems are %+v", f.tip(own), theirs, report.Problems)
	}
}

// Whoever may but commit to a request's branch declines nothing of others by a trailer.
func plantedVeto(t *testing.T, f *forged) {
	f.push("two", "1.0.0", "1.1.0")
	f.person(func(u user) {
		u.write("policies/two.yaml", f.policy("two", "two"))
		u.write("apps/two.yaml", f.deployment("two", "two:1.0.0", "two"))
	}, "Another")
	f.how.Grouping = "Policy"
	f.pass(reconcile.Proposed)
	_, trailer, _ := strings.Cut(f.pull(2).Body, "\nPintle-Update:")
	u := f.clone()
	u.git("checkout", "--quiet", f.pull(1).Head.Ref)
	u.git("commit", "--quiet", "--allow-empty", "--message", "Help\n\nPintle-Update:"+trailer)
	u.git("push", "--quiet", "origin", "HEAD")
	f.close(1)
	report, err := f.process().Sync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"prod/app RolledBack", "prod/two Proposed"}, reasons(report)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What was proposed before commits were signed is signed then, once.
func signedLater(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	for _, s := range signers.All(t) {
		f.commits.Keys = keysOf(t, s)
		f.pass(reconcile.Proposed)
		if err := s.Verify(t, f.clone().dir, "origin/"+own); err != nil {
			t.Errorf("not signed: %v", err)
		}
	}
}

// A request that is open when the time for writing ends stays, and is no problem.
func frozenMeanwhile(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	tip := f.tip(own)
	f.pace.Frozen = "when it thaws"
	f.person(func(u user) { u.write("README", "more\n") }, "More")
	report := f.pass(reconcile.WindowClosed)
	if p := f.pull(1); p.State != "open" || f.tip(own) != tip || len(report.Problems) > 0 {
		t.Errorf("the request is %+v, the problems are %+v", p, report.Problems)
	}
	if says := report.Policies[0]; says.Request == nil || says.Request.Number != 1 || !strings.Contains(says.Message, "; until then #1 (") {
		t.Errorf("the policy's request is %+v, and it says %q", says.Request, says.Message)
	}
}

// GitHub gives a request the label that is there, in whatever case.
func supersededInCapitals(_ *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.api(http.MethodPost, "/labels", map[string]any{"name": "Superseded", "color": "#aaaaaa"}, nil)
	f.api(http.MethodPost, "/issues/1/labels", map[string]any{"labels": []string{"Superseded"}}, nil)
	f.close(1)
	f.pass(reconcile.Proposed)
}

// What a forge refuses of one request does not keep the others waiting.
func unknownReviewer(t *testing.T, f *forged) {
	f.push("two", "1.0.0", "1.1.0")
	f.person(func(u user) {
		u.write("policies/two.yaml", f.policy("two", "two"))
		u.write("apps/two.yaml", f.deployment("two", "two:1.0.0", "two"))
	}, "Two")
	f.how.Grouping, f.how.Reviewers = "Policy", []string{"nobody"}
	_, err := f.process().Sync(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "cannot ask for reviews of pull request #1 ") || f.pulls() != 2 {
		t.Errorf("%d requests are open, and the error is %v", f.pulls(), err)
	}
	f.how.Reviewers = nil
	f.pass(reconcile.Proposed)
}
