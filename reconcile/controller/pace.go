// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"strings"
	"time"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// PaceOf is when a repository may be written, and how much at once.
func PaceOf(repository *v1alpha1.ManifestRepository, now time.Time) (reconcile.Pace, error) {
	pace := reconcile.Pace{Frozen: frozen(repository, now), MaxPerPush: int(repository.Spec.MaxPerPush)}
	for i, w := range repository.Spec.Windows {
		zone, err := time.LoadLocation(w.TimeZone)
		if err != nil {
			return reconcile.Pace{}, fmt.Errorf("spec.windows[%d].timeZone: %w", i, err)
		}
		schedule, err := document.ParseSchedule("CRON_TZ=" + zone.String() + " " + w.Schedule)
		if err != nil {
			return reconcile.Pace{}, fmt.Errorf("spec.windows[%d].schedule: %w", i, err)
		}
		pace.Windows = append(pace.Windows, reconcile.Window{Schedule: schedule, Duration: w.Duration.Duration, Zone: zone})
	}
	return pace, nil
}

// frozen says until when the annotation stops all writing, or nothing.
func frozen(repository *v1alpha1.ManifestRepository, now time.Time) string {
	value, there := repository.Annotations[v1alpha1.FreezeAnnotation]
	if !there {
		return ""
	}
	value = strings.TrimSpace(value)
	if until, err := time.Parse(time.RFC3339, value); err == nil {
		if until.After(now) {
			return "when the freeze ends, at " + value
		}
		return ""
	}
	const gone = "when the annotation " + v1alpha1.FreezeAnnotation + " is taken away"
	if value == "" {
		return gone
	}
	return fmt.Sprintf("%s (%.200q)", gone, value)
}
