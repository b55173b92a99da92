// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
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

// rawEntries goes through the bytes of a tree: for each entry, the mode, a space,
// the name, a zero, and the id. Most of a tree's entries are none of a pass's
// business, so none is copied.
func rawEntries(tree []byte) iter.Seq2[rawEntry, error] {
	return func(yield func(rawEntry, error) bool) {
		for len(tree) > 0 {
			mode, rest, ok := bytes.Cut(tree, []byte{' '})
			name, rest, ended := bytes.Cut(rest, []byte{0})
			if !ok || !ended || len(name) == 0 || len(rest) < len(plumbing.ZeroHash) {
				yield(rawEntry{}, errMalformedTree)
				return
			}
			e := rawEntry{mode, name, rest[:len(plumbing.ZeroHash)]}
			tree = rest[len(plumbing.ZeroHash):]
			if !yield(e, nil) {
				return
			}
		}
	}
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
