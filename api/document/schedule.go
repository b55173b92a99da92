// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// ParseSchedule reads a schedule: cron's five fields or a descriptor such as "@every 5m",
// each with an optional "CRON_TZ=Europe/Paris " in front; without it, in the time zone
// of the process. It refuses what the library accepts although it can't be meant: an
// interval under one second, and a date that never comes.
func ParseSchedule(schedule string) (cron.Schedule, error) {
	const advice = `write it as in "@every 5m", "0 9 * * 1-5" or "CRON_TZ=Europe/Paris 0 9 * * *"`
	zoned := strings.HasPrefix(schedule, "TZ=") || strings.HasPrefix(schedule, "CRON_TZ=")
	if zoned && !strings.Contains(schedule, " ") { // the library panics
		return nil, fmt.Errorf("%s is no schedule: there is nothing after the time zone: %s", quote(schedule), advice)
	}
	parsed, err := cron.ParseStandard(schedule)
	if err != nil {
		return nil, fmt.Errorf("%s is no schedule: %w: %s", quote(schedule), err, advice)
	}
	if _, interval, ok := strings.Cut(schedule, "@every "); ok {
		if every, err := time.ParseDuration(interval); err != nil || every < time.Second {
			return nil, fmt.Errorf("%s is no schedule: the interval must be one second or more: %s", quote(schedule), advice)
		}
		return parsed, nil
	}
	// From a fixed day, so that the answer is always the same. The library looks five
	// years ahead, which has a 29 February.
	if parsed.Next(time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%s is no schedule: its day never comes", quote(schedule))
	}
	return parsed, nil
}
