// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/reconcile"
)

func reopened(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.close(1)
	f.pass(reconcile.RolledBack)
	f.api(http.MethodPatch, "/pulls/1", map[string]any{"state": "open"}, nil)
	f.pass(reconcile.Proposed)
	if f.pulls() != 1 {
		t.Error("another request is opened")
	}
}

// What somebody else opened and closed is no decision about what Pintle proposed.
func othersDoNotCount(t *testing.T, f *forged) {
	f.forge.Call(t, http.MethodPost, "/admin/users", map[string]any{"username": "eve", "email": "eve@example.com", "password": "s3cret-enough", "must_change_password": false}, nil)
	f.api(http.MethodPut, "/collaborators/eve", map[string]any{"permission": "write"}, nil)
	f.pass(reconcile.Proposed)
	f.api(http.MethodPatch, "/issues/1", map[string]any{"title": "x"}, nil)
	u := f.clone()
	u.git("push", "--quiet", "origin", "origin/"+own+":refs/heads/pintle/main-of-eve")
	eve := *f.forge
	eve.Username = "eve"
	f.eventually("eve can open a request", func() error {
		return eve.Try(t, http.MethodPost, "/repos/ada/"+f.name+"/pulls", map[string]any{"head": "pintle/main-of-eve", "base": "main", "title": "Mine"}, nil)
	})
	f.close(2)
	f.pass(reconcile.Proposed)
	// From the very branch, once Pintle's own request is gone.
	f.api(http.MethodPost, "/labels", map[string]any{"name": "superseded", "color": "#aaaaaa"}, nil)
	f.api(http.MethodPost, "/issues/1/labels", map[string]any{"labels": []string{"superseded"}}, nil)
	f.close(1)
	f.eventually("eve can open another", func() error {
		return eve.Try(t, http.MethodPost, "/repos/ada/"+f.name+"/pulls", map[string]any{"head": own, "base": "main", "title": "Mine"}, nil)
	})
	f.close(3)
	f.pass(reconcile.Proposed)
	if p := f.pull(4); p.State != "open" {
		t.Errorf("Pintle's second request is %+v", p)
	}
}

func pinDeclined(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.close(1)
	f.pass(reconcile.RolledBack)
	// Who pins what was declined wants it all the same.
	f.person(func(u user) { u.edit("policies/app.yaml", "spec:", "spec:\n  pin: {tag: 1.1.0}") }, "Pin")
	f.pass(reconcile.Proposed)
	f.close(2)
	report := f.pass(reconcile.Pinned)
	if m := report.Policies[0].Message; !strings.Contains(m, "was undone") || f.pulls() != 2 {
		t.Errorf("after the pin was declined: %q, %d requests", m, f.pulls())
	}
}

// While nothing is known of what was proposed, the request stays.
func silentRegistry(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	tip := f.tip(own)
	f.person(func(u user) { u.write("README", "more\n") }, "More")
	f.mute = true
	f.pass(reconcile.Failed)
	if p := f.pull(1); p.State != "open" || f.tip(own) != tip {
		t.Errorf("the request is %+v", p)
	}
	f.mute = false
	f.pass(reconcile.Proposed)
	if f.pulls() != 1 || f.tip(own) == tip {
		t.Error("the request is not taken up again")
	}
}

// One request for each image, or one for all; another grouping replaces them, although
// the name of one branch is a folder of the others.
func grouped(t *testing.T, f *forged) {
	f.push("other", "1.0.0", "1.1.0")
	f.person(func(u user) {
		u.write("policies/other.yaml", f.policy("other", "other"))
		u.write("apps/other.yaml", f.deployment("other", "other:1.0.0", "other"))
	}, "Another")
	states := func() (found []string) {
		for n := 1; n <= f.pulls(); n++ {
			p := f.pull(n)
			ref, _, _ := strings.Cut(p.Title, " to ")
			found = append(found, p.State+": "+strings.ReplaceAll(ref, f.registry, "R"))
		}
		return found
	}
	f.how.Grouping = "Image"
	f.pass(reconcile.Proposed)
	if diff := cmp.Diff([]string{"open: Update R/grouped", "open: Update R/other"}, states()); diff != "" {
		t.Fatalf("requests (-want +got):\n%s", diff)
	}
	for n, tag := range map[int]string{1: "grouped", 2: "other"} {
		if p := f.pull(n); !strings.HasPrefix(p.Head.Ref, own+"/127-0-0-1-") || !strings.Contains(p.Head.Ref, "-"+tag+"-") || strings.Count(p.Body, "| `apps/") != 1 {
			t.Errorf("request %d is %+v", n, p)
		}
	}
	f.how.Grouping = ""
	f.pass(reconcile.Proposed)
	if diff := cmp.Diff([]string{"closed: Update R/grouped", "closed: Update R/other", "open: Update R/grouped"}, states()); diff != "" {
		t.Fatalf("requests (-want +got):\n%s", diff)
	}
	if p := f.pull(3); !strings.HasSuffix(p.Title, "to 1.1.0 and 1 more") || strings.Count(p.Body, "Pintle-Update: ") != 2 {
		t.Errorf("the request for all is %+v", p)
	}
	f.how.Grouping = "Policy"
	f.pass(reconcile.Proposed)
	if p := f.pull(4); !strings.HasPrefix(p.Head.Ref, own+"/prod-app-") || f.pull(3).State != "closed" || f.pulls() != 5 {
		t.Errorf("the first for a policy is %+v", p)
	}
	// A decision on one is none on the other, whatever the grouping is.
	f.close(4)
	report := f.pass(reconcile.RolledBack)
	if got := report.Policies[1]; got.Reason != reconcile.Proposed || got.Request.Number != 5 {
		t.Errorf("the other policy is %+v", got)
	}
	f.how.Grouping = ""
	f.pass(reconcile.RolledBack)
	if p := f.pull(6); strings.Count(p.Body, "Pintle-Update: ") != 1 || f.pulls() != 6 {
		t.Errorf("the last request is %+v", p)
	}
}

// What is merged between two steps of a pass is neither proposed again nor closed.
func mergedMeanwhile(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.person(func(u user) { u.write("README", "more\n") }, "More")
	f.front.listed = func() { f.merge(map[string]any{"Do": "squash"}) }
	f.pass(reconcile.UpToDate)
	if p := f.pull(1); !p.Merged || len(p.Labels) > 0 || f.pulls() != 1 {
		t.Errorf("the merged request is %+v, one of %d", p, f.pulls())
	}
}

// What was declined, and somebody then writes by hand to one field, is wanted again in
// the others.
func takenByHand(t *testing.T, f *forged) {
	f.person(func(u user) { u.write("apps/two.yaml", f.deployment("two", f.name+":1.0.0", "app")) }, "Two")
	f.pass(reconcile.Proposed)
	f.close(1)
	f.pass(reconcile.RolledBack)
	same := f.clone().git("show", "origin/"+own+":apps/app.yaml")
	f.person(func(u user) { u.write("apps/app.yaml", same+"\n") }, "By hand")
	f.pass(reconcile.Proposed)
	if p := f.pull(2); p.State != "open" || strings.Count(p.Body, "| `apps/two.yaml") != 1 || strings.Contains(p.Body, "`apps/app.yaml") {
		t.Errorf("the second request is %+v", p)
	}
}

// What was declined takes no place of spec.maxPerPush: the next in line has its turn.
func declinedTakesNoPlace(t *testing.T, f *forged) {
	f.push("other", "1.0.0", "1.1.0")
	f.person(func(u user) {
		u.write("policies/other.yaml", f.policy("other", "other"))
		u.write("apps/other.yaml", f.deployment("other", "other:1.0.0", "other"))
	}, "Another")
	f.pace = reconcile.Pace{MaxPerPush: 1}
	report := f.pass(reconcile.Proposed)
	if got := report.Policies[1]; got.Reason != reconcile.WindowClosed {
		t.Fatalf("the second is %+v", got)
	}
	f.close(1)
	report = f.pass(reconcile.RolledBack)
	if got := report.Policies[1]; got.Reason != reconcile.Proposed || f.pulls() != 2 {
		t.Errorf("the second is %s (%s), and there are %d requests", got.Reason, got.Message, f.pulls())
	}
}
