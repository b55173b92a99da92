// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ImagePolicyStatus is what Pintle last saw and did, for reading.
type ImagePolicyStatus struct {
	// ObservedGeneration is the generation of the spec that the status is about.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Selected is what the policy picks now; absent where nothing could be picked.
	//
	// +optional
	Selected *Selected `json:"selected,omitempty"`

	// Current is what Git holds, one item for each manifest repository in which fields
	// are bound to the policy.
	//
	// +optional
	// +listType=map
	// +listMapKey=repository
	// +kubebuilder:validation:MaxItems=64
	Current []Current `json:"current,omitempty"`

	// History lists the newest revisions, newest first, at most spec.historyLimit.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	History []Revision `json:"history,omitempty"`

	// Vetoes are digests that were undone in Git and are not written again.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Vetoes []Veto `json:"vetoes,omitempty"`

	// FirstSeen is since when Pintle knows the candidates of a policy with
	// spec.minimumAge. It is the one part of the status that is read again: without it,
	// candidates wait anew.
	//
	// +optional
	FirstSeen *FirstSeen `json:"firstSeen,omitempty"`

	// Triggered is what builds were last started for, with spec.trigger.
	//
	// +optional
	Triggered *Triggered `json:"triggered,omitempty"`

	// Conditions are Ready, Resolved, Written and, while a veto or pin applies, Held.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Selected is a tag and the digest that it had when the policy picked it.
type Selected struct {
	// Tag that the rule picked.
	//
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag"`

	// Digest that the registry serves for the tag.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Digest string `json:"digest,omitempty"`

	// FirstSeen is when Pintle first saw the digest.
	//
	// +optional
	FirstSeen *metav1.Time `json:"firstSeen,omitempty"`
}

// FirstSeen is when the digests of an image were seen for the first time.
type FirstSeen struct {
	// Image that the digests are of.
	//
	// +kubebuilder:validation:MaxLength=320
	Image string `json:"image"`

	// Digests, the one seen last first.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Digests []Sighting `json:"digests,omitempty"`
}

// Sighting is a digest and when it was seen for the first time.
type Sighting struct {
	// Digest of an image.
	//
	// +kubebuilder:validation:MaxLength=256
	Digest string `json:"digest"`

	// At is when.
	At metav1.Time `json:"at"`
}

// Current is what Git holds for a policy in one manifest repository.
type Current struct {
	// Repository is the ManifestRepository, as namespace/name.
	//
	// +kubebuilder:validation:MaxLength=317
	Repository string `json:"repository"`

	// Tag that the fields hold; empty where they differ or have none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`

	// Digest that the fields hold; empty where they differ or have none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Digest string `json:"digest,omitempty"`

	// Fields is how many fields are bound to the policy.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Fields int32 `json:"fields,omitempty"`

	// Reason is the gravest verdict of the fields, such as UpToDate or RolledBack.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// Message says why, in one sentence.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message,omitempty"`
}

// Revision is an entry of the ledger.
type Revision struct {
	// Revision is the entry's number, counted per policy and never reused. Absent for
	// an edit that somebody made by hand.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Revision int64 `json:"revision,omitempty"`

	// Repository is the ManifestRepository that holds the commit, as namespace/name.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=317
	Repository string `json:"repository,omitempty"`

	// Tag that the entry wrote.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`

	// Digest that the entry wrote.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Digest string `json:"digest,omitempty"`

	// Commit is the commit's full id.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Commit string `json:"commit,omitempty"`

	// FirstSeen is when Pintle first saw the digest, where it is known.
	//
	// +optional
	FirstSeen *metav1.Time `json:"firstSeen,omitempty"`

	// WrittenAt is the commit's time.
	//
	// +optional
	WrittenAt *metav1.Time `json:"writtenAt,omitempty"`

	// Cause is schedule, event/<source>, build/<namespace>/<name>, resume, pin or
	// rollback.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Cause string `json:"cause,omitempty"`
}

// Veto is a digest that was undone and is not written again.
type Veto struct {
	// Repository is the ManifestRepository in which it was undone, as namespace/name.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=317
	Repository string `json:"repository,omitempty"`

	// Tag that was undone.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`

	// Digest that was undone.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Digest string `json:"digest,omitempty"`

	// Revision that wrote it.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Revision int64 `json:"revision,omitempty"`

	// Commit that undid it, where Git tells.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Commit string `json:"commit,omitempty"`

	// Since is that commit's time.
	//
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}
