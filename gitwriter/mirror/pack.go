// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"compress/zlib"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/hash"
)

// packHeader opens a pack, by gitformat-pack(5): a signature, the version, the
// number of objects.
type packHeader struct {
	Signature      [4]byte
	Version, Count uint32
}

// packer writes a pack. Objects are compressed fast rather than well, and those that
// were made of one before them are written as deltas: in a row of commits, most are trees
// in which one id of a hundred changed. No delta needs an object that is not in the
// pack, which not every server would look for.
type packer struct {
	store *objects
	bases bases
	out   io.Writer
	// chain is how many deltas an object that was written stands on.
	chain map[plumbing.Hash]int
	// fast compresses objects, and plain does not: deltas are few bytes, most of them of ids.
	fast, plain *zlib.Writer
}

// writePack writes objects, each once.
func writePack(w io.Writer, store *objects, ids []plumbing.Hash, bases bases) error {
	distinct := make(map[plumbing.Hash]bool, len(ids))
	for _, id := range ids {
		distinct[id] = true
	}
	sum := hash.New(crypto.SHA1)
	p := &packer{store: store, bases: bases, out: io.MultiWriter(w, sum), chain: make(map[plumbing.Hash]int, len(distinct))}
	var err error
	if p.fast, err = zlib.NewWriterLevel(p.out, zlib.BestSpeed); err != nil {
		return err
	}
	if p.plain, err = zlib.NewWriterLevel(p.out, zlib.NoCompression); err != nil {
		return err
	}
	header := packHeader{[4]byte{'P', 'A', 'C', 'K'}, 2, uint32(len(distinct))} //nolint:gosec // far fewer than 2^32 are in memory
	if err := binary.Write(p.out, binary.BigEndian, header); err != nil {
		return err
	}
	for _, id := range ids {
		if _, written := p.chain[id]; written {
			continue
		}
		if err := p.write(id); err != nil {
			return err
		}
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

func (p *packer) write(id plumbing.Hash) error {
	o, ok := p.store.byID[id]
	if !ok {
		return fmt.Errorf("cannot read object %s: %w", id, plumbing.ErrObjectNotFound)
	}
	base := p.bases[id]
	below, written := p.chain[base]
	from, ok := p.store.content(o.kind, base)
	if !ok || !written || below == maxRow || len(from) != len(o.content) {
		p.chain[id] = 0
		return p.entry(entryHeader(o.kind, int64(len(o.content))), p.fast, o.content)
	}
	p.chain[id] = below + 1
	d := deltaOf(from, o.content)
	return p.entry(append(entryHeader(plumbing.REFDeltaObject, int64(len(d))), base[:]...), p.plain, d)
}

func (p *packer) entry(header []byte, deflater *zlib.Writer, content []byte) error {
	if _, err := p.out.Write(header); err != nil {
		return err
	}
	deflater.Reset(p.out)
	_, err := deflater.Write(content)
	return errors.Join(err, deflater.Close())
}

// entryHeader is the type and the size of an object: three bits of type and four
// of size, then seven of size in each byte; the top bit says that more follow.
func entryHeader(t plumbing.ObjectType, size int64) []byte {
	header := []byte{byte(t)<<4 | byte(size&0x0f)} //nolint:gosec // types are 1 to 7
	for size >>= 4; size > 0; size >>= 7 {
		header[len(header)-1] |= 0x80
		header = append(header, byte(size&0x7f))
	}
	return header
}
