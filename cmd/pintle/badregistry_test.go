// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/reconcile"
)

// answer gives every request about app the same answer.
func answer(status int, header map[string]string, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/v2/app/") {
			return false
		}
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
		return true
	}
}

// tagList cuts the list of app's tags down; the rest is the registry's.
func tagList(list string) func(http.ResponseWriter, *http.Request) bool {
	answers := answer(http.StatusOK, map[string]string{"Content-Type": "application/json"}, list)
	return func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/tags/list") && answers(w, r)
	}
}

// TestBadRegistries lets the registry of one policy misbehave: that policy
// says what is wrong, its field stays, and the other policy is written.
func TestBadRegistries(t *testing.T) {
	p := newParties(t)
	html := "<!DOCTYPE html><title>Log in: " + imagePassword + "</title>"
	asHTML := map[string]string{"Content-Type": "text/html"}
	tests := map[string]struct {
		fault   func(http.ResponseWriter, *http.Request) bool
		holds   string // the tag in app's field; 1.0.0 if empty
		down    bool
		reason  reconcile.Reason
		message string
	}{
		"down":          {down: true, reason: reconcile.Failed, message: "127.0.0.1:1 can't be reached"},
		"401":           {fault: answer(401, nil, ""), reason: reconcile.Failed, message: "401 Unauthorized: log in with `docker login " + p.front + "`"},
		"403":           {fault: answer(403, nil, ""), reason: reconcile.Failed, message: "403 Forbidden"},
		"404":           {fault: answer(404, nil, ""), reason: reconcile.Failed, message: "404 Not Found"},
		"500":           {fault: answer(500, nil, imagePassword), reason: reconcile.Failed, message: "500 Internal Server Error"},
		"HTML":          {fault: answer(200, asHTML, html), reason: reconcile.Failed, message: "cannot list tags of " + p.front + "/app"},
		"HTML 404":      {fault: answer(404, asHTML, html), reason: reconcile.Failed, message: "404 Not Found"},
		"no list":       {fault: tagList(`{"name":"app","tags":null}`), reason: reconcile.NoMatch, message: "lists no tag"},
		"empty list":    {fault: tagList(`{"name":"app","tags":[]}`), reason: reconcile.NoMatch, message: "lists no tag"},
		"cut JSON":      {fault: tagList(`{"name":"app","tags":["1.0.0","1.1`), reason: reconcile.Failed, message: "cannot list tags of " + p.front + "/app"},
		"shorter list":  {fault: tagList(`{"name":"app","tags":["1.0.0"]}`), holds: "1.1.0", reason: reconcile.DowngradeRefused, message: "prod/app stays at 1.1.0"},
		"no match":      {fault: tagList(`{"name":"app","tags":["0.1.0","nightly"]}`), reason: reconcile.NoMatch, message: "none of the 2 tags"},
		"no such image": {fault: tagList(`{"name":"app","tags":["9.9.9"]}`), reason: reconcile.NoMatch, message: "the registry lists it and has no image of it"},
		"hostile tags":  {fault: tagList(`{"name":"app","tags":["2.0.0\n\u001b[31m","3.0.0@x"]}`), reason: reconcile.NoMatch, message: "none of the 2 tags"},
		"wrong realm":   {fault: answer(401, map[string]string{"WWW-Authenticate": `Bearer realm="http://169.254.169.254/token?p=` + imagePassword + `"`}, ""), reason: reconcile.Failed, message: "cannot list tags of"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p.fault = test.fault
			host, holds := p.front, "1.0.0"
			if test.down {
				host = "127.0.0.1:1"
			}
			if test.holds != "" {
				holds = test.holds
			}
			repo := p.fleet(t, "registry-"+strings.ReplaceAll(name, " ", "-"), map[string]string{
				"policy.yaml": policyOf("app", host+"/app"),
				"app.yaml":    field(host+"/app:"+holds, "app"),
			})
			want := outcome{reason: test.reason, message: test.message, status: statusProblems}
			if test.reason == reconcile.DowngradeRefused {
				want.status = 0
			}
			p.check(t, repo, want)
		})
	}
}

// TestBusyRegistry: an answer 429 is obeyed in later requests of the process.
func TestBusyRegistry(t *testing.T) {
	p := newParties(t)
	p.fault = answer(429, map[string]string{"Retry-After": "120"}, "")
	repo := p.fleet(t, "busy", map[string]string{"policy.yaml": p.policy(), "app.yaml": field(p.front+"/app:1.0.0", "app")})
	p.check(t, repo, outcome{reason: reconcile.Failed, message: "429 Too Many Requests; it is not asked again before 20", status: statusProblems})
}

// TestWrongRegistryPassword asks the real registry with a login that is none.
func TestWrongRegistryPassword(t *testing.T) {
	p := newParties(t)
	p.dockerLogin(t, wrongPassword)
	repo := p.fleet(t, "fleet", map[string]string{"policy.yaml": p.policy(), "app.yaml": field(p.front+"/app:1.0.0", "app")})
	p.check(t, repo, outcome{reason: reconcile.Failed, message: "401 Unauthorized: log in with `docker login " + p.front + "`", status: statusProblems})
}
