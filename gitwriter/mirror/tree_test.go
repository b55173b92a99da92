// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

// A commit changes the ids of what it writes and no other byte of a tree, not even a
// mode that git writes no more.
func TestTreesStayAsTheyAre(t *testing.T) {
	repo := gitserver.New(t, gitserver.Options{}).Create("fleet")
	repo.Seed(t, map[string]string{"apps/x.yaml": "a: 1\n", "apps/y.yaml": "b: 1\n"}, "First")
	id := func(path string) string {
		raw, err := hex.DecodeString(gitserver.Git(t, repo.Dir, "rev-parse", "main:"+path))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	entry := func(mode, name, id string) string { return mode + " " + name + "\x00" + id }
	write := func(kind, content string) string {
		file := filepath.Join(t.TempDir(), "object")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return gitserver.Git(t, repo.Dir, "hash-object", "-t", kind, "--literally", "-w", file)
	}
	apps := func() string {
		return entry("100664", "x.yaml", id("apps/x.yaml")) + entry("100664", "y.yaml", id("apps/y.yaml"))
	}
	folder, err := hex.DecodeString(write("tree", apps()))
	if err != nil {
		t.Fatal(err)
	}
	root := write("tree", entry("40000", "apps", string(folder)))
	gitserver.Git(t, repo.Dir, "update-ref", "refs/heads/main", gitserver.Git(t, repo.Dir, "commit-tree", "-p", "main", "-m", "Old modes", root))

	m := open(t, repo.URL)
	fetch(t, m)
	if err := commit(t.Context(), m, map[string][]byte{"apps/x.yaml": []byte("a: 2\n")}); err != nil {
		t.Fatal(err)
	}
	if got := repo.Read(t, "main", "apps/x.yaml"); strings.TrimSpace(got) != "a: 2" {
		t.Errorf("x.yaml holds %q", got)
	}
	want := write("tree", apps())
	if got := gitserver.Git(t, repo.Dir, "rev-parse", "main:apps"); got != want {
		t.Errorf("the folder is %s, want %s: more than one id changed", got, want)
	}
}

// A tree that ends in the midst of an entry is an error, and is not written on.
func TestMalformedTree(t *testing.T) {
	for name, tree := range map[string]string{
		"no mode":  "100644",
		"no name":  "100644 x.yaml",
		"empty":    "100644 \x00" + strings.Repeat("i", 20),
		"short id": "100644 x.yaml\x00" + strings.Repeat("i", 19),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := mirror.Names([]byte("100644 a.yaml\x00" + strings.Repeat("i", 20) + tree)); err == nil {
				t.Error("it is read as if it were whole")
			}
		})
	}
}
