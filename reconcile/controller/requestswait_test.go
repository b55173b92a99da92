// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/gitwriter/forge"
	"github.com/pintle-dev/pintle/reconcile"
)

// A forge that asks to be left alone is, and longer than any retry; news changes nothing.
func TestAForgeIsLeftAloneAsItAsks(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for title, c := range map[string]struct {
		err  error
		want time.Duration
	}{
		"as it asks":         {fmt.Errorf("wrapped: %w", &forge.Error{Kind: forge.TooMany, Wait: 40 * time.Minute}), 40 * time.Minute},
		"no less than a try": {&forge.Error{Kind: forge.TooMany, Wait: time.Second}, firstRetry},
		"it asks for none":   {&forge.Error{Kind: forge.Refused}, firstRetry},
		"another failure":    {errors.New("no"), firstRetry},
	} {
		t.Run(title, func(t *testing.T) {
			c1 := objects(t)
			resolutions := reconcile.NewResolutions()
			wake := newWake(newGates(0), func() time.Time { return noon })
			r := &repositoryReconciler{client: c1, gates: wake.gates, wake: wake, resolutions: resolutions, now: wake.now}
			repository, work := repositoryOf(), &opened{}
			work.failing(c.err, repository.Generation, noon)
			r.gates.of(key(repository)).arrive(noon)
			if wait := r.untilRetry(work, Granted{c1, repository}, noon); wait != c.want {
				t.Errorf("it waits for %v, want %v", wait, c.want)
			}
		})
	}
}
