// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"cmp"
	"errors"
	"iter"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// rawEntry is one entry of a tree, in the tree's own bytes.
type rawEntry struct {
	mode, name, id []byte
}

// errMalformedTree is the end of a tree in the midst of an entry.
var errMalformedTree = errors.New("the tree is malformed")

// cutEntry takes the first entry off the bytes of a tree: the mode, a space, the
// name, a zero, and the id. Most of a tree's entries are none of a pass's business, so
// none is copied.
func cutEntry(tree []byte) (e rawEntry, rest []byte, err error) {
	mode, rest, ok := bytes.Cut(tree, []byte{' '})
	name, rest, ended := bytes.Cut(rest, []byte{0})
	if !ok || !ended || len(name) == 0 || len(rest) < len(plumbing.ZeroHash) {
		return rawEntry{}, nil, errMalformedTree
	}
	return rawEntry{mode, name, rest[:len(plumbing.ZeroHash)]}, rest[len(plumbing.ZeroHash):], nil
}

// rawEntries goes through the bytes of a tree.
func rawEntries(tree []byte) iter.Seq2[rawEntry, error] {
	return func(yield func(rawEntry, error) bool) {
		for len(tree) > 0 {
			e, rest, err := cutEntry(tree)
			if !yield(e, err) || err != nil {
				return
			}
			tree = rest
		}
	}
}

// differing goes through the entries that two trees do not have in common, by name; one
// of the two is empty where the other tree has no such name. As long as both have the
// same names in a row, as two versions of a folder mostly do, they are compared in step.
func differing(olds, news []byte, yield func(o, n rawEntry)) error {
	for len(olds) > 0 && len(news) > 0 {
		o, oldRest, oldErr := cutEntry(olds)
		n, newRest, newErr := cutEntry(news)
		if err := cmp.Or(oldErr, newErr); err != nil {
			return err
		}
		if !bytes.Equal(o.name, n.name) {
			break
		}
		if !o.equal(n) {
			yield(o, n)
		}
		olds, news = oldRest, newRest
	}
	byName := map[string]rawEntry{}
	for e, err := range rawEntries(olds) {
		if err != nil {
			return err
		}
		byName[string(e.name)] = e
	}
	for e, err := range rawEntries(news) {
		if err != nil {
			return err
		}
		if o := byName[string(e.name)]; !o.equal(e) {
			yield(o, e)
		}
		delete(byName, string(e.name))
	}
	for e, err := range rawEntries(olds) {
		if err != nil {
			return err
		}
		if _, gone := byName[string(e.name)]; gone {
			yield(e, rawEntry{})
		}
	}
	return nil
}

func (e rawEntry) equal(o rawEntry) bool {
	return bytes.Equal(e.id, o.id) && bytes.Equal(e.mode, o.mode)
}

// file is the id of a regular file, else zero.
func (e rawEntry) file() plumbing.Hash {
	if isFile, _ := e.kind(); isFile {
		return plumbing.Hash(e.id)
	}
	return plumbing.ZeroHash
}

// folder is the id of a folder, else zero.
func (e rawEntry) folder() plumbing.Hash {
	if _, isFolder := e.kind(); isFolder {
		return plumbing.Hash(e.id)
	}
	return plumbing.ZeroHash
}

// kind tells whether the entry is a regular file or a folder, by the bits of its
// mode that say so: old versions of git wrote more permissions than today's two.
func (e rawEntry) kind() (isFile, isFolder bool) {
	const kinds = 0o170000
	mode, err := strconv.ParseUint(string(e.mode), 8, 32)
	if err != nil {
		return false, false
	}
	return mode&kinds == uint64(filemode.Regular)&kinds, mode&kinds == uint64(filemode.Dir)
}
