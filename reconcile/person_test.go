// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
)

// person commits to a bare repository, object by object: the same commits as the
// git command makes in a clone, in a tenth of the time. All files are in the top
// folder.
type person struct {
	t     testing.TB
	store *filesystem.Storage
	clock time.Time
}

func newPerson(t testing.TB, repo gitserver.Repo) *person {
	t.Helper()
	store := filesystem.NewStorage(osfs.New(repo.Dir), cache.NewObjectLRU(cache.MiByte))
	return &person{t, store, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (p *person) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) head() *object.Commit {
	p.t.Helper()
	ref, err := p.store.Reference("refs/heads/main")
	p.must(err)
	return p.read(ref.Hash())
}

func (p *person) read(commit plumbing.Hash) *object.Commit {
	p.t.Helper()
	c, err := object.GetCommit(p.store, commit)
	p.must(err)
	return c
}

// files are the contents of all files in a commit.
func (p *person) files(c *object.Commit) map[string]string {
	p.t.Helper()
	tree, err := c.Tree()
	p.must(err)
	files := map[string]string{}
	for _, e := range tree.Entries {
		f, err := tree.File(e.Name)
		p.must(err)
		files[e.Name], err = f.Contents()
		p.must(err)
	}
	return files
}

func (p *person) keep(o interface {
	Encode(o plumbing.EncodedObject) error
}) plumbing.Hash {
	p.t.Helper()
	encoded := p.store.NewEncodedObject()
	p.must(o.Encode(encoded))
	h, err := p.store.SetEncodedObject(encoded)
	p.must(err)
	return h
}

// commit makes a commit and leaves the branch where it is.
func (p *person) commit(files map[string]string, message string, parents ...plumbing.Hash) plumbing.Hash {
	p.t.Helper()
	tree := &object.Tree{}
	for name, content := range files {
		blob := p.store.NewEncodedObject()
		blob.SetType(plumbing.BlobObject)
		w, err := blob.Writer()
		p.must(err)
		_, err = w.Write([]byte(content))
		p.must(err)
		h, err := p.store.SetEncodedObject(blob)
		p.must(err)
		tree.Entries = append(tree.Entries, object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: h})
	}
	slices.SortFunc(tree.Entries, func(a, b object.TreeEntry) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	p.clock = p.clock.Add(time.Second)
	ada := object.Signature{Name: "Ada Person", Email: "ada@example.com", When: p.clock}
	return p.keep(&object.Commit{Author: ada, Committer: ada, Message: message, TreeHash: p.keep(tree), ParentHashes: parents})
}

// move sets the branch, as a push does; a forced one where it must be.
func (p *person) move(to plumbing.Hash) {
	p.t.Helper()
	p.must(p.store.SetReference(plumbing.NewHashReference("refs/heads/main", to)))
}

// push commits on top of the head.
func (p *person) push(files map[string]string, message string) {
	p.t.Helper()
	p.move(p.commit(files, message, p.head().Hash))
}

var imageValue = regexp.MustCompile(`image: (\S+) #`)

// imageIn is what the field of a file holds.
func imageIn(content string) string {
	return imageValue.FindStringSubmatch(content)[1]
}

func withImage(content, image string) string {
	return imageValue.ReplaceAllLiteralString(content, "image: "+image+" #")
}
