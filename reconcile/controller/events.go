// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// happened is something to tell of as an event.
type happened struct{ kind, reason, action, note string }

// tell makes an event of it, and a line in the log.
func (h happened) tell(ctx context.Context, recorder events.EventRecorder, about client.Object) {
	recorder.Eventf(about, nil, h.kind, h.reason, h.action, "%s", h.note)
	log.FromContext(ctx).Info(h.note, "reason", h.reason)
}

// maxNote is how long an event's note may be, in bytes (events.k8s.io/v1).
const maxNote = 1024

func clipEvent(note string) string {
	if len(note) <= maxNote {
		return note
	}
	const rest = "…"
	return strings.ToValidUTF8(note[:maxNote-len(rest)], "") + rest
}

// policyEvents are what happened between two statuses of a policy.
func policyEvents(before, after v1alpha1.ImagePolicyStatus) []happened {
	all := written(before.History, after.History)
	ready := turned(before.Conditions, after.Conditions, v1alpha1.ConditionReady)
	if len(all) == 0 || len(ready) > 0 && ready[0].reason != string(reconcile.UpToDate) { // That goes without saying.
		all = append(all, ready...)
	}
	all = append(all, triggered(before.Conditions, after.Conditions)...)
	if gone := meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionDigestMissing); gone != nil && meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionDigestMissing) == nil {
		all = append(all, happened{corev1.EventTypeWarning, v1alpha1.ConditionDigestMissing, "Resolve", clipEvent(gone.Message)})
	}
	return all
}

// written tells of the newest revision of each repository, where it is new. Those below
// it happened before somebody looked.
func written(before, after []v1alpha1.Revision) []happened {
	newest := map[string]int64{} // by repository, which count each for itself
	for _, r := range before {
		newest[r.Repository] = max(newest[r.Repository], r.Revision)
	}
	var all []happened
	for _, r := range after {
		if r.Revision > newest[r.Repository] {
			newest[r.Repository] = r.Revision
			all = append(all, happened{corev1.EventTypeNormal, "Written", "Write", clipEvent(fmt.Sprintf("revision %d: %s in %s (%s, %s)", r.Revision, r.Tag, r.Repository, r.Cause, short(r.Commit)))})
		}
	}
	return all
}

// repositoryEvents are what happened between two statuses of a repository.
func repositoryEvents(before, after v1alpha1.ManifestRepositoryStatus) []happened {
	return turned(before.Conditions, after.Conditions, v1alpha1.ConditionReady)
}

// turned tells of a condition that has another reason now.
func turned(before, after []metav1.Condition, kind string) []happened {
	was, is := meta.FindStatusCondition(before, kind), meta.FindStatusCondition(after, kind)
	if is == nil || was != nil && was.Reason == is.Reason && was.Status == is.Status {
		return nil
	}
	level := corev1.EventTypeNormal
	if is.Status == metav1.ConditionFalse || is.Reason == string(reconcile.DowngradeRefused) || is.Reason == reasonProblems {
		level = corev1.EventTypeWarning
	}
	return []happened{{level, is.Reason, "Reconcile", clipEvent(is.Message)}}
}
