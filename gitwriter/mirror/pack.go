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
	"github.com/go-git/go-git/v5/storage/memory"
)

// packHeader opens a pack, by gitformat-pack(5): a signature, the version, the
// number of objects.
type packHeader struct {
	Signature      [4]byte
	Version, Count uint32
}

// writePack writes objects whole, each once. They are compressed fast rather
// than well: most bytes of a tree are ids, which do not shrink.
func writePack(w io.Writer, store *memory.Storage, ids []plumbing.Hash) error {
	objects := make([]plumbing.EncodedObject, 0, len(ids))
	seen := make(map[plumbing.Hash]bool, len(ids))
	for _, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		o, err := store.EncodedObject(plumbing.AnyObject, id)
		if err != nil {
			return fmt.Errorf("cannot read object %s: %w", id, err)
		}
		objects = append(objects, o)
	}
	sum := hash.New(crypto.SHA1)
	out := io.MultiWriter(w, sum)
	header := packHeader{[4]byte{'P', 'A', 'C', 'K'}, 2, uint32(len(objects))} //nolint:gosec // far fewer than 2^32 are in memory
	if err := binary.Write(out, binary.BigEndian, header); err != nil {
		return err
	}
	deflater, err := zlib.NewWriterLevel(out, zlib.BestSpeed)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if _, err := out.Write(entryHeader(o.Type(), o.Size())); err != nil {
			return err
		}
		deflater.Reset(out)
		if err := deflate(deflater, o); err != nil {
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

func deflate(w *zlib.Writer, o plumbing.EncodedObject) error {
	r, err := o.Reader()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close(), w.Close())
}
