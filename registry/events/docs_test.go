// SPDX-License-Identifier: Apache-2.0

package events_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/registry/events"
)

// page is a part of docs/events.md: what is between two texts.
func page(t *testing.T, from, to string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), from)
	part, _, ends := strings.Cut(rest, to)
	if !found || !ends {
		t.Fatalf("the page has nothing between %q and %q", from, to)
	}
	return part
}

// The page's recipe for pipelines signs with openssl, and is taken.
func TestTheRecipe(t *testing.T) {
	e := endpoint(events.Generic)
	e.Path = "/generic"
	receiver := newReceiver(t, e)
	server := httptest.NewServer(receiver)
	defer server.Close()
	recipe := page(t, "From a pipeline:\n\n```\n", "```")
	recipe = strings.Replace(recipe, "https://pintle.example.com", server.URL, 1)
	for secret, taken := range map[string]bool{secret: true, "another-secret-entirely": false} {
		command := exec.CommandContext(t.Context(), "sh", "-ec", recipe)
		command.Env = append(os.Environ(), "SECRET="+secret, "no_proxy=*")
		if out, err := command.CombinedOutput(); (err == nil) != taken {
			t.Errorf("with the secret %s: %v: %s", secret, err, out)
		}
	}
	want := [][]events.Hint{{{Source: events.Generic, Image: "ghcr.io/acme/podinfo", Tag: "6.1.0"}}}
	if diff := cmp.Diff(want, receiver.got); diff != "" {
		t.Errorf("hints (-want +got):\n%s", diff)
	}
}

// The page's file can be loaded as it stands, and its table has every source.
func TestThePagesFile(t *testing.T) {
	file := inFolder(t, page(t, "```yaml\n", "```")+"  - source: artifact-registry\n"+page(t, "  - source: artifact-registry\n", "```"))
	for _, name := range []string{"github-secret", "harbor-secret"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := events.Load(file)
	if err != nil || len(got) != 4 {
		t.Errorf("the file has %d endpoints, want 4: %v", len(got), err)
	}
	table := page(t, "| source | shows who it is by", "\n\n")
	for _, source := range events.Sources() {
		if !strings.Contains(table, "| `"+source+"`") {
			t.Errorf("the table lacks %s", source)
		}
	}
}
