// SPDX-License-Identifier: Apache-2.0

package registry

import "time"

// FirstSeen is when a digest of an image was first asked for here, which is now if it
// never was. It is false where that can't be kept for the next process: without a folder,
// with one that another process has, or that can't be written any more. A record that was
// lost begins anew, and so does one from the future, which a wrong clock wrote.
func (c *Cache) FirstSeen(image, digest string, now time.Time) (time.Time, bool) {
	if c == nil || c.disk == nil {
		return time.Time{}, false
	}
	key := image + "@" + digest
	if canonical, err := Canonical(image); err == nil {
		key = canonical + "@" + digest
	}
	var at time.Time
	if text, found := c.disk.seen.get(key); found && at.UnmarshalBinary(text) == nil && !at.After(now) {
		return at.UTC(), true
	}
	text, err := now.UTC().MarshalBinary()
	return now.UTC(), err == nil && c.disk.seen.put(key, text)
}
