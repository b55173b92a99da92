// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// writeTree puts a tree of these bytes into the repository, and returns its raw id.
func (w *world) writeTree(content string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "tree")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.rawID(gitserver.Git(w.t, w.repo.Dir, "hash-object", "-t", "tree", "--literally", "-w", file))
}

func (w *world) rawID(id string) string {
	w.t.Helper()
	raw, err := hex.DecodeString(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(raw)
}

// faults are the kinds of what fsck finds, without the objects.
func (w *world) faults() []string {
	w.t.Helper()
	kinds := regexp.MustCompile(`in tree [0-9a-f]+: (\w+)`).FindAllString(w.repo.Faults(w.t), -1)
	for i, k := range kinds {
		_, kinds[i], _ = strings.Cut(k, ": ")
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// A repository with modes that git writes no more is written as it is: no entry is
// made right on the way, and fsck finds no more kinds of faults.
func TestModesOfOldGit(t *testing.T) {
	w := newWorld(t, gitserver.Options{})
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{
		"policies/app.yaml": w.policy("app", "app"),
		app:                 w.deployment("app", "app:1.0.0", "app"),
		"apps/other.yaml":   "a: 1\n",
	}, "First")
	blob := func(path string) string { return w.rawID(gitserver.Git(t, w.repo.Dir, "rev-parse", "main:"+path)) }
	apps := w.writeTree("100664 app.yaml\x00" + blob(app) + "100664 other.yaml\x00" + blob("apps/other.yaml"))
	root := w.writeTree("40000 apps\x00" + apps + "40000 policies\x00" + blob("policies"))
	before := gitserver.Git(t, w.repo.Dir, "commit-tree", "-p", "main", "-m", "Old", hex.EncodeToString([]byte(root)))
	gitserver.Git(t, w.repo.Dir, "update-ref", "refs/heads/main", before)
	faults := w.faults()

	report, err := w.engine().Sync(t.Context())
	if err != nil || len(report.Commits) != 1 {
		t.Fatalf("the update: %+v, %v", report, err)
	}
	if got := w.tag(app); got != "1.1.0" {
		t.Errorf("app.yaml holds %s", got)
	}
	want := w.writeTree("100664 app.yaml\x00" + blob(app) + "100664 other.yaml\x00" + blob("apps/other.yaml"))
	if got := blob("apps"); got != want {
		t.Errorf("the folder is %x, want %x: more than one id changed", got, want)
	}
	if diff := cmp.Diff(faults, w.faults()); diff != "" || len(faults) == 0 {
		t.Errorf("what fsck finds (-before +now):\n%s", diff)
	}
}
