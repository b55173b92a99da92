// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// sshHome is a home with these known_hosts, and no agent.
func sshHome(t *testing.T, knownHosts string) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "known_hosts"), []byte(knownHosts), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

func TestSSHAuth(t *testing.T) {
	home := sshHome(t, "the user's")
	t.Setenv("SSH_AUTH_SOCK", "/run/agent")
	key, known := passwordFile(t, "key\n"), passwordFile(t, "the flag's")
	for name, c := range map[string]struct {
		flags gitFlags
		want  mirror.SSH
		says  string
	}{
		"agent":                     {gitFlags{}, mirror.SSH{Agent: "/run/agent", KnownHosts: "the user's"}, ""},
		"key":                       {gitFlags{keyFile: key, knownHosts: known}, mirror.SSH{PrivateKey: "key\n", KnownHosts: "the flag's"}, ""},
		"passphrase":                {gitFlags{keyFile: key, knownHosts: known, passwordFile: passwordFile(t, "p p\n")}, mirror.SSH{PrivateKey: "key\n", Passphrase: "p p", KnownHosts: "the flag's"}, ""},
		"a passphrase alone":        {gitFlags{passwordFile: key}, mirror.SSH{}, "give both, or neither"},
		"a user name":               {gitFlags{username: "ada"}, mirror.SSH{}, "the user stands in the URL"},
		"no such key":               {gitFlags{keyFile: filepath.Join(home, "none")}, mirror.SSH{}, "cannot read --git-key-file"},
		"no such known_hosts":       {gitFlags{knownHosts: filepath.Join(home, "none")}, mirror.SSH{}, "cannot read --git-known-hosts"},
		"a key that is far too big": {gitFlags{keyFile: passwordFile(t, strings.Repeat("x", maxKey+1))}, mirror.SSH{}, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			repo, auth, err := gitAuth(t.Context(), "git@example.com:r.git", c.flags)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("says %v, want %q", err, c.says)
				}
				return
			}
			if err != nil || repo != "git@example.com:r.git" {
				t.Fatalf("got %q, %v", repo, err)
			}
			if c.flags.knownHosts == "" && strings.Contains(auth.SSH.KnownHosts, c.want.KnownHosts) {
				auth.SSH.KnownHosts = c.want.KnownHosts // without those of the machine
			}
			if diff := cmp.Diff(mirror.Auth{SSH: c.want}, auth); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
		})
	}
	_, _, err := gitAuth(t.Context(), "git@example.com:r.git", gitFlags{username: "ada"})
	if wrong := (usageError{}); !errors.As(err, &wrong) {
		t.Errorf("a user name gives %v, want wrong usage", err)
	}
}

// TestSyncOverSSH is the command with a real server: refused until its key is known.
func TestSyncOverSSH(t *testing.T) {
	w, server := newWorld(t, gitserver.Options{}), gitserver.NewSSH(t, gitserver.Options{})
	fleet := server.Create("fleet")
	gitserver.Git(t, w.repo.Dir, "push", "--quiet", fleet.Dir, "main")
	w.repo = fleet
	isolate(t, "true")
	home := sshHome(t, "")
	status, _, stderr := w.pintle(t, "sync", "--repo", fleet.URL, "--git-key-file", server.KeyFile)
	if status != statusFailed || !strings.Contains(stderr, "ssh-keyscan -p "+server.Port) {
		t.Errorf("status %d, and it says %q", status, stderr)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh", "known_hosts"), []byte(server.KnownHosts[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := w.pintle(t, "sync", "--repo", fleet.URL, "--git-key-file", server.KeyFile); status != 0 {
		t.Errorf("status %d, and it says %q", status, stderr)
	}
	if got := fleet.Read(t, "main", "app.yaml"); !strings.Contains(got, ":1.1.0@sha256:") {
		t.Errorf("the manifest holds %q", got)
	}
}
