// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// LocalReference names an object in the namespace of the object that refers to it.
type LocalReference struct {
	// Name of the object.
	//
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')`,message="is no object's name: lower case letters, digits, - and ."
	Name string `json:"name"`
}

// Problem is something that a person should mend.
type Problem struct {
	// File in the repository, from its root; empty where the problem has no place.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	File string `json:"file,omitempty"`

	// Line in the file, from 1.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Line int32 `json:"line,omitempty"`

	// Message says what is wrong and what to do.
	//
	// +kubebuilder:validation:MaxLength=2048
	Message string `json:"message"`
}

// The condition types that objects here can have. Ready follows kstatus.
const (
	// ConditionReady is true when the object does what it should, and Git holds
	// what it should.
	ConditionReady = "Ready"
	// ConditionResolved is true when the registry answered and the rule picked a tag.
	ConditionResolved = "Resolved"
	// ConditionWritten is true when Git holds the selection.
	ConditionWritten = "Written"
	// ConditionHeld is true while a veto or a pin applies, and absent otherwise.
	ConditionHeld = "Held"
)

// ConditionStalled is true where nothing goes on until the object is changed, and
// absent otherwise; see kstatus.
const ConditionStalled = "Stalled"

// ConditionDigestMissing is true while Git pins a digest that its registry no longer
// has, and absent otherwise.
const ConditionDigestMissing = "DigestMissing"

// FreezeAnnotation on a ManifestRepository stops all writing to it but rollbacks: until a
// time, where the value is one (RFC 3339), else until it is taken away, with the value as
// the reason that is shown.
const FreezeAnnotation = "pintle.dev/freeze"

// RefreshAnnotation on an ImagePolicy asks for a look at the registry at once, each
// time that its value changes. It asks for nothing else.
const RefreshAnnotation = "pintle.dev/refresh"
