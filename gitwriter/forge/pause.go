// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"net/http"
	"strconv"
	"time"
)

// maxPause bounds how long a forge can ask to be left alone: GitHub's limits are by the
// hour.
const maxPause = time.Hour

// pauseOf is how long a forge asks to be left alone. Retry-After has seconds or a date (RFC
// 9110, 10.2.3). GitHub tells the end of its limit as a Unix time, in X-RateLimit-Reset;
// GitLab and Gitea may in RateLimit-Reset.
func pauseOf(header http.Header, now time.Time) time.Duration {
	wait := time.Duration(0)
	after := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(after, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(after); err == nil {
		wait = date.Sub(now)
	} else if header.Get("X-Ratelimit-Remaining") == "0" {
		wait = until(header.Get("X-Ratelimit-Reset"), now)
	} else if header.Get("Ratelimit-Remaining") == "0" {
		wait = until(header.Get("Ratelimit-Reset"), now)
	}
	return min(max(wait, 0), maxPause)
}

// until is how long it is to a Unix time, rounded up: the second has to be over.
func until(unix string, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(unix, 10, 64)
	if err != nil {
		return 0
	}
	return time.Unix(seconds+1, 0).Sub(now)
}
