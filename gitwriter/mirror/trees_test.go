// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// deepRepo has 50 folders besides the one that each of its commits changes a file of.
func deepRepo(t *testing.T, options gitserver.Options, commits int) (*gitserver.Server, *Mirror) {
	t.Helper()
	server := gitserver.New(t, options)
	repo := server.Create("fleet")
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("other/%02d/x.yaml", i)] = fmt.Sprint("x: ", i, "\n")
	}
	for i := range commits {
		files["apps/team/prod/a.yaml"] = fmt.Sprint("a: ", i, "\n")
		repo.Seed(t, files, fmt.Sprint("Commit ", i))
	}
	return server, fetched(t, repo)
}

// TestNeedTrees: the trees of the past come in one request and without those that the
// head has; Diff and Past find the same without it, level by level.
func TestNeedTrees(t *testing.T) {
	const file = "apps/team/prod/a.yaml"
	for name, test := range map[string]struct {
		options gitserver.Options
		// wholeTree is what all trees are taken to weigh; 0 for what they do.
		wholeTree int
		packs     int // for the trees of two commits, and of three more
		levels    int // for what Diff and Past ask after that
		kept      int // trees
	}{
		// Of each commit, the root and three folders.
		"one request":             {packs: 1, levels: 0, kept: 5 * 4},
		"too far away":            {wholeTree: maxPastBytes, packs: 0, levels: 4 + 4},
		"a server that won't ask": {options: gitserver.Options{NoFilter: true}, packs: 0, levels: 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, m := deepRepo(t, test.options, 6)
			m.wholeTree = test.wholeTree
			history, err := m.History(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if test.wholeTree > 0 {
				m.log.ordered = append(m.log.ordered, make([]*Commit, maxPastBytes/bytesPerCommit)...) // as if they were
			}
			server.Reset()
			if err := m.NeedTrees(t.Context(), history[:2], history[2:5]); err != nil {
				t.Fatal(err)
			}
			if got := server.Counts().UploadPacks; got != test.packs {
				t.Errorf("the trees come with %d packs, want %d", got, test.packs)
			}
			if got := len(m.past.ids(plumbing.TreeObject)); got != test.kept {
				t.Errorf("%d trees are kept, want %d", got, test.kept)
			}
			server.Reset()
			diffs, err := m.Diff(t.Context(), []Pair{{Old: history[0].Tree, New: history[1].Tree}}, func(string) bool { return true })
			if err != nil || len(diffs[0]) != 1 || diffs[0][0].Path != file {
				t.Fatalf("the commit changes %v, %v", diffs, err)
			}
			past, err := m.Past(t.Context(), history[:5], []string{file})
			if err != nil {
				t.Fatal(err)
			}
			if got := server.Counts().UploadPacks; got != test.levels {
				t.Errorf("Diff and Past ask for %d packs, want %d", got, test.levels)
			}
			var want []plumbing.Hash
			for i := range 5 {
				want = append(want, plumbing.ComputeHash(plumbing.BlobObject, fmt.Appendf(nil, "a: %d\n", i)))
			}
			if diff := cmp.Diff(want, past[file]); diff != "" {
				t.Errorf("the file's past (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPastTreesAreBounded: they are let go of before more are fetched.
func TestPastTreesAreBounded(t *testing.T) {
	_, m := deepRepo(t, gitserver.Options{}, 3)
	history, err := m.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.past.add(plumbing.TreeObject, make([]byte, maxPastBytes+1))
	if err := m.NeedTrees(t.Context(), history[:1], nil); err != nil {
		t.Fatal(err)
	}
	if got := len(m.past.ids(plumbing.TreeObject)); got != 4 {
		t.Errorf("%d trees are kept, want 4", got)
	}
}

// TestPastTreesAreNotTheHeads: where the head goes back to trees of the past, they are
// the head's from then on, and a commit can be made on them.
func TestPastTreesAreNotTheHeads(t *testing.T) {
	server := gitserver.New(t, gitserver.Options{})
	repo := server.Create("fleet")
	repo.Seed(t, map[string]string{"apps/a.yaml": "a: 1\n"}, "First")
	repo.Seed(t, map[string]string{"apps/a.yaml": "a: 2\n"}, "Second")
	gitserver.Git(t, repo.Dir, "repack", "-adbq") // A server with bitmaps leaves out all that the old head came from.
	m := fetched(t, repo)
	history, err := m.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.NeedTrees(t.Context(), history[:1], nil); err != nil || len(m.past.ids(plumbing.TreeObject)) != 2 {
		t.Fatalf("%d trees, %v", len(m.past.ids(plumbing.TreeObject)), err)
	}
	gitserver.Git(t, repo.Dir, "update-ref", "refs/heads/main", gitserver.Git(t, repo.Dir, "commit-tree", "-p", "main", "-m", "Back", "main~1^{tree}"))
	if _, err := m.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Diff(t.Context(), []Pair{{Old: history[1].Tree, New: history[0].Tree}}, func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	m.past = newObjects()
	d, err := m.NewDraft()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(map[string][]byte{"apps/a.yaml": []byte("a: 3\n")}, object.Signature{}, "Third\n", nil); err != nil {
		t.Error(err)
	}
}

// TestNeedTreesRefused: a request that fails is none that the pass needs.
func TestNeedTreesRefused(t *testing.T) {
	_, m := deepRepo(t, gitserver.Options{}, 4)
	history, err := m.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.maxUnpacked = 10 // bytes
	if err := m.NeedTrees(t.Context(), history[:2], nil); err != nil {
		t.Fatal(err)
	}
	m.maxUnpacked = maxUnpackedBytes
	diffs, err := m.Diff(t.Context(), []Pair{{Old: history[0].Tree, New: history[1].Tree}}, func(string) bool { return true })
	if err != nil || len(diffs[0]) != 1 {
		t.Errorf("the commit changes %v, %v", diffs, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.NeedTrees(ctx, history[2:3], nil); err == nil {
		t.Error("called off, and went on")
	}
}
