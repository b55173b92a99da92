// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"hash/fnv"
	"time"

	"github.com/robfig/cron/v3"
)

// maxSpread bounds how long after a time of day an image is asked for. It is shorter
// than the minute that is at least between two of them.
const maxSpread = 30 * time.Second

// nextTick is when a schedule is due after a time. Each image has an offset of its
// own, so that a fleet does not ask all at once; policies with one image and one
// schedule are due together, in every process.
func nextTick(schedule cron.Schedule, image string, after time.Time) time.Time {
	if every, ok := schedule.(cron.ConstantDelaySchedule); ok {
		offset := spread(image, every.Delay)
		return after.Add(-offset).Truncate(every.Delay).Add(every.Delay).Add(offset)
	}
	offset := spread(image, maxSpread)
	return schedule.Next(after.Add(-offset)).Add(offset)
}

// spread is a whole number of milliseconds below longest that a text always has.
func spread(text string, longest time.Duration) time.Duration {
	steps := longest.Milliseconds()
	if steps <= 0 {
		return 0
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(text))
	return time.Duration(hash.Sum64()%uint64(steps)) * time.Millisecond //nolint:gosec // it is below steps
}
