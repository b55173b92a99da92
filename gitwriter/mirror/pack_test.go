// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
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
	if err := writePack(&pack, store, append(ids, ids[0])); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	gitserver.Git(t, dir, "init", "--quiet", "--bare")
	file := filepath.Join(dir, "objects", "pack", "pack-0.pack")
	if err := os.WriteFile(file, pack.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	gitserver.Git(t, dir, "index-pack", "--strict", file)
	gitserver.Git(t, dir, "verify-pack", file)
	// An id is the hash of what git unpacked, so it is there only if that is right.
	for _, id := range ids {
		if got := gitserver.Git(t, dir, "cat-file", "-t", id.String()); got != "blob" {
			t.Errorf("%s is a %s", id, got)
		}
	}
}
