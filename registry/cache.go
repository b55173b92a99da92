// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"errors"
	"fmt"
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
	// maxGeneration bounds each of the two generations of creation times on disk. One
	// entry takes some 150 bytes there, so that they stay below some 60 MiB.
	maxGeneration = 200_000
	// maxSmallGeneration bounds those of what only gates ask for, some 200 bytes each.
	maxSmallGeneration = 50_000
	// lockPatience is how long another process may hold the file: it either lets go
	// at once or works with it.
	lockPatience = 100 * time.Millisecond
)

// Cache keeps what never changes of images, their creation times and platforms by
// digest, which tags were read, and when digests were first seen, for the Clients that
// share it; in memory alone, what images say of their origin. It is safe for concurrent
// use.
type Cache struct {
	memory    memoryCache
	platforms platformsCache
	origins   originCache
	disk      *diskCache // nil without one
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

// Close lets go of the file. The cache goes on in memory. No cache is closed already.
func (c *Cache) Close() error {
	if c == nil || c.disk == nil {
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

var metaBucket = []byte("pintle registry 1")

// diskCache is the part of a Cache that outlives the process. It may fail at any
// time, and then knows nothing any more.
type diskCache struct {
	db        *bolt.DB
	created   shelf // times, by digest
	platforms shelf // lists, by digest
	seen      shelf // times, by image and digest

	mu    sync.Mutex
	ended bool
}

func newDiskCache(db *bolt.DB) *diskCache {
	d := &diskCache{db: db}
	name := func(s string) [2][]byte { return [2][]byte{[]byte(s + "a"), []byte(s + "b")} }
	d.created = shelf{disk: d, youngKey: []byte("young"), generations: name(""), sound: isTime, limit: maxGeneration}
	d.platforms = shelf{disk: d, youngKey: []byte("young platforms"), generations: name("platforms "), sound: isText, limit: maxSmallGeneration}
	d.seen = shelf{disk: d, youngKey: []byte("young seen"), generations: name("seen "), sound: isTime, limit: maxSmallGeneration}
	return d
}

func (d *diskCache) shelves() []*shelf { return []*shelf{&d.created, &d.platforms, &d.seen} }

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
		d = newDiskCache(db)
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
	for _, s := range d.shelves() {
		if err := s.prepare(tx, meta); err != nil {
			return err
		}
	}
	return nil
}

// whole tells whether all that stands there is sound.
func (d *diskCache) whole(tx *bolt.Tx) error {
	for _, s := range d.shelves() {
		if err := s.whole(tx); err != nil {
			return err
		}
	}
	return nil
}

func isText([]byte) bool { return true }

func isTime(text []byte) bool { return new(time.Time).UnmarshalBinary(text) == nil }

func (d *diskCache) get(digest string) (created time.Time, found bool) {
	text, found := d.created.get(digest)
	return created, found && created.UnmarshalBinary(text) == nil
}

func (d *diskCache) put(digest string, created time.Time) {
	if text, err := created.MarshalBinary(); err == nil { // Else a year that no image was made in.
		d.created.put(digest, text)
	}
}

// do works on the file, until that fails once: a full disk, or a file that somebody
// changed. It tells whether it worked.
func (d *diskCache) do(work func() error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ended {
		d.ended = guarded(work) != nil
		return !d.ended
	}
	return false
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
