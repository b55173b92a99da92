// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pintle-dev/pintle/reconcile/controller"
)

// A new tag is written, a revert holds, a newer tag ends the hold.
func TestStory(t *testing.T) {
	w := newWorld(t, shared.Config)
	w.push("app", "1.0.0", "1.1.0")
	w.repo.Seed(t, map[string]string{"apps/app.yaml": w.deployment("app", "app:1.0.0", "app")}, "First")
	w.controller(controller.Options{})
	policy, repository := w.policy("app", "app"), w.repository("fleet")
	w.create(policy, repository)

	w.untilTag("apps/app.yaml", "1.1.0")
	w.untilReady(policy, "UpToDate")
	w.untilReady(repository, "Synced")
	w.revert()
	w.untilReady(policy, "RolledBack")
	if got := w.reference("apps/app.yaml"); got != "app:1.0.0" {
		t.Errorf("after the revert the field holds %s", got)
	}
	w.push("app", "1.2.0")
	w.untilTag("apps/app.yaml", "1.2.0")
	w.untilReady(policy, "UpToDate")
	var tags []string
	for _, r := range policy.Status.History {
		tags = append(tags, r.Tag)
	}
	if diff := cmp.Diff([]string{"1.2.0", "1.1.0"}, tags); diff != "" {
		t.Errorf("the history (-want +got):\n%s", diff)
	}
	w.repo.Fsck(t)
}
