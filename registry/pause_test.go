// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestWhatARegistryAsksFor(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header http.Header
		want   time.Duration
	}{
		{headers(), 0},
		{headers("Retry-After", "30"), 30 * time.Second},
		{headers("Retry-After", "0"), 0},
		{headers("Retry-After", "-1"), -time.Second},
		{headers("Retry-After", "Sun, 01 Mar 2026 12:01:00 GMT"), time.Minute},
		{headers("Retry-After", "soon"), 0},
		{headers("Retry-After", "1.16676ms"), 0},
		{headers("X-Retry-After", "1772366460"), time.Minute},
		{headers("X-Retry-After", "20"), 20 * time.Second},
		{headers("Retry-After", "30", "X-Retry-After", "1772366460"), 30 * time.Second},
		{headers("Retry-After", "99999999999999999999999"), 0},
	} {
		if got := asked(c.header, now); got != c.want {
			t.Errorf("%v: %v, want %v", c.header, got, c.want)
		}
	}
	for _, far := range []string{"9223372036854775807", "31536001000"} {
		if got := asked(headers("Retry-After", far), now); got < longestPause {
			t.Errorf("%s: %v", far, got)
		}
	}
}

func TestPullPause(t *testing.T) {
	for _, c := range []struct {
		limit, remaining string
		want             time.Duration
		told             bool
	}{
		{"100;w=21600", "76;w=21600", 0, true},
		{"100;w=21600", "11;w=21600", 0, true},
		{"100;w=21600", "10;w=21600", 216 * time.Second, true},
		{"100;w=21600", "0;w=21600", 216 * time.Second, true},
		{" 10 ; w=3600", "1", 6 * time.Minute, true},
		{"1;w=2147483647", "0;w=2147483647", 15 * time.Minute, true},
		{"", "", 0, false},
		{"100;w=21600", "", 0, false},
		{"", "0;w=21600", 0, false},
		{"100", "0", 0, false},
		{"0;w=21600", "0;w=21600", 0, false},
		{"100;w=0", "0;w=0", 0, false},
		{"-5;w=21600", "-9;w=21600", 0, false},
		{"many", "few", 0, false},
	} {
		got, told := pullPause(headers("RateLimit-Limit", c.limit, "RateLimit-Remaining", c.remaining))
		if got != c.want || told != c.told {
			t.Errorf("%s of %s: %v, %v, want %v, %v", c.remaining, c.limit, got, told, c.want, c.told)
		}
	}
}

// A login that has used up its share of pulls reads no manifest until some come
// back; all else goes on.
func TestPullsAreLeftToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pauses{unit: time.Second}
		hear := func(remaining string) {
			p.hear(&http.Response{StatusCode: http.StatusOK, Header: headers("RateLimit-Limit", "100;w=21600", "RateLimit-Remaining", remaining)}, time.Now())
		}
		begun := time.Now()
		hear("9;w=21600")
		time.Sleep(time.Minute)
		hear("8;w=21600")                                             // does not put the end off
		p.hear(&http.Response{StatusCode: http.StatusOK}, time.Now()) // says nothing
		if err := p.sit(t.Context(), false); err != nil {
			t.Error(err)
		}
		want := "its limit for pulls is nearly used up, and the rest is for those who pull; it is not asked again before " + begun.Add(216*time.Second).UTC().Format(time.RFC3339)
		if err := p.sit(t.Context(), true); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		time.Sleep(time.Until(begun.Add(215 * time.Second)))
		if err := p.sit(t.Context(), true); err != nil || time.Since(begun) != 216*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		hear("9;w=21600")
		hear("11;w=21600") // some came back
		if err := p.sit(t.Context(), true); err != nil {
			t.Error(err)
		}
	})
}

// A 429 that names no time is waited out, longer each time; the first answer of
// another kind ends that.
func TestTooManyRequestsWithoutATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pauses{unit: time.Second}
		for n := range 10 {
			full := min(time.Second<<n, 300*time.Second)
			p.hear(&http.Response{StatusCode: http.StatusTooManyRequests}, time.Now())
			wait := time.Until(p.until)
			if wait < full/2 || wait > full {
				t.Errorf("wait %d is %v, want at most %v and at least half of it", n+1, wait, full)
			}
			if err := p.sit(t.Context(), false); (err != nil) != (wait > 2*time.Second) {
				t.Errorf("a wait of %v: %v", wait, err)
			}
			time.Sleep(time.Until(p.until))
		}
		p.hear(&http.Response{StatusCode: http.StatusOK}, time.Now())
		p.hear(&http.Response{StatusCode: http.StatusTooManyRequests}, time.Now())
		if wait := time.Until(p.until); wait > time.Second {
			t.Errorf("the wait after an answer is %v", wait)
		}
	})
}
