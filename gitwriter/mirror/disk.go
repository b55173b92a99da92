// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// diskHeader begins a file, and changes with its form.
	diskHeader = "pintle mirror 1\n"
	// maxDiskBytes bounds a file.
	maxDiskBytes = 1 << 30
	// diskGarbage is how much of a file is let be that is of no use any more.
	diskGarbage = 4 << 20
	// maxRecord bounds what a record may hold.
	maxRecord = 64 << 20
	// recordFrame is what a record takes beside its content: kind, size and id.
	recordFrame = 1 + 4 + 20
	// headRecord is the kind of a commit that was the head; the last one counts.
	headRecord plumbing.ObjectType = 'h'
)

// errOnDisk says that a file does not hold what it held.
var errOnDisk = errors.New("the cache on disk does not hold any more what was written to it")

// disk is a file that keeps objects for the next process: one record after the other,
// each known by its id, so that none can be another one. What follows a broken one is
// cut off. A process has its file for itself.
type disk struct {
	path string
	file *os.File
	out  *bufio.Writer
	size int64 // with what is in out
	// useful is how much of it was of use when that was last looked at.
	useful int64
	// spans are where the contents of trees and files are.
	spans map[plumbing.Hash]span
	head  plumbing.Hash
}

// span is a content in a file.
type span struct {
	kind plumbing.ObjectType
	at   int64
	size int
}

// errInUse says that another process has the file.
var errInUse = errors.New("another process uses the cache on disk")

// openDisk opens a file in a folder, which it makes.
func openDisk(folder, name string) (*disk, error) {
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file, err := openLocked(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	return &disk{path: path, file: file, out: bufio.NewWriter(file), spans: map[plumbing.Hash]span{}}, nil
}

func openLocked(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// record is one of a file.
type record struct {
	kind    plumbing.ObjectType
	id      plumbing.Hash
	at      int64 // of the content
	content []byte
}

// read shows the records up to the first broken one, which is cut off with all after
// it. A content is only good until the next.
func (d *disk) read(on func(record)) error {
	end, err := readRecords(d.file, on)
	if err != nil {
		return err
	}
	if err := d.file.Truncate(end); err != nil {
		return err
	}
	if _, err := d.file.Seek(end, io.SeekStart); err != nil {
		return err
	}
	d.size = end
	if end == 0 {
		return d.write([]byte(diskHeader))
	}
	return nil
}

// readRecords returns where the last whole record ends.
func readRecords(file io.ReaderAt, on func(record)) (end int64, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(file, 0, maxDiskBytes+maxRecord), 256<<10)
	header := make([]byte, len(diskHeader))
	if _, err := io.ReadFull(in, header); err != nil || string(header) != diskHeader {
		return 0, broken(err)
	}
	end = int64(len(header))
	var content []byte
	for {
		var frame [5]byte
		if _, err := io.ReadFull(in, frame[:]); err != nil {
			return end, broken(err)
		}
		size := int64(binary.BigEndian.Uint32(frame[1:]))
		if size > maxRecord {
			return end, nil
		}
		if int64(cap(content)) < size {
			content = make([]byte, size)
		}
		content = content[:size]
		r := record{kind: plumbing.ObjectType(frame[0]), at: end + int64(len(frame)), content: content} //nolint:gosec // a byte
		if _, err := io.ReadFull(in, content); err != nil {
			return end, broken(err)
		}
		if _, err := io.ReadFull(in, r.id[:]); err != nil {
			return end, broken(err)
		}
		if r.id != idOf(r.kind, content) {
			return end, nil
		}
		on(r)
		end += recordFrame + size
	}
}

// broken leaves of an error of reading what is no end of the file.
func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func idOf(kind plumbing.ObjectType, content []byte) plumbing.Hash {
	if kind == headRecord {
		kind = plumbing.CommitObject
	}
	return stored{kind, content}.id()
}

func (d *disk) write(b []byte) error {
	n, err := d.out.Write(b)
	d.size += int64(n)
	return err
}

// add writes a record.
func (d *disk) add(kind plumbing.ObjectType, id plumbing.Hash, content []byte) error {
	if len(content) > maxRecord {
		return nil // It is fetched again.
	}
	frame := binary.BigEndian.AppendUint32([]byte{byte(kind)}, uint32(len(content))) //nolint:gosec // bounded above
	at := d.size + int64(len(frame))
	if err := errors.Join(d.write(frame), d.write(content), d.write(id[:])); err != nil {
		return err
	}
	switch kind {
	case headRecord:
		if d.head.IsZero() {
			d.useful = d.size
		}
		d.head = id
	case plumbing.CommitObject:
		d.useful += recordFrame + int64(len(content))
	default:
		d.spans[id] = span{kind, at, len(content)}
	}
	return nil
}

func (d *disk) has(id plumbing.Hash) bool {
	_, ok := d.spans[id]
	return ok
}

// content reads a tree or a file.
func (d *disk) content(id plumbing.Hash) ([]byte, error) {
	s := d.spans[id]
	content := make([]byte, s.size)
	if err := d.out.Flush(); err != nil {
		return nil, err
	}
	if _, err := d.file.ReadAt(content, s.at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if idOf(s.kind, content) != id {
		return nil, errOnDisk
	}
	return content, nil
}

// compact writes the file anew with its commits and those trees and files that are
// live.
func (d *disk) compact(live map[plumbing.Hash]bool) error {
	if err := d.out.Flush(); err != nil {
		return err
	}
	path := d.path + ".new"
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	file, err := openLocked(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	into := &disk{path: d.path, file: file, out: bufio.NewWriter(file), spans: map[plumbing.Hash]span{}}
	if err := d.copyTo(into, live); err != nil {
		return errors.Join(err, file.Close(), os.Remove(path))
	}
	if err := os.Rename(path, d.path); err != nil {
		return errors.Join(err, file.Close(), os.Remove(path))
	}
	old := d.file
	*d = *into
	d.useful = d.size
	return old.Close()
}

func (d *disk) copyTo(into *disk, live map[plumbing.Hash]bool) error {
	if err := into.write([]byte(diskHeader)); err != nil {
		return err
	}
	seen := map[plumbing.Hash]bool{}
	var head []byte
	var failed error
	_, err := readRecords(d.file, func(r record) {
		if r.kind == headRecord && r.id == d.head {
			head = append(head[:0], r.content...)
		}
		if r.kind == headRecord || seen[r.id] || r.kind != plumbing.CommitObject && !live[r.id] {
			return
		}
		seen[r.id] = true
		failed = errors.Join(failed, into.add(r.kind, r.id, r.content))
	})
	if err = errors.Join(err, failed); err != nil || head == nil {
		return err
	}
	return errors.Join(into.add(headRecord, d.head, head), into.out.Flush())
}

// close lets go of the file.
func (d *disk) close() error {
	if err := errors.Join(d.out.Flush(), d.file.Close()); err != nil {
		return fmt.Errorf("cannot write the cache %s: %w", d.path, err)
	}
	return nil
}
