// SPDX-License-Identifier: Apache-2.0

package forge

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// What changed while a list was read is listed again, nothing is taken for known before
// a list is whole, and after an hour, or for another base, all is.
func TestSinceWhen(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	theirs := now.Add(-1000 * time.Hour) // a forge's clock may be any
	var l listed
	if since := l.begin("main", now); !since.IsZero() {
		t.Errorf("the first list is since %v", since)
	}
	l.saw(Request{Number: 2, State: Merged, Text: Text{Body: "a\nb"}}, theirs, true)
	l.saw(Request{Number: 1}, theirs.Add(-time.Hour), true)
	if since := l.begin("main", now); !since.IsZero() {
		t.Errorf("after a list that broke off it is since %v", since)
	}
	l.saw(Request{Number: 2, State: Merged, Text: Text{Body: "a\nb"}}, theirs, true)
	all := l.end(now.Add(10 * time.Second))
	if len(all) != 2 || all[0].Number != 2 || all[0].Text.Body != "a" {
		t.Errorf("all are %+v", all)
	}
	if since, want := l.begin("main", now), theirs.Add(-overlap-10*time.Second); !since.Equal(want) {
		t.Errorf("the next is since %v, want %v", since, want)
	}
	l.saw(Request{Number: 1}, theirs, false)
	if all := l.end(now); len(all) != 1 {
		t.Errorf("one that goes elsewhere is kept: %+v", all)
	}
	if since := l.begin("main", now.Add(listAgain)); !since.IsZero() || len(l.requests) > 0 {
		t.Errorf("after an hour it is since %v", since)
	}
	l.end(now)
	if since := l.begin("other", now); !since.IsZero() {
		t.Errorf("for another base it is since %v", since)
	}
}

func TestPauseOf(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		header []string
		want   time.Duration
	}{
		"nothing":  {nil, 0},
		"seconds":  {[]string{"Retry-After", "60"}, time.Minute},
		"date":     {[]string{"Retry-After", now.Add(time.Minute).UTC().Format(http.TimeFormat)}, time.Minute},
		"past":     {[]string{"Retry-After", now.Add(-time.Minute).UTC().Format(http.TimeFormat)}, 0},
		"reset":    {[]string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1800000600"}, 10*time.Minute + time.Second},
		"some":     {[]string{"X-RateLimit-Remaining", "1", "X-RateLimit-Reset", "1800000600"}, 0},
		"GitLab":   {[]string{"RateLimit-Remaining", "0", "RateLimit-Reset", "1800000030"}, 31 * time.Second},
		"forever":  {[]string{"Retry-After", "2000000000"}, maxPause},
		"garbage":  {[]string{"Retry-After", "soon", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "x"}, 0},
		"negative": {[]string{"Retry-After", "-5"}, 0},
	} {
		header := http.Header{}
		for i := 0; i < len(c.header); i += 2 {
			header.Set(c.header[i], c.header[i+1])
		}
		if got := pauseOf(header, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Nobody can have a forge's client ask the cloud's metadata: by its address, by what a
// proxy would be asked for, or by a name.
func TestNoSuchAddress(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "[::ffff:169.254.169.254]", "100.100.100.200", "0.0.0.0"} {
		for _, kind := range []Kind{GitHub, GitLab, Gitea} {
			at, err := New("http://"+host+":1/acme/fleet", kind, Auth{Username: "ada", Password: "t0ken"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = at.Requests(t.Context(), "main")
			if known, ok := errors.AsType[*Error](err); !ok || known.Kind != Unreachable || !strings.Contains(err.Error(), "which is never asked") {
				t.Errorf("%s at %s: %v", kind, host, err)
			}
		}
		w, err := newWire(host, Auth{})
		if err != nil {
			t.Fatal(err)
		}
		transport := w.next.(*http.Transport)
		if _, err := transport.DialContext(t.Context(), "tcp", host+":1"); err == nil || !strings.Contains(err.Error(), "which is never asked") {
			t.Errorf("%s is dialled: %v", host, err)
		}
		transport.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("a proxy is asked for") }
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+":1/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := w.RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), "which is never asked") {
			t.Errorf("%s by a proxy: %v", host, err)
		}
		if resp != nil {
			_ = resp.Body.Close()
		}
	}
}
