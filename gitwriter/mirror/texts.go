// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"compress/zlib"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// errNotTexts says that a pack holds something else than commits, or in another form
// than textReader reads.
var errNotTexts = errors.New("the pack does not hold commits alone")

const (
	// maxChain is how many deltas git lets stand on each other.
	maxChain = 4095
	// maxText bounds a commit that is read as it comes in.
	maxText = 1 << 20
	// maxBases bounds the bases of deltas that are kept unpacked, in bytes.
	maxBases = 4 << 20
)

// textReader goes through the commits of a pack as they come in. Any of them may be the
// base of a delta later on; what is kept for that is the pack as it came, which is a
// third or so of what is in it.
type textReader struct {
	pack     *spool
	on       func(id plumbing.Hash, text []byte) error
	inflater io.ReadCloser
	hasher   hash.Hash
	text     []byte
	// bases are the contents of some places in the pack, and take basesSize.
	bases     map[int64][]byte
	basesSize int
	// unpacked and copied are what is left of maxUnpackedBytes and maxCopiedBytes.
	unpacked, copied int64
}

func newTextReader(pack io.Reader, limit int64, on func(id plumbing.Hash, text []byte) error) *textReader {
	return &textReader{pack: &spool{from: pack}, on: on, hasher: hash.New(crypto.SHA1), bases: map[int64][]byte{}, unpacked: limit, copied: maxCopiedBytes}
}

// read shows all commits of the pack. The pack's own checksum is not looked at: each
// commit is known by its id.
func (r *textReader) read(ctx context.Context) error {
	here := r.pack.at(0)
	count, err := packCount(here)
	if err != nil {
		return cut(err)
	}
	for range count {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		at := here.offset
		if err := r.next(here); err != nil {
			return cut(fmt.Errorf("cannot read the object at %d: %w", at, err))
		}
	}
	if r.pack.done != nil && !errors.Is(r.pack.done, io.EOF) {
		return r.pack.done
	}
	_, err = io.Copy(io.Discard, r.pack.from) // What the server says at the end counts.
	return err
}

func packCount(from io.ByteReader) (uint32, error) {
	var header [12]byte
	for i := range header {
		var err error
		if header[i], err = from.ReadByte(); err != nil {
			return 0, err
		}
	}
	if string(header[:8]) != "PACK\x00\x00\x00\x02" {
		return 0, packfile.ErrBadSignature
	}
	return uint32(header[8])<<24 | uint32(header[9])<<16 | uint32(header[10])<<8 | uint32(header[11]), nil
}

func (r *textReader) next(here *cursor) error {
	at := here.offset
	o, err := readEntry(here)
	if err != nil {
		return err
	}
	if r.text, err = r.inflate(here, o.size, r.text[:0]); err != nil {
		return err
	}
	text := r.text
	if o.isDelta() {
		base, err := r.base(at - o.back)
		if err != nil {
			return err
		}
		if text, err = r.patch(base, r.text); err != nil {
			return err
		}
	}
	if err := take(&r.unpacked, int64(len(text))); err != nil {
		return err
	}
	r.hasher.Reset()
	_, _ = fmt.Fprintf(r.hasher, "%s %d\x00", plumbing.CommitObject, len(text))
	_, _ = r.hasher.Write(text)
	var id plumbing.Hash
	r.hasher.Sum(id[:0])
	return r.on(id, text)
}

// base is the content at a place in the pack, which may be made of deltas itself.
func (r *textReader) base(at int64) ([]byte, error) {
	type link struct {
		at    int64
		delta []byte
	}
	var chain []link
	content, known := r.bases[at]
	for !known {
		if at < 0 || len(chain) > maxChain {
			return nil, packfile.ErrMalformedPackFile
		}
		o, unpacked, err := r.again(at)
		if err != nil {
			return nil, err
		}
		if !o.isDelta() {
			content = unpacked
			r.remember(at, content)
			break
		}
		chain = append(chain, link{at, unpacked})
		at -= o.back
		content, known = r.bases[at]
	}
	for _, l := range slices.Backward(chain) {
		var err error
		if content, err = r.patch(content, l.delta); err != nil {
			return nil, err
		}
		r.remember(l.at, content)
	}
	return content, nil
}

// again unpacks what is at a place.
func (r *textReader) again(at int64) (packEntry, []byte, error) {
	from := r.pack.at(at)
	o, err := readEntry(from)
	if err != nil {
		return o, nil, err
	}
	if err := take(&r.copied, o.size); err != nil {
		return o, nil, err
	}
	content, err := r.inflate(from, o.size, nil)
	return o, content, err
}

func (r *textReader) remember(at int64, base []byte) {
	if r.basesSize += len(base); r.basesSize > maxBases {
		clear(r.bases)
		r.basesSize = len(base)
	}
	r.bases[at] = base
}

// patch applies a delta.
func (r *textReader) patch(base, delta []byte) ([]byte, error) {
	size, err := sizeOf(delta)
	if err != nil {
		return nil, err
	}
	if size > maxText {
		return nil, errNotTexts
	}
	if err := take(&r.copied, size+int64(len(base))); err != nil {
		return nil, err
	}
	return packfile.PatchDelta(base, delta)
}

func (r *textReader) inflate(from *cursor, size int64, into []byte) ([]byte, error) {
	if size > maxText {
		return nil, errNotTexts
	}
	var err error
	if again, ok := r.inflater.(zlib.Resetter); ok {
		err = again.Reset(from, nil)
	} else {
		r.inflater, err = zlib.NewReader(from)
	}
	if err != nil {
		return nil, err
	}
	into = slices.Grow(into, int(size))[:size]
	if _, err := io.ReadFull(r.inflater, into); err != nil {
		return nil, err
	}
	var more [1]byte
	if n, err := r.inflater.Read(more[:]); n > 0 || !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: an object is not as long as its header says", packfile.ErrMalformedPackFile)
	}
	return into, nil
}

// packEntry is what stands before an object in a pack.
type packEntry struct {
	kind plumbing.ObjectType
	size int64
	back int64 // how far before it the base of a delta is
}

func (o packEntry) isDelta() bool { return o.kind == plumbing.OFSDeltaObject }

// readEntry is entryHeader read back, and the place of the base by gitformat-pack(5).
func readEntry(from *cursor) (packEntry, error) {
	b, err := from.ReadByte()
	if err != nil {
		return packEntry{}, err
	}
	o := packEntry{kind: plumbing.ObjectType(b >> 4 & 7), size: int64(b & 0x0f)}
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = from.ReadByte(); err != nil {
			return o, err
		}
		if shift > 56 {
			return o, packfile.ErrMalformedPackFile
		}
		o.size |= int64(b&0x7f) << shift
	}
	if o.kind == plumbing.CommitObject {
		return o, nil
	}
	if !o.isDelta() {
		return o, errNotTexts
	}
	for first := true; first || b&0x80 != 0; first = false {
		if b, err = from.ReadByte(); err != nil {
			return o, err
		}
		if o.back > 1<<48 {
			return o, packfile.ErrMalformedPackFile
		}
		if !first {
			o.back++
		}
		o.back = o.back<<7 | int64(b&0x7f)
	}
	return o, nil
}

// spool keeps what it reads.
type spool struct {
	from   io.Reader
	chunks [][]byte
	done   error
}

// chunk is how much is read at once.
const chunk = 64 << 10

// fill reads one chunk more.
func (s *spool) fill() error {
	if s.done != nil {
		return s.done
	}
	more := make([]byte, chunk)
	n, err := io.ReadFull(s.from, more)
	if n > 0 {
		s.chunks = append(s.chunks, more[:n])
	}
	if err != nil {
		s.done = err
		if errors.Is(err, io.ErrUnexpectedEOF) {
			s.done = io.EOF
		}
	}
	if n > 0 {
		return nil
	}
	return s.done
}

// at reads from a place on.
func (s *spool) at(offset int64) *cursor { return &cursor{spool: s, offset: offset} }

// cursor reads what is kept, and then on.
type cursor struct {
	spool  *spool
	offset int64
	// here is what is left of the chunk at offset.
	here []byte
}

func (c *cursor) more() error {
	for c.offset/chunk >= int64(len(c.spool.chunks)) {
		if err := c.spool.fill(); err != nil {
			return err
		}
	}
	in := c.spool.chunks[c.offset/chunk]
	if c.offset%chunk >= int64(len(in)) {
		return c.spool.done
	}
	c.here = in[c.offset%chunk:]
	return nil
}

func (c *cursor) ReadByte() (byte, error) {
	if len(c.here) == 0 {
		if err := c.more(); err != nil {
			return 0, err
		}
	}
	b := c.here[0]
	c.here = c.here[1:]
	c.offset++
	return b, nil
}

func (c *cursor) Read(into []byte) (int, error) {
	if len(c.here) == 0 {
		if err := c.more(); err != nil {
			return 0, err
		}
	}
	n := copy(into, c.here)
	c.here = c.here[n:]
	c.offset += int64(n)
	return n, nil
}
