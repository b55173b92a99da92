// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/forge"
)

// gitlabOperations are of GitLab's doc/api/openapi and doc/api/merge_requests.md.
var gitlabOperations = []operation{
	{method: "GET", path: "/api/v4/user", status: 200},
	{method: "GET", path: "/api/v4/users", query: []string{"username"}, must: []string{"username"}, status: 200},
	{method: "GET", path: "/api/v4/projects/{id}/merge_requests", query: []string{"author_username", "scope", "state", "target_branch", "source_branch", "order_by", "sort", "page", "per_page"}, must: []string{"author_username", "scope", "state"}, status: 200},
	{method: "GET", path: "/api/v4/projects/{id}/merge_requests/{merge_request_iid}/commits", query: []string{"page", "per_page"}, status: 200},
	{method: "POST", path: "/api/v4/projects/{id}/merge_requests", body: []string{"source_branch", "target_branch", "title", "description", "labels", "reviewer_ids", "remove_source_branch", "squash"}, must: []string{"source_branch", "target_branch", "title"}, status: 201},
	{method: "PUT", path: "/api/v4/projects/{id}/merge_requests/{merge_request_iid}", body: []string{"title", "description", "state_event", "add_labels", "remove_labels", "labels", "reviewer_ids", "target_branch"}, status: 200},
}

func gitlabAnswer(op string, _ []string, _ map[string]any) any {
	request := func(iid int, state string, source int) object {
		r := object{"iid": iid, "state": state, "title": "T", "description": "B", "web_url": "https://git/acme/sub/fleet/-/merge_requests/7", "labels": []string{"superseded"},
			"source_branch": "pintle/main", "target_branch": "main", "source_project_id": source, "target_project_id": 1}
		if state != "opened" {
			r[state+"_at"] = "2026-01-02T03:04:05Z"
		}
		return r
	}
	switch op {
	case "GET /api/v4/user":
		return object{"id": 3, "username": "pintle-bot"}
	case "GET /api/v4/users":
		return []object{{"id": 12, "username": "rev"}}
	case "GET /api/v4/projects/{id}/merge_requests":
		return []object{request(7, "opened", 1), request(6, "merged", 1), request(5, "closed", 1), request(4, "opened", 2)}
	case "GET /api/v4/projects/{id}/merge_requests/{merge_request_iid}/commits":
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
