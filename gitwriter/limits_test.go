// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// TestLookBackIsBounded: where the past of a field is longer than what is read,
// the record says so, for the decision to hold.
func TestLookBackIsBounded(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, map[string]string{"app.yaml": "image: ghcr.io/acme/app:1.0.0 # {\"$imagepolicy\": \"prod:app\"}\n"}, "First")
	clone := repo.Clone(t)
	for i := range 150 {
		gitserver.Git(t, clone, "commit", "--quiet", "--allow-empty", "--message", fmt.Sprint("Note ", i))
	}
	gitserver.Git(t, clone, "push", "--quiet", "origin", "main")
	selection := ledger.NewValue("1.1.0", "sha256:"+strings.Repeat("a", 64))
	for limit, want := range map[int]string{100: "its fields' past is longer than the 100 commits that are read", maxLookBack: ""} {
		r, err := Open(repo.URL, "", mirror.Auth{}, nil, func([]byte) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		r.maxLookBack = limit
		if err := r.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
		images := map[string]string{"prod/app": "ghcr.io/acme/app"}
		fields, _, err := r.Fields(t.Context(), Bindings{Images: images})
		if err != nil {
			t.Fatal(err)
		}
		pasts, _, err := r.Ledgers(t.Context(), []string{"prod/app"})
		if err != nil {
			t.Fatal(err)
		}
		question := Question{Policy: "prod/app", Slots: Slots(fields, images), Selection: selection, Past: pasts["prod/app"]}
		records, err := r.Records(t.Context(), []Question{question})
		if err != nil {
			t.Fatal(err)
		}
		if got := records["prod/app"].Unread; got != want {
			t.Errorf("with a limit of %d, the record says %q, want %q", limit, got, want)
		}
		_, err = r.Edits(t.Context(), "prod/app", question.Slots, question.Past)
		if tooLong := err != nil; tooLong != (want != "") {
			t.Errorf("with a limit of %d, the edits give %v", limit, err)
		}
	}
}
