// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/forge"
)

// gitlabOperations are facts of GitLab's documentation, doc/api/merge_requests.md and
// doc/api/users.md; the names are those of its published description, doc/api/openapi.
var gitlabOperations = []operation{
	{id: "getApiV4User", method: "GET", path: "/api/v4/user", status: 200, answer: fields{"id": "integer!", "username": "string!"}},
	{
		id: "getApiV4Users", method: "GET", path: "/api/v4/users", status: 200, list: true, query: fields{"username": "string", "page": "integer", "per_page": "integer"},
		answer: fields{"id": "integer!", "username": "string!"},
	},
	{
		id: "getApiV4ProjectsIdMergeRequests", method: "GET", path: "/api/v4/projects/{id}/merge_requests", status: 200, list: true, answer: gitlabRequest,
		query: fields{
			"author_username": "string", "scope": "created_by_me|assigned_to_me|all", "state": "opened|closed|locked|merged|all", "target_branch": "string",
			"source_branch": "string", "order_by": "created_at|updated_at", "sort": "asc|desc", "updated_after": "time", "page": "integer", "per_page": "integer",
		},
	},
	{
		id: "getApiV4ProjectsIdMergeRequestsMergeRequestIidCommits", method: "GET", path: "/api/v4/projects/{id}/merge_requests/{merge_request_iid}/commits",
		status: 200, list: true, query: fields{"page": "integer", "per_page": "integer"}, answer: fields{"message": "string!"},
	},
	{
		id: "postApiV4ProjectsIdMergeRequests", method: "POST", path: "/api/v4/projects/{id}/merge_requests", status: 201, answer: gitlabRequest,
		body: fields{
			"source_branch": "string!", "target_branch": "string!", "title": "string!", "description": "string", "labels": "string", "reviewer_ids": "[]integer",
			"remove_source_branch": "boolean", "squash": "boolean",
		},
	},
	{
		id: "putApiV4ProjectsIdMergeRequestsMergeRequestIid", method: "PUT", path: "/api/v4/projects/{id}/merge_requests/{merge_request_iid}", status: 200,
		answer: gitlabRequest,
		body: fields{
			"title": "string", "description": "string", "state_event": "close|reopen", "add_labels": "string", "remove_labels": "string", "labels": "string",
			"reviewer_ids": "[]integer", "target_branch": "string",
		},
	},
}

// gitlabRequest is what is read of a merge request.
var gitlabRequest = fields{
	"iid": "integer!", "state": "opened|closed|locked|merged!", "title": "string!", "description": "string?", "web_url": "string!", "labels": "[]string!",
	"updated_at": "time!", "closed_at": "time?", "merged_at": "time?", "source_branch": "string!", "target_branch": "string!", "source_project_id": "integer!",
	"target_project_id": "integer!",
}

func gitlabAnswer(op operation, _ []string, _ url.Values) any {
	request := func(iid int, state string, source int) object {
		r := object{"iid": iid, "state": state, "title": "T", "description": "B", "web_url": "https://git/acme/sub/fleet/-/merge_requests/7", "labels": []string{"superseded"}, "updated_at": "2026-01-02T03:04:05Z",
			"source_branch": "pintle/main", "target_branch": "main", "source_project_id": source, "target_project_id": 1}
		if state != "opened" {
			r[state+"_at"] = "2026-01-02T03:04:05Z"
		}
		return r
	}
	switch op.id {
	case "getApiV4User":
		return object{"id": 3, "username": "pintle-bot"}
	case "getApiV4Users":
		return []object{{"id": 12, "username": "rev"}}
	case "getApiV4ProjectsIdMergeRequests":
		return []object{request(7, "opened", 1), request(6, "merged", 1), request(5, "closed", 1), request(4, "opened", 2)}
	case "getApiV4ProjectsIdMergeRequestsMergeRequestIidCommits":
		return []object{{"message": "one"}, {"message": "two"}}
	default:
		return request(7, "opened", 1)
	}
}

// The fake refuses what the description does not have: that the real GitLab answers
// like it was never tried.
func TestGitLabAsItIsDescribed(t *testing.T) {
	f := newFake(t, &fake{operations: gitlabOperations, header: "Private-Token", login: "t0ken", answer: gitlabAnswer})
	at, err := forge.New(f.server.URL+"/acme/sub/fleet.git", forge.GitLab, forge.Auth{Username: "x", Password: "t0ken"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := at.Requests(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	ended := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := forge.Request{URL: "https://git/acme/sub/fleet/-/merge_requests/7", Branch: "pintle/main", Text: forge.Text{Title: "T", Body: "B"}, Labels: []string{"superseded"}}
	open, merged, closed := base, base, base
	open.Number = 7
	merged.Number, merged.State, merged.Ended = 6, forge.Merged, ended
	closed.Number, closed.State, closed.Ended = 5, forge.Closed, ended
	if diff := cmp.Diff([]forge.Request{open, merged, closed}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	f.asked = nil
	steps(t, at)
	const one = "PUT /api/v4/projects/{id}/merge_requests/{merge_request_iid} "
	want := []string{
		`GET /api/v4/projects/{id}/merge_requests/{merge_request_iid}/commits`,
		`POST /api/v4/projects/{id}/merge_requests {"title":"T","description":"B","source_branch":"pintle/main","target_branch":"main"}`,
		one + `{"title":"T2","description":"B2"}`,
		one + `{"add_labels":"images"}`,
		`GET /api/v4/users`,
		one + `{"reviewer_ids":[12]}`,
		one + `{"state_event":"close"}`,
	}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if !strings.Contains(strings.Join(f.asked, " "), "reviewer_ids") {
		t.Error("nobody is asked for a review")
	}
}
