// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"cmp"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pintle-dev/pintle/gitwriter/mirror"
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

// since is the first place of the span that a place is in; the place itself where it is
// in none.
func (s spans) since(place int) int {
	i := s.after(place)
	if i > 0 && s[i-1].last >= place {
		return s[i-1].first
	}
	return place
}

// add takes down a span, as far as it was not known.
func (s spans) add(more span) spans {
	i := s.after(more.last)
	if i > 0 && s[i-1].last >= more.first {
		for place := more.first; place <= more.last; place++ {
			if _, known := s.at(place); !known {
				s = s.add(span{place, place, more.blob})
			}
		}
		return s
	}
	joinsLast := i > 0 && s[i-1].last == more.first-1 && s[i-1].blob == more.blob
	joinsNext := i < len(s) && s[i].first == more.last+1 && s[i].blob == more.blob
	switch {
	case joinsLast && joinsNext:
		s[i-1].last = s[i].last
		return slices.Delete(s, i, i+1)
	case joinsLast:
		s[i-1].last = more.last
	case joinsNext:
		s[i].first = more.first
	default:
		return slices.Insert(s, i, more)
	}
	return s
}

// rowsOf puts what a file held in commits together, where they stand one behind the other
// in the history, in either direction, and held the same.
func rowsOf(commits []*mirror.Commit, held []plumbing.Hash) []span {
	var rows []span
	for i, blob := range held {
		place := commits[i].Index
		if len(rows) > 0 && rows[len(rows)-1].blob == blob {
			switch last := &rows[len(rows)-1]; place {
			case last.first - 1:
				last.first = place
				continue
			case last.last + 1:
				last.last = place
				continue
			}
		}
		rows = append(rows, span{place, place, blob})
	}
	return rows
}
