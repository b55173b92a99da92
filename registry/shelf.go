// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// shelf is one kind of entries in the file of a diskCache: two generations, of which
// the young one is written to. When it is full, the old one is dropped, and the young
// one is old. What is asked for is young again.
type shelf struct {
	disk        *diskCache
	youngKey    []byte // in the meta bucket
	generations [2][]byte
	sound       func(text []byte) bool

	young int // index into generations
	count int // entries of the young one
	limit int // of entries
}

// prepare makes a new file ready for the shelf.
func (s *shelf) prepare(tx *bolt.Tx, meta *bolt.Bucket) error {
	if bytes.Equal(meta.Get(s.youngKey), s.generations[1]) {
		s.young = 1
	}
	for _, name := range s.generations {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// whole reads every entry. Tx.Check would do so in a goroutine of its own, where
// guarded is of no use.
func (s *shelf) whole(tx *bolt.Tx) error {
	for i, name := range s.generations {
		count := 0
		err := tx.Bucket(name).ForEach(func(key, entry []byte) error {
			count++
			if text, unbroken := unseal(key, entry); !unbroken || !s.sound(text) {
				return errors.New("an entry is broken")
			}
			return nil
		})
		if err != nil {
			return err
		}
		if i == s.young {
			s.count = count
		}
	}
	return nil
}

func (s *shelf) get(key string) (text []byte, found bool) {
	old := false
	s.disk.do(func() error {
		return s.disk.db.View(func(tx *bolt.Tx) error {
			entry := tx.Bucket(s.generations[s.young]).Get([]byte(key))
			if entry == nil {
				entry = tx.Bucket(s.generations[1-s.young]).Get([]byte(key))
				old = entry != nil
			}
			text, found = unseal([]byte(key), bytes.Clone(entry))
			return nil
		})
	})
	if found && old {
		s.put(key, text)
	}
	return text, found
}

// put tells whether the entry is kept.
func (s *shelf) put(key string, text []byte) bool {
	return s.disk.do(func() error {
		return s.disk.db.Update(func(tx *bolt.Tx) error {
			if s.count >= s.limit {
				if err := s.turn(tx); err != nil {
					return err
				}
			}
			s.count++
			return tx.Bucket(s.generations[s.young]).Put([]byte(key), seal([]byte(key), text))
		})
	})
}

// turn drops the old generation and begins a new one.
func (s *shelf) turn(tx *bolt.Tx) error {
	old := s.generations[1-s.young]
	if err := errors.Join(tx.DeleteBucket(old), tx.Bucket(metaBucket).Put(s.youngKey, old)); err != nil {
		return err
	}
	_, err := tx.CreateBucket(old)
	s.young, s.count = 1-s.young, 0
	return err
}

// An entry is a text with a checksum that counts the key in, so that no other bytes
// are taken for one.
func seal(key, text []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(text), checksum(key, text))
}

func unseal(key, entry []byte) (text []byte, unbroken bool) {
	at := len(entry) - 4
	if at < 0 || binary.BigEndian.Uint32(entry[at:]) != checksum(key, entry[:at]) {
		return nil, false
	}
	return entry[:at], true
}

func checksum(key, text []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, text)
}
