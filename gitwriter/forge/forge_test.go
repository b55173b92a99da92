// SPDX-License-Identifier: Apache-2.0

package forge_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/gitwriter/forge"
)

// What a forge answers becomes one error, with its own words on one line and no login,
// after one request. A redirect gets no login.
func TestRefusals(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect is followed, with %v", r.Header)
	}))
	t.Cleanup(other.Close)
	type refusal struct {
		status int
		header map[string]string
		body   string
		kind   forge.Reason
		says   string
	}
	for name, want := range map[string]refusal{
		"login":    {401, nil, `{"message":"Bad credentials"}`, forge.Unauthorized, "it answers 401 Unauthorized: Bad credentials"},
		"right":    {403, nil, `{"message":"a\nb"}`, forge.Forbidden, "403 Forbidden: a b"},
		"limit":    {403, map[string]string{"X-RateLimit-Remaining": "0"}, `{}`, forge.TooMany, "403 Forbidden"},
		"pause":    {429, map[string]string{"Retry-After": "60"}, ``, forge.TooMany, "429 Too Many Requests"},
		"unknown":  {404, nil, `<html>`, forge.NotFound, "404 Not Found"},
		"refused":  {422, nil, `{"message":"no","errors":["` + strings.Repeat("x", 1000) + `"]}`, forge.Refused, "422 Unprocessable Entity: no; [xxx"},
		"broken":   {502, nil, `{}`, forge.Unreachable, "502 Bad Gateway"},
		"redirect": {302, map[string]string{"Location": other.URL}, ``, forge.Unreachable, "302 Found"},
		"garbage":  {200, nil, `<html>`, forge.Unreachable, "invalid character"},
		"endless":  {200, nil, `"` + strings.Repeat("x", 17<<20) + `"`, forge.Unreachable, "longer than 16 MiB"},
	} {
		for _, kind := range []forge.Kind{forge.Gitea, forge.GitHub, forge.GitLab} {
			t.Run(name+"/"+string(kind), func(t *testing.T) {
				asked := 0
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					asked++
					for k, v := range want.header {
						w.Header().Set(k, v)
					}
					w.WriteHeader(want.status)
					_, _ = w.Write([]byte(want.body))
				}))
				t.Cleanup(server.Close)
				at, err := forge.New(server.URL+"/acme/fleet", kind, forge.Auth{Username: "ada", Password: "t0ken"})
				if err != nil {
					t.Fatal(err)
				}
				_, err = at.Requests(t.Context(), "main")
				known, ok := errors.AsType[*forge.Error](err)
				if !ok || known.Kind != want.kind || !strings.Contains(err.Error(), want.says) || !strings.HasPrefix(err.Error(), "cannot find out whose login this is at 127.0.0.1:") {
					t.Errorf("the error is %v", err)
				}
				if asked != 1 || strings.Contains(err.Error(), "t0ken") || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
					t.Errorf("after %d requests the error is %q", asked, err)
				}
			})
		}
	}
}

func TestKindOf(t *testing.T) {
	for url, want := range map[string]forge.Kind{
		"https://github.com/acme/fleet.git": forge.GitHub, "https://GitLab.com/a/b/c": forge.GitLab, "https://codeberg.org/a/b": forge.Gitea,
		"https://gitea.com/a/b": forge.Gitea, "https://github.com.example.com/a/b": "", "https://git.example.com/a/b": "", "git@github.com:a/b": "",
	} {
		if got := forge.KindOf(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	for _, url := range []string{"https://git.example.com/a/b", "ssh://git@github.com/a/b", "https://github.com/b", "/srv/fleet"} {
		if _, err := forge.New(url, "", forge.Auth{}); err == nil {
			t.Errorf("%s can be used", url)
		}
	}
}
