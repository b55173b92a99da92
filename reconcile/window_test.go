// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"testing"
	"time"
	_ "time/tzdata" // the zones below, wherever the test runs

	"github.com/pintle-dev/pintle/api/document"
)

func window(t *testing.T, schedule, zone string, duration time.Duration) Window {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := document.ParseSchedule("CRON_TZ=" + zone + " " + schedule)
	if err != nil {
		t.Fatal(err)
	}
	return Window{parsed, duration, location}
}

// A window is open from its time on, and closed again after its duration, in its own
// time zone.
func TestWindows(t *testing.T) {
	office := window(t, "0 9 * * 1-5", "Europe/Paris", 8*time.Hour)
	night := window(t, "30 22 * * *", "UTC", 4*time.Hour)
	always := window(t, "0 * * * *", "UTC", time.Hour)
	for title, test := range map[string]struct {
		windows []Window
		now     string
		closed  string // empty: open
	}{
		"no window":               {nil, "2026-03-02T03:00:00Z", ""},
		"at the moment it opens":  {[]Window{office}, "2026-03-02T08:00:00Z", ""},
		"a moment before":         {[]Window{office}, "2026-03-02T07:59:59Z", "2026-03-02T09:00:00+01:00"},
		"its last moment":         {[]Window{office}, "2026-03-02T15:59:59.999Z", ""},
		"when it is over":         {[]Window{office}, "2026-03-02T16:00:00Z", "2026-03-03T09:00:00+01:00"},
		"on Friday night":         {[]Window{office}, "2026-03-06T18:00:00Z", "2026-03-09T09:00:00+01:00"},
		"in summer":               {[]Window{office}, "2026-07-01T07:00:00Z", ""},
		"the clocks go forward":   {[]Window{office}, "2026-03-27T16:00:00Z", "2026-03-30T09:00:00+02:00"},
		"over midnight":           {[]Window{night}, "2026-03-02T02:29:59Z", ""},
		"after midnight":          {[]Window{night}, "2026-03-02T02:30:00Z", "2026-03-02T22:30:00Z"},
		"one of two":              {[]Window{office, night}, "2026-03-02T23:00:00Z", ""},
		"the next of two":         {[]Window{office, night}, "2026-03-02T17:00:00Z", "2026-03-02T22:30:00Z"},
		"one follows on the last": {[]Window{always}, "2026-03-02T12:00:00Z", ""},
	} {
		now, err := time.Parse(time.RFC3339, test.now)
		if err != nil {
			t.Fatal(err)
		}
		want := test.closed
		if want != "" {
			want = "when the next window opens, at " + want
		}
		if got := (Pace{Windows: test.windows}).closed(now); got != want {
			t.Errorf("%s: %q, want %q", title, got, want)
		}
		if got := (Pace{Windows: test.windows, Frozen: "never"}).closed(now); got != "never" {
			t.Errorf("%s, frozen: %q", title, got)
		}
	}
}
