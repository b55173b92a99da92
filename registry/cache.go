// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	cacheFile = "registry.db"
	// maxGeneration bounds each of the two generations on disk. One entry takes some
	// 150 bytes there, so that the file stays below some 60 MiB.
	maxGeneration = 200_000
	// lockPatience is how long another process may hold the file: it either lets go
	// at once or works with it.
	lockPatience = 100 * time.Millisecond
)

// Cache keeps what never changes of images by digest, for the Clients that share it:
// their creation times, and in memory alone what they say of their origin. It is safe
// for concurrent use.
type Cache struct {
	memory  createdCache
	origins originCache
	disk    *diskCache // nil without one
}

// OpenCache keeps the cache in a file of a folder, which it makes. A file that is
// broken, or not one of these, is made anew. While another process has it, this one
// keeps the cache in memory. The error is that the folder can't be used.
func OpenCache(folder string) (*Cache, error) {
	path := filepath.Join(folder, cacheFile)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep a cache of registries: %w", err)
	}
	disk, err := openDisk(path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return &Cache{}, nil
	}
	if err != nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("cannot keep a cache of registries: %w", err)
		}
		disk, err = openDisk(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot keep a cache of registries in %s: %w", path, err)
	}
	return &Cache{disk: disk}, nil
}

// Close lets go of the file. The cache goes on in memory.
func (c *Cache) Close() error {
	if c.disk == nil {
		return nil
	}
	return c.disk.close()
}

func (c *Cache) get(digest string) (time.Time, bool) {
	created, found := c.memory.get(digest)
	if !found && c.disk != nil {
		if created, found = c.disk.get(digest); found {
			c.memory.put(digest, created)
		}
	}
	return created, found
}

func (c *Cache) put(digest string, created time.Time) {
	c.memory.put(digest, created)
	if c.disk != nil {
		c.disk.put(digest, created)
	}
}

// What stands in the file: two generations, of which the young one is written to.
// When it is full, the old one is dropped, and the young one is old. What is asked
// for is young again.
var (
	metaBucket  = []byte("pintle registry 1")
	youngKey    = []byte("young")
	generations = [2][]byte{[]byte("a"), []byte("b")}
)

// diskCache is the part of a Cache that outlives the process. It may fail at any
// time, and then knows nothing any more.
type diskCache struct {
	db *bolt.DB

	mu    sync.Mutex
	young int // index into generations
	count int // entries of the young one
	limit int // of entries
	ended bool
}

// openDisk opens the file and reads all of it once, since what is broken inside
// shows later as a crash.
func openDisk(path string) (d *diskCache, err error) {
	var db *bolt.DB
	err = guarded(func() (err error) {
		// Losing the newest entries with the machine is no loss, and waiting for
		// the disk at each would be.
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockPatience, NoSync: true, FreelistType: bolt.FreelistMapType})
		if err != nil {
			return err
		}
		d = &diskCache{db: db, limit: maxGeneration}
		if err := db.Update(d.prepare); err != nil {
			return err
		}
		return db.View(d.whole)
	})
	if err != nil && db != nil {
		_ = guarded(db.Close)
	}
	return d, err
}

// whole reads every entry. Tx.Check would do so in a goroutine of its own, where
// guarded is of no use.
func (d *diskCache) whole(tx *bolt.Tx) error {
	for i, name := range generations {
		count := 0
		err := tx.Bucket(name).ForEach(func(digest, entry []byte) error {
			count++
			if _, sound := decodeCreated(digest, entry); !sound {
				return errors.New("an entry is broken")
			}
			return nil
		})
		if err != nil {
			return err
		}
		if i == d.young {
			d.count = count
		}
	}
	return nil
}

// An entry is a time with a checksum that counts the digest in, so that no other
// bytes are taken for one.
func encodeCreated(digest string, created time.Time) ([]byte, error) {
	text, err := created.MarshalBinary()
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32(text, checksum([]byte(digest), text)), nil
}

func decodeCreated(digest, entry []byte) (created time.Time, sound bool) {
	at := len(entry) - 4
	if at < 0 || binary.BigEndian.Uint32(entry[at:]) != checksum(digest, entry[:at]) {
		return time.Time{}, false
	}
	err := created.UnmarshalBinary(entry[:at])
	return created, err == nil
}

func checksum(digest, text []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(digest), crc32.IEEETable, text)
}

// prepare makes a new file ready, and refuses one that is for something else.
func (d *diskCache) prepare(tx *bolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if first, _ := tx.Cursor().First(); first != nil {
			return errors.New("it is the file of another program")
		}
		var err error
		if meta, err = tx.CreateBucket(metaBucket); err != nil {
			return err
		}
	}
	if bytes.Equal(meta.Get(youngKey), generations[1]) {
		d.young = 1
	}
	for _, name := range generations {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

func (d *diskCache) get(digest string) (created time.Time, found bool) {
	old := false
	d.do(func() error {
		return d.db.View(func(tx *bolt.Tx) error {
			entry := tx.Bucket(generations[d.young]).Get([]byte(digest))
			if entry == nil {
				entry = tx.Bucket(generations[1-d.young]).Get([]byte(digest))
				old = entry != nil
			}
			created, found = decodeCreated([]byte(digest), entry)
			return nil
		})
	})
	if found && old {
		d.put(digest, created)
	}
	return created, found
}

func (d *diskCache) put(digest string, created time.Time) {
	entry, err := encodeCreated(digest, created)
	if err != nil {
		return // a year that no image was made in
	}
	d.do(func() error {
		return d.db.Update(func(tx *bolt.Tx) error {
			if d.count >= d.limit {
				if err := d.turn(tx); err != nil {
					return err
				}
			}
			d.count++
			return tx.Bucket(generations[d.young]).Put([]byte(digest), entry)
		})
	})
}

// turn drops the old generation and begins a new one.
func (d *diskCache) turn(tx *bolt.Tx) error {
	old := generations[1-d.young]
	if err := errors.Join(tx.DeleteBucket(old), tx.Bucket(metaBucket).Put(youngKey, old)); err != nil {
		return err
	}
	_, err := tx.CreateBucket(old)
	d.young, d.count = 1-d.young, 0
	return err
}

// do works on the file, until that fails once: a full disk, or a file that somebody
// changed.
func (d *diskCache) do(work func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return
	}
	d.ended = guarded(work) != nil
}

func (d *diskCache) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return nil
	}
	d.ended = true
	return guarded(d.db.Close)
}

// guarded makes an error of a panic, and of a fault of memory too: the file is
// mapped, and may be shorter than it says.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("it is broken: %v", what)
		}
	}()
	return do()
}
