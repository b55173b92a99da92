// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/forge"
)

// githubOperations are facts of GitHub's published description of its API, as
// @octokit/openapi 23.0.2 has it (api.github.com.json), under the root that an Enterprise
// server has.
var githubOperations = []operation{
	{id: "users/get-authenticated", method: "GET", path: "/api/v3/user", status: 200, answer: fields{"login": "string!"}},
	{
		id: "issues/list-for-repo", method: "GET", path: "/api/v3/repos/{owner}/{repo}/issues", status: 200, list: true,
		query: fields{
			"milestone": "string", "state": "open|closed|all", "assignee": "string", "type": "string", "creator": "string", "mentioned": "string", "labels": "string",
			"sort": "created|updated|comments", "direction": "asc|desc", "since": "time", "per_page": "integer", "page": "integer",
		},
		answer: fields{
			"number": "integer!", "state": "string!", "title": "string!", "body": "string?", "html_url": "string!", "updated_at": "time!", "closed_at": "time?!",
			"labels": "[]object!", "pull_request": "object",
		},
	},
	{id: "pulls/get", method: "GET", path: "/api/v3/repos/{owner}/{repo}/pulls/{pull_number}", status: 200, answer: githubPull},
	{
		id: "pulls/list-commits", method: "GET", path: "/api/v3/repos/{owner}/{repo}/pulls/{pull_number}/commits", status: 200, list: true,
		query: fields{"per_page": "integer", "page": "integer"}, answer: fields{"commit": "object!"},
	},
	{
		id: "pulls/create", method: "POST", path: "/api/v3/repos/{owner}/{repo}/pulls", status: 201, answer: githubPull,
		body: fields{
			"title": "string", "head": "string!", "head_repo": "string", "base": "string!", "body": "string", "maintainer_can_modify": "boolean", "draft": "boolean",
			"issue": "integer",
		},
	},
	{
		id: "pulls/update", method: "PATCH", path: "/api/v3/repos/{owner}/{repo}/pulls/{pull_number}", status: 200, answer: githubPull,
		body: fields{"title": "string", "body": "string", "state": "open|closed", "base": "string", "maintainer_can_modify": "boolean"},
	},
	{
		id: "issues/add-labels", method: "POST", path: "/api/v3/repos/{owner}/{repo}/issues/{issue_number}/labels", status: 200, list: true,
		body: fields{"labels": "[]string"}, answer: fields{"name": "string!"},
	},
	{
		id: "pulls/request-reviewers", method: "POST", path: "/api/v3/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", status: 201,
		body: fields{"reviewers": "[]string", "team_reviewers": "[]string"}, answer: githubPull,
	},
}

// githubPull is what is read of a pull request.
var githubPull = fields{"number": "integer!", "html_url": "string!", "merged": "boolean", "head": "object!", "base": "object!"}

type object = map[string]any

func githubAnswer(op operation, path []string, _ url.Values) any {
	pull := func(number int, base string, repo int, merged bool) object {
		return object{"number": number, "html_url": "https://git/acme/fleet/pull/7", "merged": merged,
			"head": object{"ref": "pintle/main", "repo": object{"id": repo}}, "base": object{"ref": base, "repo": object{"id": 1}}}
	}
	issue := func(number int, state string, isPull bool) object {
		i := object{"number": number, "state": state, "title": "T", "body": "B", "html_url": "https://git/acme/fleet/pull/7", "updated_at": "2026-01-02T03:04:05Z", "closed_at": nil, "labels": []object{{"name": "superseded"}}}
		if state == "closed" {
			i["closed_at"] = "2026-01-02T03:04:05Z"
		}
		if isPull {
			links := object{"url": "x"}
			if number == 6 {
				links["merged_at"] = "2026-01-02T03:04:05Z"
			}
			i["pull_request"] = links
		}
		return i
	}
	switch op.id {
	case "users/get-authenticated":
		return object{"login": "pintle-bot"}
	case "issues/list-for-repo":
		return []object{issue(9, "open", false), issue(7, "open", true), issue(6, "closed", true), issue(5, "closed", true), issue(4, "open", true), issue(3, "open", true)}
	case "pulls/get":
		return map[string]object{
			"7": pull(7, "main", 1, false), "6": pull(6, "main", 1, true), "5": pull(5, "main", 1, false),
			"4": pull(4, "main", 2, false), // of a fork
			"3": pull(3, "other", 1, false),
		}[path[2]]
	case "pulls/list-commits":
		return []object{{"commit": object{"message": "one"}}, {"commit": object{"message": "two"}}}
	case "issues/add-labels":
		return []object{}
	default:
		return pull(7, "main", 1, false)
	}
}

// The fake refuses what the description does not have: that the real GitHub answers
// like it was never tried.
func TestGitHubAsItIsDescribed(t *testing.T) {
	f := newFake(t, &fake{operations: githubOperations, header: "Authorization", login: "Bearer t0ken", answer: githubAnswer})
	at, err := forge.New(f.server.URL+"/acme/fleet.git", forge.GitHub, forge.Auth{Username: "x", Password: "t0ken"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := at.Requests(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	ended := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := forge.Request{URL: "https://git/acme/fleet/pull/7", Branch: "pintle/main", Text: forge.Text{Title: "T", Body: "B"}, Labels: []string{"superseded"}}
	open, merged, closed := base, base, base
	open.Number = 7
	merged.Number, merged.Branch, merged.State, merged.Ended = 6, "", forge.Merged, ended
	closed.Number, closed.State, closed.Ended = 5, forge.Closed, ended
	if diff := cmp.Diff([]forge.Request{open, merged, closed}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	asked := len(f.asked)
	if _, err := at.Requests(t.Context(), "main"); err != nil || len(f.asked) != asked+1 {
		t.Errorf("the second list asks %v, %v", f.asked[asked:], err)
	}
	f.asked = nil
	steps(t, at)
	want := []string{
		`GET /api/v3/repos/{owner}/{repo}/pulls/{pull_number}/commits`,
		`POST /api/v3/repos/{owner}/{repo}/pulls {"title":"T","head":"pintle/main","base":"main","body":"B"}`,
		`PATCH /api/v3/repos/{owner}/{repo}/pulls/{pull_number} {"title":"T2","body":"B2"}`,
		`POST /api/v3/repos/{owner}/{repo}/issues/{issue_number}/labels {"labels":["images"]}`,
		`POST /api/v3/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers {"reviewers":["rev"]}`,
		`PATCH /api/v3/repos/{owner}/{repo}/pulls/{pull_number} {"state":"closed"}`,
	}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// steps does each thing once.
func steps(t *testing.T, at forge.Forge) {
	t.Helper()
	messages, err := at.Messages(t.Context(), 7)
	if diff := cmp.Diff([]string{"one", "two"}, messages); diff != "" || err != nil {
		t.Errorf("messages (-want +got):\n%s%v", diff, err)
	}
	opened, err := at.Open(t.Context(), "pintle/main", "main", forge.Text{Title: "T", Body: "B"})
	if err != nil || opened.Number != 7 || opened.URL == "" {
		t.Errorf("opened %+v, %v", opened, err)
	}
	if err := at.Edit(t.Context(), 7, forge.Text{Title: "T2", Body: "B2"}); err != nil {
		t.Error(err)
	}
	if err := at.Label(t.Context(), 7, []string{"images"}); err != nil {
		t.Error(err)
	}
	if err := at.Ask(t.Context(), 7, []string{"rev"}); err != nil {
		t.Error(err)
	}
	if err := at.Close(t.Context(), 7); err != nil {
		t.Error(err)
	}
}
