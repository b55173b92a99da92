// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Commit is what is kept of a commit's text. There may be a hundred thousand.
type Commit struct {
	Hash, Tree plumbing.Hash
	// Parents have been read once History has returned the commit.
	Parents []*Commit
	// Author is the name in it.
	Author string
	// Text is kept only where the message names Pintle, which most do not; else nil.
	Text *Text
	// Index is the commit's place in what History returns.
	Index int

	committed int64 // in seconds
}

// Text is what a commit says that names Pintle.
type Text struct {
	Message string
	// Signature is the commit's, and Signed what it is of; both are empty where there
	// is none.
	Signed, Signature string
}

// When is the time that the committer wrote down.
func (c *Commit) When() time.Time { return time.Unix(c.committed, 0).UTC() }

// wasRead tells a commit from one that is known as a parent alone.
func (c *Commit) wasRead() bool { return !c.Tree.IsZero() }

// What an Index is of a commit that has no place.
const (
	unordered = -1 - iota
	beingOrdered
)

// commitLog is what is known of a branch's history.
type commitLog struct {
	commits map[plumbing.Hash]*Commit
	// ordered are the commits reachable from the head, parents first.
	ordered []*Commit
	head    plumbing.Hash
	// size is how many were read.
	size int
	// authors has each name once. Commits and links are made many at a time.
	authors map[string]string
	unused  []Commit
	links   []*Commit
}

func newCommitLog() *commitLog {
	return &commitLog{commits: map[plumbing.Hash]*Commit{}, authors: map[string]string{}}
}

// atOnce is how many commits are made at once, where there are many.
const atOnce = 512

// commit is the one with an id, which may not have been read.
func (l *commitLog) commit(id plumbing.Hash) *Commit {
	if c := l.commits[id]; c != nil {
		return c
	}
	if len(l.unused) == 0 {
		l.unused = make([]Commit, min(atOnce, 1+len(l.commits)))
	}
	c := &l.unused[0]
	l.unused = l.unused[1:]
	c.Hash, c.Index = id, unordered
	l.commits[id] = c
	return c
}

// read tells whether a commit's text was read.
func (l *commitLog) read(id plumbing.Hash) bool {
	c := l.commits[id]
	return c != nil && c.wasRead()
}

// add reads the text of a commit, as git does: the tree comes first, then the parents.
func (l *commitLog) add(id plumbing.Hash, text []byte) error {
	if l.read(id) {
		return nil
	}
	headers, message, _ := bytes.Cut(text, []byte("\n\n"))
	tree, headers, ok := idLine(headers, "tree ")
	if !ok || tree.IsZero() {
		return fmt.Errorf("cannot read commit %s: %w", id, errors.New("it names no tree"))
	}
	c := l.commit(id)
	c.Tree = tree
	l.size++
	c.Parents, headers = l.parents(headers)
	author, _ := signer(headers, "author ")
	c.Author = l.name(author)
	_, c.committed = signer(headers, "committer ")
	if bytes.Contains(message, []byte("Pintle-")) {
		c.Text = newText(string(text), len(message))
	}
	return nil
}

// parents takes the parents off the beginning of headers.
func (l *commitLog) parents(headers []byte) ([]*Commit, []byte) {
	if cap(l.links)-len(l.links) == 0 {
		l.links = make([]*Commit, 0, min(atOnce, 1+len(l.commits)))
	}
	first := len(l.links)
	found := l.links
	for {
		id, rest, ok := idLine(headers, "parent ")
		if !ok {
			break
		}
		found, headers = append(found, l.commit(id)), rest
	}
	if cap(found) == cap(l.links) {
		l.links = found
	}
	return found[first:len(found):len(found)], headers
}

func (l *commitLog) name(text []byte) string {
	if name, ok := l.authors[string(text)]; ok {
		return name
	}
	name := string(text)
	l.authors[name] = name
	return name
}

// idLine takes a line with a name and an id off the beginning of headers.
func idLine(headers []byte, name string) (id plumbing.Hash, rest []byte, ok bool) {
	line, rest, _ := bytes.Cut(headers, []byte("\n"))
	text, ok := bytes.CutPrefix(line, []byte(name))
	if !ok || len(text) != hex.EncodedLen(len(id)) {
		return id, headers, false
	}
	_, err := hex.Decode(id[:], text)
	return id, rest, err == nil
}

// signer is the name and the time in the first header of its kind; the zero time where
// it has none.
func signer(headers []byte, kind string) (name []byte, seconds int64) {
	seconds = time.Time{}.Unix()
	for line := range bytes.Lines(headers) {
		text, ok := bytes.CutPrefix(line, []byte(kind))
		if !ok {
			continue
		}
		opens, closes := bytes.LastIndexByte(text, '<'), bytes.LastIndexByte(text, '>')
		if opens < 0 || closes < opens {
			break
		}
		when, _, _ := bytes.Cut(bytes.TrimSpace(text[closes+1:]), []byte(" "))
		if n, err := strconv.ParseInt(string(when), 10, 64); err == nil {
			seconds = n
		}
		return bytes.Trim(text[:opens], " "), seconds
	}
	return nil, seconds
}
