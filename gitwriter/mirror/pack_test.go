// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// TestPackIsReadByGit has git take packs of objects whose sizes sit at the
// borders of the header's bytes, one of them named twice.
func TestPackIsReadByGit(t *testing.T) {
	store := newObjects()
	var ids []plumbing.Hash
	random := rand.NewChaCha8([32]byte{})
	for _, size := range []int{0, 1, 15, 16, 2047, 2048, 262143, 262144, 3 << 20} {
		content := make([]byte, size)
		if _, err := random.Read(content); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, store.add(plumbing.BlobObject, content))
	}
	var pack bytes.Buffer
	if err := writePack(&pack, store, append(ids, ids[0]), nil); err != nil {
		t.Fatal(err)
	}
	dir := indexed(t, pack.Bytes())
	// An id is the hash of what git unpacked, so it is there only if that is right.
	for _, id := range ids {
		if got := gitserver.Git(t, dir, "cat-file", "-t", id.String()); got != "blob" {
			t.Errorf("%s is a %s", id, got)
		}
	}
}

// TestDeltasAreReadByGit has git take rows of objects in which each differs from the one
// before in some places, as trees do, longer than a chain may be and back to the first.
func TestDeltasAreReadByGit(t *testing.T) {
	const row = 2*maxRow + 10
	for _, size := range []int{1, 20, 300, 70_000, 300_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(size), 1))
			store, made := newObjects(), bases{}
			content := make([]byte, size)
			ids := []plumbing.Hash{store.add(plumbing.BlobObject, content)}
			for range row {
				next := bytes.Clone(content)
				for range 1 + random.IntN(4) {
					at := random.IntN(size)
					next[at]++
					for i := at + 1; i < min(at+random.IntN(400), size); i++ {
						next[i] = byte(random.UintN(3))
					}
				}
				id := store.add(plumbing.BlobObject, next)
				made[id] = ids[len(ids)-1]
				ids, content = append(ids, id), next
			}
			made[ids[0]] = ids[row]
			var pack bytes.Buffer
			if err := writePack(&pack, store, append(ids, ids[0]), made); err != nil {
				t.Fatal(err)
			}
			dir := indexed(t, pack.Bytes())
			if said := gitserver.Git(t, dir, "fsck", "--strict", "--full", "--no-dangling"); said != "" {
				t.Error(said)
			}
			for _, id := range ids {
				if got := gitserver.Git(t, dir, "cat-file", "-t", id.String()); got != "blob" {
					t.Errorf("%s is a %s", id, got)
				}
			}
			if size >= 70_000 && pack.Len() > size*(row/maxRow+1)+row*5*500 {
				t.Errorf("%d objects of %d bytes take %d", row, size, pack.Len())
			}
			if longest := longestChain(t, dir); longest > maxRow {
				t.Errorf("%d deltas stand on each other", longest)
			}
		})
	}
}

// longestChain is what git finds: a line of verify-pack ends with depth and base.
func longestChain(t *testing.T, dir string) int {
	t.Helper()
	longest := 0
	for line := range strings.Lines(gitserver.Git(t, dir, "verify-pack", "--verbose", packFile(dir))) {
		if fields := strings.Fields(line); len(fields) == 7 {
			depth, err := strconv.Atoi(fields[5])
			if err != nil {
				t.Fatal(err)
			}
			longest = max(longest, depth)
		}
	}
	return longest
}

func packFile(dir string) string { return filepath.Join(dir, "objects", "pack", "pack-0.pack") }

// indexed puts a pack into a repository of its own, if git takes it.
func indexed(t *testing.T, pack []byte) string {
	t.Helper()
	dir := t.TempDir()
	gitserver.Git(t, dir, "init", "--quiet", "--bare")
	if err := os.WriteFile(packFile(dir), pack, 0o600); err != nil {
		t.Fatal(err)
	}
	gitserver.Git(t, dir, "index-pack", "--strict", packFile(dir))
	gitserver.Git(t, dir, "verify-pack", packFile(dir))
	return dir
}
