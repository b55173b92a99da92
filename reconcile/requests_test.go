// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// What a pass may ask: one list for each repository, one HEAD for each tag that is
// selected, whoever shares them; no list for a followed tag. Later ones ping no more
// and need no token.
func TestRequestsOfAPass(t *testing.T) {
	r := faults.New(t, faults.Options{Tokens: true})
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	w := &world{t, r.Host, server, repo, repo.URL, nil}
	for _, tag := range []string{"1.0.0", "1.1.0", "2.0.0", "stable"} {
		images.Push(t, r.Calm, "many", tag, tag)
		images.Push(t, r.Calm, "followed", tag, tag)
	}
	files := map[string]string{}
	for _, p := range []struct{ name, image, rule string }{
		{"one", "many", `{semver: {range: "1"}}`},
		{"one-too", "many", `{semver: {range: "1"}}`},
		{"one-by-another-rule", "many", `{semver: {range: "<2"}}`},
		{"two", "many", `{semver: {range: "2"}}`},
		{"followed", "followed", `{tag: stable}`},
		{"followed-too", "followed", `{tag: stable}`},
	} {
		files["policies/"+p.name+".yaml"] = strings.Replace(w.policy(p.name, p.image), anySemver, p.rule, 1)
		files["apps/"+p.name+".yaml"] = w.deployment(p.name, p.image+":1.0.0", p.name)
	}
	files["apps/followed.yaml"] = w.deployment("followed", "followed:stable", "followed")
	files["apps/followed-too.yaml"] = w.deployment("followed-too", "followed:stable", "followed-too")
	repo.Seed(t, files, "First")
	engine, err := reconcile.Open(reconcile.Config{Repo: w.address, Registry: registry.Options{PlainHTTP: []string{r.Host}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []map[string]int{
		// What is new is asked once for its origin.
		{"ping": 1, "token": 2, "list": 1, "head": 3, "get": 2, "blob": 2},
		{"list": 1, "head": 3},
		{"list": 1, "head": 3},
	} {
		report, err := engine.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Policies {
			if p.Reason != reconcile.Updated && p.Reason != reconcile.UpToDate {
				t.Errorf("pass %d: %s is %s: %s", i+1, p.Name, p.Reason, p.Message)
			}
		}
		if diff := cmp.Diff(want, r.Requests()); diff != "" {
			t.Errorf("pass %d: requests (-want +got):\n%s", i+1, diff)
		}
	}
	if open, most := r.Connections(); open > 8 || most > 8 {
		t.Errorf("%d connections are open, %d were at the same time", open, most)
	}
}
