// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func openCache(t *testing.T, folder string) *Cache {
	t.Helper()
	c, err := OpenCache(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func digestOf(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func timeOf(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, n, time.UTC) }

// fill puts entries and closes.
func fill(t *testing.T, folder string, n int) {
	t.Helper()
	c := openCache(t, folder)
	for i := range n {
		c.put(digestOf(i), timeOf(i))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// knows counts how many of the first n are known, and checks each.
func (c *Cache) knows(t *testing.T, n int) (known int) {
	t.Helper()
	for i := range n {
		got, found := c.get(digestOf(i))
		if found {
			known++
		}
		if found && !got.Equal(timeOf(i)) {
			t.Errorf("number %d: %v, want %v", i, got, timeOf(i))
		}
	}
	return known
}

func TestACacheOutlivesItsProcess(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	fill(t, folder, 300)
	c := openCache(t, folder)
	c.put(digestOf(1000), time.Time{}) // an image that does not say
	if got := c.knows(t, 400); got != 300 || c.disk.created.count != 301 {
		t.Errorf("%d are known and %d counted, want 300 and 301", got, c.disk.created.count)
	}
	if got, found := openCache(t, folder).get(digestOf(0)); found { // somebody else has the file
		t.Errorf("two work with one file: %v", got)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c.put(digestOf(2000), timeOf(1))
	if _, found := c.get(digestOf(2000)); !found {
		t.Error("after Close it keeps nothing in memory")
	}
	if got, found := openCache(t, folder).get(digestOf(1000)); !found || !got.IsZero() {
		t.Errorf("the zero time is %v, %v", got, found)
	}
}

// What was not asked for since the last two turns is dropped; the file does not
// grow for ever.
func TestACacheIsBounded(t *testing.T) {
	folder := t.TempDir()
	c := openCache(t, folder)
	c.disk.created.limit = 100
	var size int64
	for i := range 2000 {
		c.disk.put(digestOf(i), timeOf(i))
		if _, found := c.disk.get(digestOf(0)); !found {
			t.Fatalf("what is always asked for is gone after %d", i)
		}
		if i == 500 {
			size = sizeOf(t, folder)
		}
	}
	known := 0
	for i := range 2000 {
		if _, found := c.disk.get(digestOf(i)); found && i >= 1800 {
			known++
		} else if found && i != 0 {
			t.Errorf("number %d is still there", i)
		}
	}
	if known < 98 || known > 200 {
		t.Errorf("%d of the last 200 are known", known)
	}
	if got := sizeOf(t, folder); got > 2*size {
		t.Errorf("the file grew from %d to %d bytes", size, got)
	}
}

func sizeOf(t *testing.T, folder string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(folder, cacheFile))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Whatever stands in the file: it is used as far as it is sound, or made anew, and
// no wrong time comes out of it.
func TestABrokenCacheIsMadeAnew(t *testing.T) {
	folder := t.TempDir()
	fill(t, folder, 2000)
	good, err := os.ReadFile(filepath.Join(folder, cacheFile))
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string][]byte{
		"text": []byte("no database\n"), "zeros": make([]byte, 1<<16), "two pages": good[:8192], "half": good[:len(good)/2],
		"all but its end": good[:len(good)-100], "noise behind": append(bytes.Clone(good[:16384]), bytes.Repeat([]byte{0xff}, len(good)-16384)...),
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 100 {
		flipped := bytes.Clone(good)
		for range 1 + random.IntN(200) {
			flipped[random.IntN(len(flipped))] ^= byte(1 + random.IntN(255))
		}
		broken[fmt.Sprintf("flipped %d", i)] = flipped
	}
	for name, content := range broken {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, cacheFile), content, 0o600); err != nil {
				t.Fatal(err)
			}
			c := openCache(t, folder)
			if got := c.knows(t, 2000); got != 0 && got != 2000 && !strings.HasPrefix(name, "flipped") {
				t.Errorf("%d of 2000 are known", got)
			}
			for i := range 100 {
				c.put(digestOf(3000+i), timeOf(3000+i))
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			again := openCache(t, folder)
			for i := range 100 {
				if got, found := again.get(digestOf(3000 + i)); found && !got.Equal(timeOf(3000+i)) {
					t.Errorf("a wrong time, %v", got)
				}
			}
		})
	}
	t.Run("of another program", func(t *testing.T) {
		folder := t.TempDir()
		db, err := bolt.Open(filepath.Join(folder, cacheFile), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("theirs"))
			return err
		})
		if err != nil || db.Close() != nil {
			t.Fatal(err)
		}
		c := openCache(t, folder)
		c.put(digestOf(1), timeOf(1))
		if c.disk == nil || c.disk.ended || c.knows(t, 2) != 1 {
			t.Errorf("it is not made anew: %+v", c.disk)
		}
	})
}

func TestAFolderThatCanNotBeUsed(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(folder, "full")
	if err := os.MkdirAll(filepath.Join(full, cacheFile, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{file, full} {
		if _, err := OpenCache(folder); err == nil {
			t.Errorf("%s is taken", folder)
		}
	}
}
