// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/gitwriter/manifest"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/gitwriter/signing"
)

// Repository is one branch of a manifest repository. One pass at a time works on
// it; it is not safe for concurrent use.
type Repository struct {
	mirror *mirror.Mirror
	// paths bound what is read and written; empty for all.
	paths []string
	// isDocument tells whether a file may hold policies.
	isDocument func(content []byte) bool

	root  plumbing.Hash
	files map[string]*file
	bound Bindings
	// lineage, moves and back remember what was read of the history.
	lineage *lineage
	moves   map[plumbing.Hash][]move
	back    *lookback
	// keys are nil where commits are not signed; signed remembers which are.
	keys   *signing.Keys
	signed map[plumbing.Hash]bool
	// proposals are the branches of Pintle's own, as they were read last.
	proposals map[string]readProposal
	// maxLookBack bounds how many commits are gone back through.
	maxLookBack int
}

// file is a manifest at the head.
type file struct {
	blob plumbing.Hash
	// read is true once the content was looked at.
	read              bool
	marked, documents bool
	tooLarge          bool
	// fields and problems are what the content binds, once scanned.
	scanned  bool
	fields   []manifest.Field
	problems []manifest.Problem
}

// Bindings are what policies say about fields, besides the markers.
type Bindings struct {
	// Images maps each policy, as <namespace>/<name>, to its image.
	Images  map[string]string
	Targets []manifest.Target
}

func (b Bindings) equal(o Bindings) bool {
	return maps.Equal(b.Images, o.Images) && slices.Equal(b.Targets, o.Targets)
}

// Open prepares to use a repository; see mirror.Open. Only what lies under paths is
// read and written; without any, all is. isDocument tells, without parsing, whether a
// content may hold documents that Documents should return.
func Open(repo, branch string, auth mirror.Auth, paths []string, isDocument func([]byte) bool) (*Repository, error) {
	m, err := mirror.Open(repo, branch, auth)
	if err != nil {
		return nil, err
	}
	return &Repository{mirror: m, paths: paths, isDocument: isDocument, files: map[string]*file{},
		lineage: newLineage(), moves: map[plumbing.Hash][]move{}, maxLookBack: maxLookBack, signed: map[plumbing.Hash]bool{}}, nil
}

// SetAuth logs in with auth from the next request on, and keeps all that was
// read; see mirror.SetAuth.
func (r *Repository) SetAuth(auth mirror.Auth) error { return r.mirror.SetAuth(auth) }

// Keep keeps what is fetched on disk; see mirror.Keep.
func (r *Repository) Keep(folder string, warn func(error)) { r.mirror.Keep(folder, warn) }

// Close lets go of what Keep opened.
func (r *Repository) Close() error { return r.mirror.Close() }

// Branch is the branch's short name, known after the first Update.
func (r *Repository) Branch() string { return r.mirror.Branch() }

// Tree is the root tree that was read last: another one where any file changed.
func (r *Repository) Tree() string { return r.root.String() }

// Head is the commit that the repository was read at.
func (r *Repository) Head() string { return r.mirror.Head().String() }

// Checkout tells whether the repository is a checkout.
func (r *Repository) Checkout() bool { return r.mirror.Checkout() }

// Update reads what changed at the branch's head since the last time.
func (r *Repository) Update(ctx context.Context) error {
	r.mirror.Sweep(r.root, r.contents)
	if _, err := r.mirror.Tip(ctx); err != nil {
		return err
	}
	if err := r.mirror.Fetch(ctx); err != nil {
		return err
	}
	return r.index(ctx)
}

// contents are the files that a pass reads.
func (r *Repository) contents(yield func(plumbing.Hash) bool) {
	for _, f := range r.files {
		if !yield(f.blob) {
			return
		}
	}
}

// index brings the list of manifests to the head.
func (r *Repository) index(ctx context.Context) error {
	head, err := r.mirror.HeadCommit()
	if err != nil {
		return err
	}
	diffs, err := r.mirror.Diff(ctx, []mirror.Pair{{Old: r.root, New: head.TreeHash}}, r.reads)
	if err != nil {
		return err
	}
	if !r.root.IsZero() || r.mirror.FromDisk() {
		// A fetch brings what is new on the server, which is not all that is new here.
		if err := r.need(ctx, diffs[0]); err != nil {
			return err
		}
	}
	if err := r.mirror.Save(ctx, contentsOf(diffs[0])); err != nil {
		return err
	}
	for _, d := range diffs[0] {
		if d.New.IsZero() {
			delete(r.files, d.Path)
			continue
		}
		if r.files[d.Path], err = r.look(d); err != nil {
			return err
		}
	}
	r.root = head.TreeHash
	return nil
}

// reads tells whether a file counts, by its name.
func (r *Repository) reads(file string) bool {
	if !manifest.IsManifest(file) {
		return false
	}
	if len(r.paths) == 0 {
		return true
	}
	return slices.ContainsFunc(r.paths, func(path string) bool {
		path = strings.Trim(strings.TrimPrefix(path, "./"), "/")
		return path == "" || path == "." || file == path || strings.HasPrefix(file, path+"/")
	})
}

func (r *Repository) need(ctx context.Context, diffs []mirror.Difference) error {
	return r.mirror.Need(ctx, contentsOf(diffs))
}

func contentsOf(diffs []mirror.Difference) []plumbing.Hash {
	blobs := make([]plumbing.Hash, len(diffs))
	for i, d := range diffs {
		blobs[i] = d.New
	}
	return blobs
}

// look finds out without parsing what a new content may hold.
func (r *Repository) look(d mirror.Difference) (*file, error) {
	f := &file{blob: d.New, read: true}
	content, err := r.mirror.Blob(d.New)
	if errors.Is(err, mirror.ErrTooLarge) {
		f.tooLarge = true
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", d.Path, err)
	}
	f.marked = manifest.MayMatter(d.Path, content, nil)
	f.documents = r.isDocument(content)
	if !f.marked && !f.documents && r.mirror.OnDisk(d.New) {
		r.mirror.Forget(d.New)
	}
	return f, nil
}

// Document is a file that may hold policies.
type Document struct {
	Path string
	// ID changes with the content.
	ID      string
	Content []byte
}

// Documents returns the files that may hold policies, sorted by path.
func (r *Repository) Documents() ([]Document, error) {
	var found []Document
	for _, path := range r.sorted(func(f *file) bool { return f.documents }) {
		f := r.files[path]
		content, err := r.mirror.Blob(f.blob)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", path, err)
		}
		found = append(found, Document{path, f.blob.String(), content})
	}
	return found, nil
}

// sorted lists the files that matter, which are few among many, by path.
func (r *Repository) sorted(matters func(*file) bool) []string {
	var paths []string
	for path, f := range r.files {
		if matters(f) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// Fields returns what the bindings and the markers bind at the head, file by
// file, and what is wrong with those files. Only files whose content or whose
// targets changed since the last call are parsed.
func (r *Repository) Fields(ctx context.Context, b Bindings) ([]manifest.Field, []manifest.Problem, error) {
	if !r.bound.equal(b) {
		r.bound = b
		r.moves, r.back = map[plumbing.Hash][]move{}, nil
		for _, f := range r.files {
			f.scanned = false
		}
	}
	if err := r.scan(ctx); err != nil {
		return nil, nil, err
	}
	var fields []manifest.Field
	var problems []manifest.Problem
	for _, path := range r.sorted(func(f *file) bool { return len(f.fields)+len(f.problems) > 0 }) {
		fields = append(fields, r.files[path].fields...)
		problems = append(problems, r.files[path].problems...)
	}
	return fields, problems, nil
}

// scan parses the files that matter and are not parsed yet, and lets go of the
// contents that nobody needs any more.
func (r *Repository) scan(ctx context.Context) error {
	var matter []string
	var blobs []plumbing.Hash
	for path, f := range r.files {
		if f.scanned {
			continue
		}
		f.fields, f.problems = nil, nil
		switch {
		case f.tooLarge:
			f.problems = []manifest.Problem{{File: path, Message: mirror.ErrTooLarge.Error() + ", so it is not read"}}
		case f.marked || manifest.MayMatter(path, nil, r.bound.Targets):
			matter = append(matter, path)
			blobs = append(blobs, f.blob)
			continue // Where it can't be fetched now, it is read the next time.
		case !f.documents:
			r.mirror.Forget(f.blob)
		}
		f.scanned = true
	}
	if err := r.mirror.Need(ctx, blobs); err != nil {
		return err
	}
	for _, path := range matter {
		f := r.files[path]
		content, err := r.mirror.Blob(f.blob)
		if err != nil {
			return fmt.Errorf("cannot read %s: %w", path, err)
		}
		f.fields, f.problems = manifest.Scan(path, content, r.bound.Targets)
		f.scanned = true
	}
	return nil
}

// Content returns a file at the head that has fields.
func (r *Repository) Content(path string) ([]byte, error) {
	f, ok := r.files[path]
	if !ok {
		return nil, fmt.Errorf("cannot read %s: %w", path, errors.New("it is not there"))
	}
	return r.mirror.Blob(f.blob)
}
