// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/signers"
)

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCommitFlags: what the flags say of commits, with git as the judge. A rollback is
// signed too, and who has but the public key sees it.
func TestCommitFlags(t *testing.T) {
	isolate(t, "true")
	w := newWorld(t, gitserver.Options{})
	s := signers.SSH(t, "ed25519", "open sesame")
	signing := []string{"--repo", w.repo.URL, "--signing-key", writeFile(t, s.Private), "--signing-passphrase-file", writeFile(t, []byte("open sesame\n")),
		"--author", "Fleet Bot <bot@example.com>", "--message-template", writeFile(t, []byte("deploy {{(index .Images 0).Tag}}\n"))}
	well := func(args ...string) string {
		t.Helper()
		status, stdout, stderr := w.pintle(t, args...)
		if status != 0 {
			t.Fatalf("%v: status %d: %s", args, status, stderr)
		}
		return stdout
	}
	well(append([]string{"sync", "--grouping", "All"}, signing...)...)
	w.push(t, "1.2.0")
	well(append([]string{"sync"}, signing...)...)
	well(append([]string{"rollback", "prod/app"}, signing...)...)
	if err := s.Verify(t, w.repo.Dir, "main", "main~1", "main~2"); err != nil {
		t.Errorf("not signed: %v", err)
	}
	want := "Fleet Bot <bot@example.com> deploy 1.1.0\nFleet Bot <bot@example.com> deploy 1.2.0\nFleet Bot <bot@example.com> deploy 1.1.0"
	if diff := cmp.Diff(want, gitserver.Git(t, w.repo.Dir, "log", "-3", "--format=%an <%ae> %s", "main")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	public := writeFile(t, s.Public)
	if out := well("history", "prod/app", "--repo", w.repo.URL, "--trusted-keys", public); !strings.Contains(out, "rollback") {
		t.Errorf("the history is\n%s", out)
	}
	if out := well("plan", "--repo", w.repo.URL, "--trusted-keys", public, "--grouping", "Policy"); !strings.Contains(out, "RolledBack") {
		t.Errorf("the plan is\n%s", out)
	}
}

func TestWrongCommitFlags(t *testing.T) {
	isolate(t, "true")
	key := writeFile(t, signers.SSH(t, "ed25519", "open sesame").Private)
	for says, args := range map[string][]string{
		`--grouping is "image": it must be Image, Policy or All`:                 {"sync", "--grouping", "image"},
		`--author is "me": write it as in`:                                       {"sync", "--author", "me"},
		`--author is "<me@example.com>"`:                                         {"sync", "--author", "<me@example.com>"},
		`--author is "\"a>b\" <me@example.com>"`:                                 {"sync", "--author", `"a>b" <me@example.com>`},
		"--message-template: open ":                                              {"sync", "--message-template", "/none"},
		"--message-template: the template calls a template":                      {"plan", "--message-template", writeFile(t, []byte("{{template \"x\"}}"))},
		"--signing-key: the key is no private key":                               {"sync", "--signing-key", writeFile(t, []byte("x"))},
		"--signing-key: the key has a passphrase, and none is given":             {"rollback", "prod/app", "--signing-key", key},
		"--signing-key: the key does not open with the passphrase":               {"resume", "prod/app", "--signing-key", key, "--signing-passphrase-file", writeFile(t, []byte("x"))},
		"--signing-passphrase-file is of no use without --signing-key":           {"sync", "--signing-passphrase-file", key},
		"--trusted-keys: they have a line that is no public key":                 {"history", "prod/app", "--trusted-keys", key},
		"--trusted-keys needs --signing-key here: what is written without would": {"sync", "--trusted-keys", writeFile(t, signers.SSH(t, "ed25519", "").Public)},
		"has more than 1048576 bytes":                                            {"sync", "--signing-key", writeFile(t, make([]byte, 2<<20))},
		"unknown flag: --signing-key":                                            {"plan", "--signing-key", key},
	} {
		var stdout, stderr strings.Builder
		if got := run(t.Context(), append(args, "--repo", "/none"), &stdout, &stderr); got != statusUsage || !strings.Contains(stderr.String(), says) {
			t.Errorf("%v: status %d, says %q, want %q", args, got, stderr.String(), says)
		}
	}
}
