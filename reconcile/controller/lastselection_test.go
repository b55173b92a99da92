// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// While the registry does not answer, the status keeps the last selection, and
// Resolved says that it is no more than that.
func TestTheLastSelectionStaysInTheStatus(t *testing.T) {
	v := viewOf(placeOf("fleet", 1, reconcile.UpToDate))
	before := stored(t, v.status())
	v.policy.Status = before
	v.resolution = reconcile.Resolution{Last: v.resolution.Selected, FirstSeen: v.resolution.FirstSeen, Reason: reconcile.Failed, Message: "it is away; the last selection was 1.1.0"}
	after := stored(t, v.status())
	if diff := cmp.Diff(before.Selected, after.Selected); diff != "" || after.Selected == nil {
		t.Errorf("selected (-before +while it is away):\n%s", diff)
	}
	for _, name := range []string{v1alpha1.ConditionResolved, v1alpha1.ConditionReady} {
		c := meta.FindStatusCondition(after.Conditions, name)
		if c == nil || c.Status != "False" || c.Reason != string(reconcile.Failed) || c.Message != v.resolution.Message {
			t.Errorf("%s is %+v", name, c)
		}
	}
}
