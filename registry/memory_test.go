// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"strconv"
	"testing"
	"time"
)

// What was not asked for since the last two turns is dropped.
func TestTheMemoryIsBounded(t *testing.T) {
	var c memoryCache
	made := time.Date(2025, 3, 1, 0, 0, 0, 7, time.UTC)
	for i := range 3 * maxRemembered {
		c.put(strconv.Itoa(i), made)
		if i%1000 == 0 {
			c.get("0")
		}
	}
	if n := len(c.young) + len(c.old); n > 2*maxRemembered {
		t.Errorf("it keeps %d, want %d at most", n, 2*maxRemembered)
	}
	for i, want := range map[int]bool{0: true, 1: false, 3*maxRemembered - 1: true, 2*maxRemembered + 10: true, maxRemembered - 10: false} {
		got, found := c.get(strconv.Itoa(i))
		if found != want || found && !got.Equal(made) {
			t.Errorf("entry %d: %v, %v, want %v", i, got, found, want)
		}
	}
	c.put("none", time.Time{})
	if got, found := c.get("none"); !found || !got.IsZero() {
		t.Errorf("the zero time is %v, %v", got, found)
	}
}
