// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/gitwriter/forge"
)

// long is a forge with many requests, by number; number 1 is the oldest.
type long struct {
	states  []string
	updated []time.Time
}

var longAgo = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newLong has 200 merged ones, 100 closed ones, and an open one.
func newLong() *long {
	l := &long{}
	for i := range 301 {
		state := "merged"
		if i >= 200 {
			state = "closed"
		}
		l.states, l.updated = append(l.states, state), append(l.updated, longAgo.Add(time.Duration(i)*time.Hour))
	}
	l.states[300] = "open"
	return l
}

// change gives a request another state, later than all else.
func (l *long) change(number int, state string) {
	newest := longAgo
	for _, u := range l.updated {
		if u.After(newest) {
			newest = u
		}
	}
	l.states[number-1], l.updated[number-1] = state, newest.Add(time.Hour)
}

// list are the requests that changed since, the newest first.
func (l *long) list(since string, one func(number int, state, updated string) object) []object {
	from, _ := time.Parse(time.RFC3339, since)
	var all []object
	for i, state := range slices.Backward(l.states) {
		if !l.updated[i].Before(from) {
			all = append(all, one(i+1, state, l.updated[i].Format(time.RFC3339)))
		}
	}
	return all
}

func (l *long) github(op operation, _ []string, query url.Values) any {
	if op.id != "issues/list-for-repo" {
		answer := githubAnswer(op, []string{"", "", "7"}, query)
		if op.id == "pulls/get" {
			answer.(object)["number"] = 1
		}
		return answer
	}
	return l.list(query.Get("since"), func(number int, state, updated string) object {
		links := object{"url": "x"}
		i := object{"number": number, "state": "closed", "title": "T", "html_url": "x", "updated_at": updated, "closed_at": updated, "labels": []object{}, "pull_request": links}
		switch state {
		case "merged":
			links["merged_at"] = updated
		case "open":
			i["state"], i["closed_at"] = "open", nil
		}
		return i
	})
}

func (l *long) gitlab(op operation, path []string, query url.Values) any {
	if op.id != "getApiV4ProjectsIdMergeRequests" {
		return gitlabAnswer(op, path, query)
	}
	return l.list(query.Get("updated_after"), func(number int, state, updated string) object {
		if state == "open" {
			state = "opened"
		}
		return object{"iid": number, "state": state, "title": "T", "web_url": "x", "updated_at": updated, "labels": []string{},
			"source_branch": "pintle/main", "target_branch": "main", "source_project_id": 1, "target_project_id": 1}
	})
}

// However many requests there were, once they are known a list is one question, and one
// more at GitHub for each that changed. A list that broke off is read again.
func TestOnlyWhatChangedIsListedAgain(t *testing.T) {
	for kind, c := range map[forge.Kind]struct {
		operations    []operation
		header, login string
		answer        func(*long) func(operation, []string, url.Values) any
		cold, changed int
	}{
		// Whose login it is, four pages, and what no list tells of those that were not merged.
		forge.GitHub: {githubOperations, "Authorization", "Bearer t0ken", func(l *long) func(operation, []string, url.Values) any { return l.github }, 1 + 4 + 101, 2},
		forge.GitLab: {gitlabOperations, "Private-Token", "t0ken", func(l *long) func(operation, []string, url.Values) any { return l.gitlab }, 1 + 4, 1},
	} {
		t.Run(string(kind), func(t *testing.T) {
			l := newLong()
			f := newFake(t, &fake{operations: c.operations, header: c.header, login: c.login, answer: c.answer(l)})
			at, err := forge.New(f.server.URL+"/acme/fleet.git", kind, forge.Auth{Password: "t0ken"})
			if err != nil {
				t.Fatal(err)
			}
			expect := func(questions int, want map[forge.State]int, first forge.State) {
				t.Helper()
				f.asked = nil
				all, err := at.Requests(t.Context(), "main")
				if err != nil {
					t.Fatal(err)
				}
				got := map[forge.State]int{}
				for i, r := range all {
					got[r.State]++
					if r.Number != 301-i {
						t.Fatalf("number %d is at place %d", r.Number, i)
					}
				}
				if len(f.asked) != questions || fmt.Sprint(got) != fmt.Sprint(want) || all[300].State != first {
					t.Errorf("%d questions and %v, the first of them %v; want %d, %v and %v", len(f.asked), got, all[300].State, questions, want, first)
				}
			}
			expect(c.cold, map[forge.State]int{forge.Open: 1, forge.Merged: 200, forge.Closed: 100}, forge.Merged)
			expect(1, map[forge.State]int{forge.Open: 1, forge.Merged: 200, forge.Closed: 100}, forge.Merged)
			l.change(301, "closed")
			expect(c.changed, map[forge.State]int{forge.Merged: 200, forge.Closed: 101}, forge.Merged)
			l.change(1, "open") // an old one, as by a person who reopens it
			f.fault = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
			if _, err := at.Requests(t.Context(), "main"); err == nil {
				t.Error("a list is taken for read that was not")
			}
			f.fault = nil
			expect(c.changed, map[forge.State]int{forge.Open: 1, forge.Merged: 199, forge.Closed: 101}, forge.Open)
			expect(1, map[forge.State]int{forge.Open: 1, forge.Merged: 199, forge.Closed: 101}, forge.Open)
		})
	}
}
