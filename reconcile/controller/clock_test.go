// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata" // the zones below, wherever the test runs

	"github.com/robfig/cron/v3"

	"github.com/pintle-dev/pintle/api/document"
)

const podinfo = "ghcr.io/acme/podinfo"

func scheduleOf(t *testing.T, text string) cron.Schedule {
	t.Helper()
	schedule, err := document.ParseSchedule(text)
	if err != nil {
		t.Fatal(err)
	}
	return schedule
}

// The moments are the same in every process: who takes over asks at the same time.
func TestNextTick(t *testing.T) {
	utc := func(text string) time.Time {
		at, err := time.Parse("2006-01-02 15:04:05.000", text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, test := range []struct{ schedule, image, after, want string }{
		{"@every 5m", podinfo, "2026-03-01 12:00:00.000", "2026-03-01 12:00:55.018"},
		{"@every 5m", "nginx", "2026-03-01 12:00:00.000", "2026-03-01 12:04:16.015"},
		{"@every 1s", podinfo, "2026-03-01 12:00:00.000", "2026-03-01 12:00:00.018"},
		{"@every 90m", podinfo, "2026-03-01 12:00:00.000", "2026-03-01 13:15:55.018"},
		{"*/10 * * * *", podinfo, "2026-03-01 12:00:00.000", "2026-03-01 12:00:25.018"},
		{"*/10 * * * *", "nginx", "2026-03-01 12:00:00.000", "2026-03-01 12:00:16.015"},
		{"0 9 * * 1-5", podinfo, "2026-03-01 12:00:00.000", "2026-03-02 09:00:25.018"},
		{"@daily", podinfo, "2026-03-01 12:00:00.000", "2026-03-02 00:00:25.018"},
		{"0 0 29 2 *", podinfo, "2026-03-01 12:00:00.000", "2028-02-29 00:00:25.018"},
		// Clocks are put forward in the night to 29 March, which has no 02:30, and back in
		// the night to 25 October, which has two.
		{"CRON_TZ=Europe/Paris 0 9 * * *", podinfo, "2026-03-28 12:00:00.000", "2026-03-29 07:00:25.018"},
		{"CRON_TZ=Europe/Paris 30 2 * * *", podinfo, "2026-03-28 12:00:00.000", "2026-03-30 00:30:25.018"},
		{"CRON_TZ=Europe/Paris 30 2 * * *", podinfo, "2026-10-24 12:00:00.000", "2026-10-25 00:30:25.018"},
		{"CRON_TZ=Europe/Paris 30 2 * * *", podinfo, "2026-10-25 00:31:00.000", "2026-10-25 01:30:25.018"},
	} {
		got := nextTick(scheduleOf(t, test.schedule), test.image, utc(test.after))
		if got.UTC().Format("2006-01-02 15:04:05.000") != test.want {
			t.Errorf("%q of %s after %s: %s, want %s", test.schedule, test.image, test.after, got.UTC().Format("2006-01-02 15:04:05.000"), test.want)
		}
	}
}

// The next moment is later, is one of the schedule's, and does not depend on when it is
// asked for: none is missed or comes twice, also where clocks are put forward or back.
func TestTicksDoNotDependOnWhenAsked(t *testing.T) {
	schedules := []string{
		"@every 1s", "@every 7s", "@every 5m", "@every 1h30m", "@every 24h", "@hourly", "@daily", "@weekly",
		"* * * * *", "*/7 * * * *", "0,1,2,30 * * * *", "59 23 31 12 *", "0 9 * * 1-5", "30 2 1,15 * *",
	}
	for _, zone := range []string{"Europe/Paris", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Africa/Casablanca"} {
		schedules = append(schedules, "CRON_TZ="+zone+" 30 1,2,3 * * *", "CRON_TZ="+zone+" */20 * * * *", "CRON_TZ="+zone+" 0 9 * * *")
	}
	// Around the nights in which clocks are changed in those zones, and any other time.
	nights := []time.Time{
		time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 8, 6, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 1, 5, 0, 0, 0, time.UTC), time.Date(2018, 11, 4, 2, 0, 0, 0, time.UTC),
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, text := range schedules {
		schedule := scheduleOf(t, text)
		for range 300 {
			image := fmt.Sprintf("registry.example.com/app-%d", random.IntN(1000))
			after := nights[random.IntN(len(nights))].Add(time.Duration(random.Int64N(int64(8 * time.Hour)))).Add(-4 * time.Hour)
			if random.IntN(4) == 0 {
				after = noon.Add(time.Duration(random.Int64N(int64(365 * 24 * time.Hour))))
			}
			tick := nextTick(schedule, image, after)
			if !tick.After(after) {
				t.Fatalf("%q of %s: %s comes not after %s", text, image, tick, after)
			}
			for _, between := range []time.Time{after.Add(time.Duration(random.Int64N(int64(tick.Sub(after))))), tick.Add(-1)} {
				if again := nextTick(schedule, image, between); !again.Equal(tick) {
					t.Fatalf("%q of %s: asked at %s it is %s, asked at %s it is %s", text, image, after, tick, between, again)
				}
			}
			if next := nextTick(schedule, image, tick); !next.After(tick) {
				t.Fatalf("%q of %s: %s comes after %s", text, image, next, tick)
			}
			if _, every := schedule.(cron.ConstantDelaySchedule); every {
				continue
			}
			if said := tick.Add(-spread(image, maxSpread)); !schedule.Next(said.Add(-1)).Equal(said) {
				t.Fatalf("%q of %s: %s is no moment of it", text, image, said)
			}
		}
	}
}

// A fleet does not ask at once: no second has more than a few of a thousand images.
func TestImagesAreSpread(t *testing.T) {
	for _, text := range []string{"@every 5m", "*/5 * * * *"} {
		schedule := scheduleOf(t, text)
		seconds := map[int64]int{}
		for n := range 1000 {
			seconds[nextTick(schedule, fmt.Sprintf("registry.example.com/app-%d", n), noon).Unix()]++
		}
		most := 0
		for _, count := range seconds {
			most = max(most, count)
		}
		if wide := 1000 / 30; most > 2*wide {
			t.Errorf("%s: %d of 1000 images in one second", text, most)
		}
	}
}
