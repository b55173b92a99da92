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

// writePack writes objects whole, each once. They are compressed fast rather
// than well: most bytes of a tree are ids, which do not shrink.
func writePack(w io.Writer, store *objects, ids []plumbing.Hash) error {
	found := make([]stored, 0, len(ids))
	seen := make(map[plumbing.Hash]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		o, ok := store.byID[id]
		if !ok {
			return fmt.Errorf("cannot read object %s: %w", id, plumbing.ErrObjectNotFound)
		}
		found = append(found, o)
	}
	sum := hash.New(crypto.SHA1)
	out := io.MultiWriter(w, sum)
	header := packHeader{[4]byte{'P', 'A', 'C', 'K'}, 2, uint32(len(found))} //nolint:gosec // far fewer than 2^32 are in memory
	if err := binary.Write(out, binary.BigEndian, header); err != nil {
		return err
	}
	deflater, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return err
	}
	for _, o := range found {
		if _, err := out.Write(entryHeader(o.kind, int64(len(o.content)))); err != nil {
			return err
		}
		deflater.Reset(out)
		if err := deflate(deflater, o.content); err != nil {
			return err
		}
	}
	_, err = w.Write(sum.Sum(nil))
	return err
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

func deflate(w *zlib.Writer, content []byte) error {
	_, err := w.Write(content)
	return errors.Join(err, w.Close())
}
