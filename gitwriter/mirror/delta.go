// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"encoding/binary"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// maxRow is how many deltas stand on each other, as in packs of git's own:
	// whoever reads the last object reads them all.
	maxRow = 50
	// shortRun are equal bytes between others that are no copy of their own, which
	// would take about as many.
	shortRun = 8
	// maxInsert and maxCopy are what one instruction can say.
	maxInsert = 0x7f
	maxCopy   = 0xffff
)

// bases are what objects were made of, where only ids in them changed.
type bases map[plumbing.Hash]plumbing.Hash

// deltaOf makes an object of another of the same length, by gitformat-pack(5): both
// lengths, and then instructions to copy bytes of the base or to insert others.
func deltaOf(base, content []byte) []byte {
	d := binary.AppendUvarint(nil, uint64(len(base)))
	d = binary.AppendUvarint(d, uint64(len(content)))
	for at := 0; at < len(content); {
		end := at + equalRun(base[at:], content[at:])
		for ; at < end; at += min(end-at, maxCopy) {
			d = appendCopy(d, at, min(end-at, maxCopy))
		}
		end = at + otherRun(base[at:], content[at:])
		for ; at < end; at += min(end-at, maxInsert) {
			n := min(end-at, maxInsert)
			d = append(append(d, byte(n)), content[at:at+n]...) //nolint:gosec // at most maxInsert
		}
	}
	return d
}

// equalRun is how many bytes are equal.
func equalRun(a, b []byte) int {
	n := 0
	for n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// otherRun is how many bytes there are before the next run that is worth a copy.
func otherRun(a, b []byte) int {
	for n := 0; n < len(b); n++ {
		equal := equalRun(a[n:], b[n:])
		if equal > shortRun || n+equal == len(b) {
			return n
		}
		n += equal
	}
	return len(b)
}

// appendCopy says where in the base to copy from, in up to four bytes, and how much,
// in up to two; bits of the first byte tell which of them are there.
func appendCopy(d []byte, from, size int) []byte {
	at := len(d)
	d = append(d, 0x80)
	for i := range 4 {
		if part := byte(from >> (8 * i)); part != 0 { //nolint:gosec // one byte of it is meant
			d[at] |= 1 << i
			d = append(d, part)
		}
	}
	for i := range 2 {
		if part := byte(size >> (8 * i)); part != 0 { //nolint:gosec // one byte of it is meant
			d[at] |= 1 << (4 + i)
			d = append(d, part)
		}
	}
	return d
}
