// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// isolate gives git a configuration of the test's own: a credential helper that
// writes down what it was asked.
func isolate(t *testing.T, helper string) (asked string) {
	t.Helper()
	home := t.TempDir()
	asked = filepath.Join(home, "asked")
	config := "[credential]\n\thelper = \"!f() { cat >" + asked + "; " + helper + "; }; f\"\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", home) // no logins to registries either
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	return asked
}

func passwordFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestGitAuth(t *testing.T) {
	const helper = `echo username=helped; echo password=p=w`
	tests := map[string]struct {
		repo, username, file string
		wantRepo             string
		want                 mirror.Auth
	}{
		"flags":            {"https://example.com/r.git", "ada", "secret\n", "https://example.com/r.git", mirror.Auth{Username: "ada", Password: "secret"}},
		"flags beat URL":   {"https://eve:x@example.com/r.git", "ada", "secret", "https://example.com/r.git", mirror.Auth{Username: "ada", Password: "secret"}},
		"URL":              {"https://eve:x%40y@example.com/r.git", "", "", "https://example.com/r.git", mirror.Auth{Username: "eve", Password: "x@y"}},
		"user of URL":      {"https://ada@example.com/r.git", "", "secret\r\nrest", "https://example.com/r.git", mirror.Auth{Username: "ada", Password: "secret"}},
		"helper":           {"https://example.com/r.git", "", "", "https://example.com/r.git", mirror.Auth{Username: "helped", Password: "p=w"}},
		"no helper for it": {"git://example.com/r.git", "", "", "git://example.com/r.git", mirror.Auth{}},
		"path":             {"../fleet", "", "", "../fleet", mirror.Auth{}},
		"drive":            {`C:\fleet`, "", "", `C:\fleet`, mirror.Auth{}},
		"malformed":        {"https://a:b%zz@example.com", "", "", "https://a:b%zz@example.com", mirror.Auth{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			isolate(t, helper)
			file := ""
			if test.file != "" {
				file = passwordFile(t, test.file)
			}
			repo, auth, err := gitAuth(t.Context(), test.repo, gitFlags{username: test.username, passwordFile: file})
			if err != nil {
				t.Fatal(err)
			}
			if repo != test.wantRepo {
				t.Errorf("repository %q, want %q", repo, test.wantRepo)
			}
			if diff := cmp.Diff(test.want, auth); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHelperIsAsked(t *testing.T) {
	asked := isolate(t, "echo username=ada; echo password=secret")
	if _, _, err := gitAuth(t.Context(), "https://ada@example.com:8443/acme/fleet.git", gitFlags{}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(asked)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"protocol=https\n", "host=example.com:8443\n", "username=ada\n"} {
		if !strings.Contains(string(got), line) {
			t.Errorf("the helper was asked %q, want %q", got, line)
		}
	}
}

// TestHelperOfTheFolder shows that a checkout that Pintle is run in cannot name
// a program to run.
func TestHelperOfTheFolder(t *testing.T) {
	isolate(t, "true")
	checkout := t.TempDir()
	ran := filepath.Join(checkout, "ran")
	if err := os.MkdirAll(filepath.Join(checkout, ".git", "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		"HEAD":   "ref: refs/heads/main\n",
		"config": "[credential]\n\thelper = \"!f() { touch " + ran + "; }; f\"\n",
	} {
		if err := os.WriteFile(filepath.Join(checkout, ".git", file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(checkout, ".git", "refs"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(checkout)
	if _, _, err := gitAuth(t.Context(), "https://example.com/r.git", gitFlags{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ran); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the checkout's helper ran: %v", err)
	}
}

func TestSilentHelpers(t *testing.T) {
	for name, helper := range map[string]string{"fails": "exit 1", "knows nothing": "true", "quits": "echo quit=true"} {
		t.Run(name, func(t *testing.T) {
			isolate(t, helper)
			_, auth, err := gitAuth(t.Context(), "https://example.com/r.git", gitFlags{})
			if err != nil || auth != (mirror.Auth{}) {
				t.Errorf("credentials %v and error %v, want none", auth, err)
			}
		})
	}
}

func TestBadPasswordFiles(t *testing.T) {
	tests := map[string]struct{ file, says string }{
		"missing":    {filepath.Join(t.TempDir(), "none"), "no such file"},
		"empty":      {passwordFile(t, ""), "its first line must hold the password"},
		"empty line": {passwordFile(t, "\nsecret\n"), "its first line must hold the password"},
		"huge":       {passwordFile(t, strings.Repeat("x", maxPassword+1)), "its first line must hold the password"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := gitAuth(t.Context(), "https://example.com/r.git", gitFlags{username: "ada", passwordFile: test.file})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("says %v, want %q", err, test.says)
			}
		})
	}
	_, _, err := gitAuth(t.Context(), "https://example.com/r.git", gitFlags{passwordFile: passwordFile(t, "secret")})
	if wrong := (usageError{}); !errors.As(err, &wrong) {
		t.Errorf("a password without a name gives %v, want wrong usage", err)
	}
}

func TestCredentialQuery(t *testing.T) {
	address, err := url.Parse("https://example.com/a%0Ahost=evil.example")
	if err != nil {
		t.Fatal(err)
	}
	want := "protocol=https\nhost=example.com\npath=a%0Ahost=evil.example\n\n"
	if diff := cmp.Diff(want, credentialQuery(address, "eve\nhost=evil")); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}
