// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// Draft is a row of commits on top of the head that is not pushed yet.
type Draft struct {
	mirror  *Mirror
	base    plumbing.Hash
	tip     plumbing.Hash
	tree    plumbing.Hash
	objects []plumbing.Hash
	bases   bases
}

// NewDraft starts a row of commits on the head.
func (m *Mirror) NewDraft() (*Draft, error) {
	head, err := m.HeadCommit()
	if err != nil {
		return nil, err
	}
	return &Draft{mirror: m, base: m.head, tip: m.head, tree: head.TreeHash, bases: bases{}}, nil
}

// Commit adds a commit that gives existing regular files new content. Trees
// off the changed paths are reused by id.
func (d *Draft) Commit(files map[string][]byte, author object.Signature, message string, sign Sign) (plumbing.Hash, error) {
	blobs := make(map[string]plumbing.Hash, len(files))
	for path, content := range files {
		blobs[path] = d.add(plumbing.BlobObject, content)
	}
	tree, err := d.rewrite(d.tree, blobs)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	c := &object.Commit{Author: author, Committer: author, Message: message, TreeHash: tree, ParentHashes: []plumbing.Hash{d.tip}}
	if err := sign.sign(c); err != nil {
		return plumbing.ZeroHash, err
	}
	text, err := textOf(c.Encode)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("cannot write a commit: %w", err)
	}
	d.tip, d.tree = d.add(plumbing.CommitObject, text), tree
	return d.tip, nil
}

func (d *Draft) add(kind plumbing.ObjectType, content []byte) plumbing.Hash {
	id := d.mirror.store.add(kind, content)
	d.objects = append(d.objects, id)
	return id
}

// rewrite returns the tree with the files below it replaced. Only ids change, so
// that they are put into the tree's own bytes, and all else stays as it was.
func (d *Draft) rewrite(tree plumbing.Hash, files map[string]plumbing.Hash) (plumbing.Hash, error) {
	old, err := d.mirror.rawTree(tree)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	here, below := byFolder(files)
	content := bytes.Clone(old)
	for e, err := range rawEntries(content) {
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("cannot read tree %s: %w", tree, err)
		}
		blob, changed := here[string(e.name)]
		nested, deeper := below[string(e.name)]
		if !changed && !deeper {
			continue
		}
		isFile, isFolder := e.kind()
		if changed && isFile {
			copy(e.id, blob[:])
			delete(here, string(e.name))
		}
		if deeper && isFolder {
			folder, err := d.rewrite(plumbing.Hash(e.id), nested)
			if err != nil {
				return plumbing.ZeroHash, err
			}
			copy(e.id, folder[:])
			delete(below, string(e.name))
		}
	}
	if len(here)+len(below) > 0 {
		return plumbing.ZeroHash, errors.New("cannot write a tree: a file to change is not there")
	}
	id := d.add(plumbing.TreeObject, content)
	d.bases[id] = tree
	return id, nil
}

// byFolder parts the files of a tree from those in the folders below it.
func byFolder(files map[string]plumbing.Hash) (here map[string]plumbing.Hash, below map[string]map[string]plumbing.Hash) {
	here, below = map[string]plumbing.Hash{}, map[string]map[string]plumbing.Hash{}
	for path, blob := range files {
		folder, rest, nested := strings.Cut(path, "/")
		if !nested {
			here[path] = blob
			continue
		}
		if below[folder] == nil {
			below[folder] = map[string]plumbing.Hash{}
		}
		below[folder][rest] = blob
	}
	return here, below
}

// Push sends the drafted commits and moves the branch from the draft's base to
// the last of them, if nobody moved it meanwhile. It returns *RaceError where
// somebody did, and *Error otherwise. On success the last commit is the head.
func (d *Draft) Push(ctx context.Context) error {
	m := d.mirror
	req, progress, err := d.request()
	if err != nil {
		return err
	}
	pushCtx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	report, err := m.remote.receive(pushCtx, req)
	if err == nil && report != nil {
		m.head, m.tip = d.tip, d.tip
		_ = m.Save(ctx, d.objects) // It fails where it has to fetch; these are here.
		return nil
	}
	return d.judge(ctx, m.failure(report, err, progress.String(), d.hint))
}

func (d *Draft) request() (*packp.ReferenceUpdateRequest, *strings.Builder, error) {
	var pack bytes.Buffer
	if err := writePack(&pack, d.mirror.store, d.objects, d.bases); err != nil {
		return nil, nil, fmt.Errorf("cannot make a pack: %w", err)
	}
	progress := &strings.Builder{}
	req := packp.NewReferenceUpdateRequest()
	for _, c := range []capability.Capability{capability.ReportStatus, capability.Sideband64k} {
		_ = req.Capabilities.Set(c)
	}
	_ = req.Capabilities.Set(capability.Agent, "pintle")
	req.Commands = []*packp.Command{{Name: d.mirror.branch, Old: d.base, New: d.tip}}
	req.Packfile = io.NopCloser(&pack)
	req.Progress = progress
	return req, progress, nil
}

// judge finds out what a failed push means by looking at the branch, whatever
// words the server used.
func (d *Draft) judge(ctx context.Context, failed error) error {
	m := d.mirror
	tip, err := m.Tip(ctx)
	switch {
	case err != nil:
		return m.notKnown(failed, err)
	case tip == d.tip:
		// It was taken; only the answer was lost.
		m.head = d.tip
		_ = m.Save(ctx, d.objects) // It fails where it has to fetch; these are here.
		return nil
	case tip != d.base:
		return &RaceError{Err: reason(failed)}
	}
	return failed
}

// hint says what to do about a push that is refused with these words.
func (d *Draft) hint(words string) string {
	branch := d.mirror.branch.Short()
	switch {
	case d.mirror.Checkout():
		return "commit or stash what is not clean in the checkout"
	case protectedWords.MatchString(words):
		return fmt.Sprintf("let these credentials push to branch %q, or propose what is due with `mode: PullRequest`", branch)
	case lockedWords.MatchString(words):
		return "another push may be under way; if this stays, git was killed in the midst of one, and its .lock files have to be removed where the repository is stored"
	}
	return fmt.Sprintf("check that branch %q may be pushed to with these credentials", branch)
}
