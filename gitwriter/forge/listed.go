// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// listAgain is when all requests are listed once more, since nobody tells of one that
	// was deleted.
	listAgain = time.Hour
	// overlap is what is listed twice: a forge may tell of a change late.
	overlap = time.Minute
)

// listed are the requests for a base as they were listed last, so that only those that
// changed since are listed again. All times but began are the forge's.
type listed struct {
	base     string
	requests map[int]Request
	// all is when all were listed; changed is from when on changes are not known.
	all, changed time.Time
	// newest is the last change in the list that is read now, which began at began.
	newest, began time.Time
}

// begin begins a list, and says of which changes: of all, if it is zero.
func (l *listed) begin(base string, now time.Time) (since time.Time) {
	if l.base != base || now.Sub(l.all) >= listAgain {
		*l = listed{base: base, requests: map[int]Request{}, all: now}
	}
	l.began, l.newest = now, l.changed
	return l.changed
}

// saw takes note of a request of the list, or that one is none for the base.
func (l *listed) saw(r Request, updated time.Time, counts bool) {
	if updated.After(l.newest) {
		l.newest = updated
	}
	if !counts {
		delete(l.requests, r.Number)
		return
	}
	if r.State == Merged {
		r.Text.Body, _, _ = strings.Cut(r.Text.Body, "\n") // nobody reads more of it
	}
	l.requests[r.Number] = r
}

// end takes a list for whole, and returns all requests, the newest first. What changed
// while the list was read is listed again.
func (l *listed) end(now time.Time) []Request {
	if from := l.newest.Add(-overlap - now.Sub(l.began)); from.After(l.changed) {
		l.changed = from
	}
	var all []Request
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(l.requests))) {
		all = append(all, l.requests[number])
	}
	return all
}
