// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// stored is an object as Git stores it. Nobody writes into the content.
type stored struct {
	kind    plumbing.ObjectType
	content []byte
}

func (o stored) id() plumbing.Hash { return plumbing.ComputeHash(o.kind, o.content) }

// objects are objects by their id.
type objects struct {
	byID map[plumbing.Hash]stored
	// size is what their contents take, in bytes.
	size int64
}

func newObjects() *objects { return &objects{byID: map[plumbing.Hash]stored{}} }

// add keeps an object, whose content is not to be changed any more.
func (s *objects) add(kind plumbing.ObjectType, content []byte) plumbing.Hash {
	o := stored{kind, content}
	id := o.id()
	if !s.has(id) {
		s.byID[id] = o
		s.size += int64(len(content))
	}
	return id
}

func (s *objects) has(id plumbing.Hash) bool {
	_, ok := s.byID[id]
	return ok
}

// content is that of an object of a kind.
func (s *objects) content(kind plumbing.ObjectType, id plumbing.Hash) ([]byte, bool) {
	o, ok := s.byID[id]
	return o.content, ok && o.kind == kind
}

// take keeps what others have.
func (s *objects) take(others *objects, id plumbing.Hash) {
	o, ok := others.byID[id]
	if !ok || s.has(id) {
		return
	}
	s.byID[id] = o
	s.size += int64(len(o.content))
}

func (s *objects) drop(id plumbing.Hash) {
	s.size -= int64(len(s.byID[id].content))
	delete(s.byID, id)
}

// ids are those of all objects of a kind.
func (s *objects) ids(kind plumbing.ObjectType) []plumbing.Hash {
	var ids []plumbing.Hash
	for id, o := range s.byID {
		if o.kind == kind {
			ids = append(ids, id)
		}
	}
	return ids
}

// commit reads the text of a commit.
func (s *objects) commit(id plumbing.Hash) (*object.Commit, error) {
	text, ok := s.content(plumbing.CommitObject, id)
	if !ok {
		return nil, fmt.Errorf("cannot read commit %s: %w", id, plumbing.ErrObjectNotFound)
	}
	c := &object.Commit{}
	if err := c.Decode(encoded(plumbing.CommitObject, text)); err != nil {
		return nil, fmt.Errorf("cannot read commit %s: %w", id, err)
	}
	return c, nil
}

// encoded is an object as go-git takes it.
func encoded(kind plumbing.ObjectType, content []byte) plumbing.EncodedObject {
	o := &plumbing.MemoryObject{}
	o.SetType(kind)
	_, _ = o.Write(content) // never fails
	return o
}
