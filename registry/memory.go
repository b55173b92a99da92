// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxRemembered bounds each of the two generations in memory; an entry takes some
// 100 bytes. A repository with as many tags as are read (maxTags) has two entries for
// each, and fits.
const maxRemembered = 2 * maxTags

// memoryCache keeps the times that were asked for last, in two generations as
// diskCache does: the one is dropped when the other is full. The zero value is ready.
type memoryCache struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]instant
}

// instant is a time.Time without the pointer that the garbage collector would follow.
type instant struct {
	seconds int64
	nanos   int32
}

func (c *memoryCache) get(key string) (time.Time, bool) {
	sum := sha256.Sum256([]byte(key))
	c.mu.Lock()
	defer c.mu.Unlock()
	at, found := c.young[sum]
	if !found {
		if at, found = c.old[sum]; !found {
			return time.Time{}, false
		}
		c.keep(sum, at)
	}
	return time.Unix(at.seconds, int64(at.nanos)).UTC(), true
}

func (c *memoryCache) put(key string, created time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(sha256.Sum256([]byte(key)), instant{created.Unix(), int32(created.Nanosecond())}) //nolint:gosec // below a billion
}

func (c *memoryCache) keep(sum [sha256.Size]byte, at instant) {
	if c.young == nil || len(c.young) >= maxRemembered {
		c.young, c.old = make(map[[sha256.Size]byte]instant), c.young
	}
	c.young[sum] = at
}
