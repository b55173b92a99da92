// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/reconcile/controller"
	"github.com/pintle-dev/pintle/registry/events"
)

// A hint brings the look forward that the schedule has for tomorrow; the entry tells the
// cause.
func TestHint(t *testing.T) {
	w := newWorld(t, shared.Config)
	w.push("app", "1.0.0")
	w.repo.Seed(t, map[string]string{"app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	inbox := events.NewInbox()
	w.controller(controller.Options{Hints: inbox})
	policy := w.policy("app", "app")
	policy.Spec.Schedule = "@daily"
	w.create(policy, w.repository("fleet"))
	w.untilTag("app.yaml", "1.0.0")
	w.untilReady(policy, "UpToDate")

	w.push("app", "1.1.0")
	pushed := time.Now()
	inbox.Put([]events.Hint{{Source: "distribution", Image: w.image("other")}, {Source: "distribution", Image: w.image("app")}})
	w.untilTag("app.yaml", "1.1.0")
	t.Logf("from the hint to Git %.2f s", time.Since(pushed).Seconds())
	w.until("the status tells of it", func() (string, bool) {
		seen := w.status(policy)
		return seen, len(policy.Status.History) == 2
	})
	if cause := policy.Status.History[0].Cause; cause != "event/distribution" {
		t.Errorf("the cause is %s", cause)
	}
	if message := gitserver.Git(t, w.repo.Dir, "log", "-1", "--format=%B", "main"); !strings.Contains(message, "cause=event/distribution") {
		t.Errorf("the commit says\n%s", message)
	}
}
