// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionTriggered is true when the builds of the newest selection were started, false
// where that could not be, and absent before the first.
const ConditionTriggered = "Triggered"

const (
	// PolicyKey is a label and an annotation of a BuildRun that a policy started: the
	// policy's name, where a label can hold it, and <namespace>/<name>.
	PolicyKey = Group + "/policy"
	// SelectionAnnotation of such a BuildRun is the selection that it was started for.
	SelectionAnnotation = Group + "/selection"
)

// Trigger is what a new selection starts.
type Trigger struct {
	// Builds selects Builds of Shipwright (shipwright.io/v1beta1) in the policy's
	// namespace by their labels: those that use the image. Each gets a BuildRun when the
	// digest of the selection changes, once for each digest.
	//
	// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) && size(self.matchLabels) > 0 || has(self.matchExpressions) && size(self.matchExpressions) > 0",message="selects every Build of the namespace: name a label, such as matchLabels: {base: golang}"
	Builds metav1.LabelSelector `json:"builds"`
}

// Triggered is what builds were last started for.
type Triggered struct {
	// Digest whose builds were started, or that was selected when spec.trigger was set.
	//
	// +kubebuilder:validation:MaxLength=256
	Digest string `json:"digest"`
}
