// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/reconcile"
)

// own is the branch that is proposed from.
const own = "pintle/main"

// What people do with requests, at a real Gitea. Each case has a repository of its own.
func TestPullRequests(t *testing.T) {
	g := parts.Gitea(t)
	host := parts.Registry(t, parts.RegistryOptions{})
	for name, test := range map[string]func(*testing.T, *forged){
		"open":       opened,
		"in-place":   updatedInPlace,
		"rebased":    rebased,
		"foreign":    foreign,
		"closed":     closedIsAVeto,
		"resumed":    resumedAfterClosed,
		"merge":      mergedBy("merge", 1),
		"rebase":     mergedBy("rebase", 1),
		"squash":     mergedBy("squash", 0),
		"described":  mergedBy("squash", 1),
		"bare":       mergedWithoutTrailers,
		"superseded": superseded,
		"half":       halfDone,
		"down":       forgeDown,
		"reopened":   reopened,
		"by-hand":    takenByHand,
		"others":     othersDoNotCount,
		"pinned":     pinDeclined,
		"silent":     silentRegistry,
		"grouped":    grouped,
		"meanwhile":  mergedMeanwhile,
		"protected":  protected,
		"beside":     besideEachOther,
		"reviewer":   unknownReviewer,
		"amended":    amended,
		"signed":     signedLater,
		"frozen":     frozenMeanwhile,
		"capitals":   supersededInCapitals,
		"planted":    plantedVeto,
		"paced":      declinedTakesNoPlace,
		"owners":     twoOwners,
		"many":       manyClosed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newForged(t, g, host, name))
		})
	}
}

func opened(t *testing.T, f *forged) {
	f.forge.Call(t, http.MethodPost, "/admin/users", map[string]any{"username": "rev", "email": "rev@example.com", "password": "s3cret-enough", "must_change_password": false}, nil)
	f.api(http.MethodPut, "/collaborators/rev", map[string]any{"permission": "write"}, nil)
	f.how.Labels, f.how.Reviewers = []string{"images"}, []string{"rev"}
	report := f.pass(reconcile.Proposed)
	p := f.pull(1)
	if p.State != "open" || p.Head.Ref != own || len(p.Labels) != 1 || p.Labels[0].Name != "images" || len(p.RequestedReviewers) != 1 {
		t.Errorf("the request is %+v", p)
	}
	if want := "Update " + f.image(f.name) + " to 1.1.0"; p.Title != want {
		t.Errorf("its title is %q, want %q", p.Title, want)
	}
	for _, part := range []string{"| `apps/app.yaml:11` | `" + f.image(f.name) + ":1.0.0` | `" + f.image(f.name) + ":1.1.0@sha256:", "\nPintle-Update: prod/app 1 "} {
		if !strings.Contains(p.Body, part) {
			t.Errorf("its body lacks %q:\n%s", part, p.Body)
		}
	}
	got := report.Policies[0]
	if got.Request == nil || got.Request.Number != 1 || !strings.HasSuffix(got.Request.URL, "/ada/"+f.name+"/pulls/1") || !strings.Contains(got.Message, "#1") {
		t.Errorf("the policy is %+v", got)
	}
	if len(report.Commits) != 1 || report.Commits[0].SHA != f.tip(own) || f.holds("main") != "1.0.0" || f.holds(own) != "1.1.0" {
		t.Errorf("the commits are %+v", report.Commits)
	}
	if f.pass(reconcile.Proposed); f.pulls() != 1 {
		t.Error("another process opens another request")
	}
}

func updatedInPlace(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.push(f.name, "1.2.0")
	f.pass(reconcile.Proposed)
	if p := f.pull(1); f.pulls() != 1 || f.holds(own) != "1.2.0" || !strings.HasSuffix(p.Title, "1.2.0") || !strings.Contains(p.Body, "<!-- pintle: "+f.tip(own)) {
		t.Errorf("of %d requests the first is %+v", f.pulls(), p)
	}
	if log := f.clone().git("log", "--oneline", "origin/main..origin/"+own); strings.Count(log, "\n") > 0 {
		t.Errorf("the branch has more than one commit:\n%s", log)
	}
}

func rebased(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.person(func(u user) { u.write("README", "more\n") }, "More")
	f.pass(reconcile.Proposed)
	if base := f.clone().git("merge-base", "origin/main", "origin/"+own); base != f.tip("main") {
		t.Errorf("the branch stands on %s, want %s", base, f.tip("main"))
	}
}

func foreign(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	u := f.clone()
	u.git("checkout", "--quiet", own)
	u.write("NOTES", "by hand\n")
	u.git("add", "--all")
	u.git("commit", "--quiet", "--message", "Help")
	u.git("push", "--quiet", "origin", "HEAD")
	theirs := f.tip(own)
	f.push(f.name, "1.2.0")
	report := f.pass(reconcile.Proposed)
	if f.tip(own) != theirs {
		t.Error("somebody's commit is overwritten")
	}
	if len(report.Problems) != 1 || !strings.Contains(report.Problems[0].Message, theirs[:9]) || !strings.Contains(report.Policies[0].Message, "waits for #1") {
		t.Errorf("the problems are %+v, and the policy is %+v", report.Problems, report.Policies[0])
	}
	// Neither is it closed when nothing is left.
	f.person(func(u user) { u.edit("apps/app.yaml", ":1.0.0", ":1.2.0") }, "By hand")
	f.person(func(u user) { u.edit("policies/app.yaml", "spec:", "spec:\n  suspend: true") }, "Stop")
	f.pass(reconcile.Suspended)
	if p := f.pull(1); p.State != "open" || f.tip(own) != theirs {
		t.Errorf("the request with somebody's commit is %+v", p)
	}
}

func closedIsAVeto(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.close(1)
	report := f.pass(reconcile.RolledBack)
	if m := report.Policies[0].Message; !strings.Contains(m, "1.1.0 was declined by closing #1 (") || f.pulls() != 1 {
		t.Errorf("the message is %q, and there are %d requests", m, f.pulls())
	}
	// Another tag of the same digest is the same image, and what is next best is not taken.
	f.push(f.name, "1.0.5")
	f.pass(reconcile.RolledBack)
	f.push(f.name, "1.2.0")
	f.pass(reconcile.Proposed)
	if f.holds(own) != "1.2.0" || f.pull(2).State != "open" {
		t.Errorf("the second request is %+v", f.pull(2))
	}
	f.close(2)
	f.pass(reconcile.RolledBack)
	// The label says that it was no decision.
	f.api(http.MethodPost, "/labels", map[string]any{"name": "superseded", "color": "#aaaaaa"}, nil)
	f.api(http.MethodPost, "/issues/2/labels", map[string]any{"labels": []string{"superseded"}}, nil)
	f.pass(reconcile.Proposed)
}

func resumedAfterClosed(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.close(1)
	f.pass(reconcile.RolledBack)
	if _, err := f.process().Resume(t.Context(), "prod/app"); err != nil {
		t.Fatal(err)
	}
	f.pass(reconcile.UpToDate)
	if f.holds("main") != "1.1.0" || f.pulls() != 1 {
		t.Errorf("main holds %s", f.holds("main"))
	}
}

// mergedBy merges in one of three ways; the branch stays. What was merged with the
// trailers is an entry with a revision, as where the squash takes the request's text;
// and a revert is a decision in each case.
func mergedBy(way string, revision int) func(*testing.T, *forged) {
	return func(t *testing.T, f *forged) {
		f.pass(reconcile.Proposed)
		options := map[string]any{"Do": way}
		if way == "squash" && revision > 0 {
			options["MergeMessageField"] = f.pull(1).Body
		}
		f.merge(options)
		f.pass(reconcile.UpToDate)
		history, err := f.process().History(t.Context(), "prod/app")
		if err != nil || len(history) == 0 || history[0].Revision != revision {
			t.Errorf("the history is %+v, %v", history, err)
		}
		if f.pulls() != 1 || f.holds("main") != "1.1.0" {
			t.Errorf("there are %d requests", f.pulls())
		}
		f.person(func(u user) {
			args := []string{"revert", "--no-edit", "HEAD"}
			if way == "merge" {
				args = []string{"revert", "--no-edit", "-m", "1", "HEAD"}
			}
			u.git(args...)
			u.write("README", "so that there is a commit\n")
		}, "More")
		f.pass(reconcile.RolledBack)
		f.push(f.name, "1.2.0")
		f.pass(reconcile.Proposed)
		if p := f.pull(2); p.State != "open" || f.holds(own) != "1.2.0" {
			t.Errorf("the next request is %+v", p)
		}
	}
}

func mergedWithoutTrailers(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	f.merge(map[string]any{"Do": "squash", "MergeTitleField": "Merged", "MergeMessageField": "without a word", "delete_branch_after_merge": true})
	if body := f.clone().git("log", "-1", "--format=%B", "origin/main"); strings.Contains(body, "Pintle-Update") {
		t.Fatalf("the squash has trailers:\n%s", body)
	}
	f.pass(reconcile.UpToDate)
	if f.tip(own) != "" || f.pulls() != 1 {
		t.Error("a merged branch is made again")
	}
	f.person(func(u user) {
		u.git("revert", "--no-edit", "HEAD")
		u.write("README", "more\n")
	}, "More")
	f.pass(reconcile.RolledBack)
}

func superseded(t *testing.T, f *forged) {
	f.pass(reconcile.Proposed)
	line := f.clone()
	line.git("checkout", "--quiet", "origin/"+own)
	same := line.git("show", "HEAD:apps/app.yaml")
	f.person(func(u user) { u.write("apps/app.yaml", same+"\n") }, "The same by hand")
	f.pass(reconcile.UpToDate)
	if p := f.pull(1); p.State != "closed" || p.Merged || len(p.Labels) != 1 || p.Labels[0].Name != "superseded" || f.tip(own) != "" {
		t.Errorf("the request is %+v, the branch at %q", p, f.tip(own))
	}
	// It is no veto.
	f.person(func(u user) { u.write("apps/app.yaml", f.deployment("app", f.name+":1.0.0", "app")) }, "Undo")
	f.push(f.name, "1.2.0")
	f.pass(reconcile.Proposed)
}

// halfDone is what a process left that ended between two of its steps.
func halfDone(t *testing.T, f *forged) {
	f.how.Labels = []string{"images"}
	f.pass(reconcile.Proposed)
	f.api(http.MethodPatch, "/pulls/1", map[string]any{"body": "lost"}, nil)
	f.api(http.MethodDelete, "/issues/1/labels", nil, nil)
	f.pass(reconcile.Proposed)
	if p := f.pull(1); len(p.Labels) != 1 || !strings.Contains(p.Body, "<!-- pintle: "+f.tip(own)) {
		t.Errorf("the request is %+v", p)
	}
	// Labelled, and not closed.
	f.api(http.MethodPost, "/labels", map[string]any{"name": "superseded", "color": "#aaaaaa"}, nil)
	f.api(http.MethodPost, "/issues/1/labels", map[string]any{"labels": []string{"superseded"}}, nil)
	f.pass(reconcile.Proposed)
	if first, second := f.pull(1), f.pull(2); first.State != "closed" || second.State != "open" {
		t.Errorf("the requests are %+v and %+v", first, second)
	}
}

func forgeDown(t *testing.T, f *forged) {
	for status, kind := range map[int]forge.Reason{503: forge.Unreachable, 401: forge.Unauthorized, 403: forge.Forbidden, 404: forge.NotFound, 429: forge.TooMany, 422: forge.Refused} {
		f.front.answer(status)
		f.front.taken()
		_, err := f.process().Sync(t.Context())
		known, ok := errors.AsType[*forge.Error](err)
		if !ok || known.Kind != kind || strings.Contains(err.Error(), f.forge.Token) {
			t.Errorf("with %d the error is %v, of kind %+v", status, err, known)
		}
		if asked := f.front.taken(); asked["push"] > 0 || asked["write"] > 0 || asked["read"] != 1 {
			t.Errorf("with %d, %v is asked", status, asked)
		}
	}
	f.front.answer(0)
	if f.tip(own) != "" {
		t.Error("a branch is pushed although the forge does not answer")
	}
	f.pass(reconcile.Proposed)
}

func protected(t *testing.T, f *forged) {
	f.api(http.MethodPost, "/branch_protections", map[string]any{"rule_name": "main", "enable_push": false}, nil)
	f.pass(reconcile.Proposed)
	if f.pull(1).State != "open" {
		t.Error("there is no request")
	}
	f.merge(map[string]any{"Do": "squash", "force_merge": true})
	f.pass(reconcile.UpToDate)
}
