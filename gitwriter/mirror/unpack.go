// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

const (
	// maxUnpackedBytes bounds what the objects of one fetch take in memory: what is
	// compressed well, or made of deltas, may be a thousand times its pack.
	maxUnpackedBytes = 1 << 30
	// maxCopiedBytes bounds what is read to apply the deltas of one fetch, of which each
	// costs its whole base, however little it makes.
	maxCopiedBytes = 64 * maxUnpackedBytes
)

// errUnpacked says that the objects of a fetch are over a limit.
var errUnpacked = errors.New("its objects are over the limit")

// unpacker takes the objects out of a pack, each one no sooner than its size is known
// to be within the limits. Go-git's own parser has none.
type unpacker struct {
	scanner *packfile.Scanner
	store   *objects
	// known has bases that the server takes to be here; nil where it takes none to be.
	known *objects
	// unpacked and copied are what is left of maxUnpackedBytes and maxCopiedBytes.
	unpacked, copied int64
	buffer           bytes.Buffer
	ids              map[int64]plumbing.Hash // by place in the pack
	ready            []delta                 // whose base is here
	waiting          map[base][]delta
}

// base is what a delta is about: a place in the pack, or else an id.
type base struct {
	at int64
	id plumbing.Hash
}

// delta makes an object out of another one.
type delta struct {
	at      int64
	base    base
	content []byte
}

func newUnpacker(pack io.Reader, into *objects, limit int64) *unpacker {
	return &unpacker{scanner: packfile.NewScanner(pack), store: into, unpacked: limit, copied: maxCopiedBytes, ids: map[int64]plumbing.Hash{}, waiting: map[base][]delta{}}
}

// unpack stores all objects of the pack.
func (u *unpacker) unpack(ctx context.Context) error {
	_, count, err := u.scanner.Header()
	if err != nil {
		return cut(err)
	}
	for range count {
		if err := u.next(); err != nil {
			return cut(err)
		}
		for len(u.ready) > 0 {
			d := u.ready[len(u.ready)-1]
			u.ready = u.ready[:len(u.ready)-1]
			if err := u.apply(d); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	if len(u.waiting) > 0 {
		return packfile.ErrReferenceDeltaNotFound
	}
	if _, err := u.scanner.Checksum(); err != nil && !errors.Is(err, io.EOF) {
		return cut(err)
	}
	return nil
}

// cut says that a pack which ends too soon is broken.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", packfile.ErrMalformedPackFile, err)
	}
	return err
}

// next takes the next object out of the pack.
func (u *unpacker) next() error {
	header, err := u.scanner.NextObjectHeader()
	if err != nil {
		return err
	}
	if err := take(&u.unpacked, header.Length); err != nil {
		return err
	}
	u.buffer.Reset()
	n, _, err := u.scanner.NextObject(&u.buffer) // no more than the header says
	if err != nil {
		return err
	}
	if n != header.Length {
		return fmt.Errorf("%w: an object is shorter than its header says", packfile.ErrMalformedPackFile)
	}
	if header.Type.IsDelta() {
		return u.apply(delta{header.Offset, base{header.OffsetReference, header.Reference}, bytes.Clone(u.buffer.Bytes())})
	}
	u.keep(header.Offset, header.Type, bytes.Clone(u.buffer.Bytes()))
	return nil
}

// apply makes the object of a delta, if its base is here; else the delta waits for it.
func (u *unpacker) apply(d delta) error {
	id := d.base.id
	if d.base.at > 0 {
		id = u.ids[d.base.at]
	}
	from, ok := u.store.byID[id]
	if !ok && u.known != nil {
		from, ok = u.known.byID[id]
	}
	if !ok {
		u.waiting[d.base] = append(u.waiting[d.base], d)
		return nil
	}
	size, err := sizeOf(d.content)
	if err != nil {
		return err
	}
	if err := errors.Join(take(&u.unpacked, size), take(&u.copied, int64(len(from.content)))); err != nil {
		return err
	}
	content, err := packfile.PatchDelta(from.content, d.content)
	if err != nil {
		return err
	}
	u.unpacked += int64(len(d.content)) // which is not kept
	u.keep(d.at, from.kind, content)
	return nil
}

// sizeOf is the size of what a delta makes: its second number, by gitformat-pack(5).
func sizeOf(content []byte) (int64, error) {
	_, n := binary.Uvarint(content)
	if n <= 0 {
		return 0, packfile.ErrInvalidDelta
	}
	size, n := binary.Uvarint(content[n:])
	if n <= 0 || size > math.MaxInt64 {
		return 0, packfile.ErrInvalidDelta
	}
	return int64(size), nil
}

func (u *unpacker) keep(at int64, kind plumbing.ObjectType, content []byte) {
	id := u.store.add(kind, content)
	u.ids[at] = id
	for _, b := range []base{{at: at}, {id: id}} {
		u.ready = append(u.ready, u.waiting[b]...)
		delete(u.waiting, b)
	}
}

// take takes from what is left, if there is enough.
func take(left *int64, n int64) error {
	if n < 0 || n > *left {
		return errUnpacked
	}
	*left -= n
	return nil
}
