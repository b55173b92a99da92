// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// A file that could not be fetched when it began to matter is read the next time.
func TestFieldsAreReadAgainAfterAFailure(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, map[string]string{"values.yaml": "repository: ghcr.io/acme/app\ntag: 1.0.0\n"}, "First")
	r, err := Open(repo.URL, "", mirror.Auth{}, nil, func([]byte) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Fields(t.Context(), Bindings{}); err != nil {
		t.Fatal(err) // Nobody cares for the file, so that it is let go of.
	}
	target := manifest.Target{Policy: "prod/app", Image: "ghcr.io/acme/app", Kind: manifest.HelmValues, Path: "values.yaml", Repository: "repository", Tag: "tag"}
	bindings := Bindings{Images: map[string]string{"prod/app": "ghcr.io/acme/app"}, Targets: []manifest.Target{target}}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.Fields(gone, bindings); err == nil {
		t.Fatal("the file was there all along")
	}
	fields, problems, err := r.Fields(t.Context(), bindings)
	if err != nil || len(problems) > 0 || len(fields) != 1 {
		t.Errorf("after a failure, there are the fields %v, the problems %v and %v", fields, problems, err)
	}
}
