// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// longestPause bounds how long a registry's word is obeyed.
	longestPause = 15 * time.Minute
	// reserve is the share of a pull limit, one in so many, that is left for those
	// who pull.
	reserve = 10
)

// pauses is what one login of a registry has to wait for: a 429 and a pull limit
// are about who asks, as a circuit is about the registry.
type pauses struct {
	unit time.Duration

	mu      sync.Mutex
	until   time.Time // by Retry-After, or one that grows where there is none
	refused int       // 429 in a row
	pulls   time.Time // until when no manifest is read
}

// hear learns from the answer of the registry itself.
func (p *pauses) hear(resp *http.Response, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if resp.StatusCode != http.StatusTooManyRequests {
		p.refused = 0
		p.count(resp.Header, now)
		return
	}
	p.refused++
	wait := asked(resp.Header, now)
	if wait <= 0 {
		wait = backoff(p.unit, p.refused)
	}
	if until := now.Add(min(wait, longestPause)); until.After(p.until) {
		p.until = until
	}
}

// count takes note of how many pulls are left, where the answer says so. A wait that
// has begun is not put off by each answer.
func (p *pauses) count(header http.Header, now time.Time) {
	left, told := pullPause(header)
	switch {
	case told && left == 0:
		p.pulls = time.Time{}
	case told && !now.Before(p.pulls):
		p.pulls = now.Add(left)
	}
}

// asked is the wait that a registry asks for: Retry-After has seconds or a date
// (RFC 9110, 10.2.3), X-Retry-After of Docker Hub a Unix time.
func asked(header http.Header, now time.Time) time.Duration {
	after := header.Get("Retry-After")
	if after == "" {
		after = header.Get("X-Retry-After")
	}
	const year = 365 * 24 * 60 * 60
	seconds, err := strconv.ParseInt(after, 10, 64)
	switch {
	case err == nil && seconds > year:
		return time.Unix(min(seconds, 1<<40), 0).Sub(now)
	case err == nil:
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(after)
	if err != nil {
		return 0
	}
	return date.Sub(now)
}

// pullPause is how long to read no manifest, told by the headers that Docker Hub sends
// with manifests: "ratelimit-limit: 100;w=21600" and "ratelimit-remaining:
// 76;w=21600", the window in seconds (docs.docker.com/docker-hub/usage/pulls). A GET
// counts as a pull and a HEAD does not. The window slides and its end is not told,
// so that the wait is the time in which one pull comes back on average.
func pullPause(header http.Header) (wait time.Duration, told bool) {
	limit, window := quota(header.Get("Ratelimit-Limit"))
	remaining, _ := quota(header.Get("Ratelimit-Remaining"))
	switch {
	case limit <= 0 || remaining < 0 || window <= 0:
		return 0, false
	case remaining > limit/reserve:
		return 0, true
	}
	return min(time.Duration(window)*time.Second/time.Duration(limit), longestPause), true
}

// quota reads "76;w=21600"; what it can't read is -1.
func quota(text string) (count, window int64) {
	number, rest, _ := strings.Cut(text, ";")
	count, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
	if err != nil {
		return -1, -1
	}
	seconds, found := strings.CutPrefix(strings.TrimSpace(rest), "w=")
	window, err = strconv.ParseInt(seconds, 10, 32)
	if !found || err != nil {
		window = -1
	}
	return count, window
}

// sit waits for the end of a short pause; a longer one is an error. pull is true
// for what counts as one.
func (p *pauses) sit(ctx context.Context, pull bool) error {
	for {
		left, err := p.left(pull, time.Now())
		if err != nil || left <= 0 {
			return err
		}
		if err := pause(ctx, left); err != nil {
			return err
		}
	}
}

// left is the rest of a pause, or an error where it is long.
func (p *pauses) left(pull bool, now time.Time) (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.Sub(now) > patience*p.unit {
		_, cause := explainStatus(http.StatusTooManyRequests, "", notBefore(p.until))
		return 0, &fault{TooManyRequests, cause.Error()}
	}
	left := p.until.Sub(now)
	if !pull {
		return left, nil
	}
	if p.pulls.Sub(now) > patience*p.unit {
		return 0, faultf(TooManyRequests, "its limit for pulls is nearly used up, and the rest is for those who pull; %s", notBefore(p.pulls))
	}
	return max(left, p.pulls.Sub(now)), nil
}

// sentence says when the registry is asked next, "" if there is nothing to wait
// for.
func (p *pauses) sentence(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.until) {
		return ""
	}
	return notBefore(p.until)
}
