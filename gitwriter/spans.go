// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"cmp"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// spans tell which content a file had in which commits of the history: most leave it as
// it was, so that a few spans tell of many. They are sorted, and do not overlap.
type spans []span

// span is a row of commits, by their places in the history.
type span struct {
	first, last int
	blob        plumbing.Hash
}

// at is the content at a place; false where it is not known.
func (s spans) at(place int) (plumbing.Hash, bool) {
	i := s.after(place)
	if i > 0 && s[i-1].last >= place {
		return s[i-1].blob, true
	}
	return plumbing.ZeroHash, false
}

// after is the number of the first span that begins after a place.
func (s spans) after(place int) int {
	i, found := slices.BinarySearchFunc(s, place, func(e span, place int) int { return cmp.Compare(e.first, place) })
	if found {
		return i + 1
	}
	return i
}

// add takes down the content at a place that was not known.
func (s spans) add(place int, blob plumbing.Hash) spans {
	i := s.after(place)
	joinsLast := i > 0 && s[i-1].last == place-1 && s[i-1].blob == blob
	joinsNext := i < len(s) && s[i].first == place+1 && s[i].blob == blob
	switch {
	case joinsLast && joinsNext:
		s[i-1].last = s[i].last
		return slices.Delete(s, i, i+1)
	case joinsLast:
		s[i-1].last = place
	case joinsNext:
		s[i].first = place
	default:
		return slices.Insert(s, i, span{place, place, blob})
	}
	return s
}
