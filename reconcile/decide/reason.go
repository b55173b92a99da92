// SPDX-License-Identifier: Apache-2.0

package decide

import "slices"

// Reason is the word for a verdict. A policy reports the gravest of its fields.
type Reason string

// The reasons that a policy or a field can have.
const (
	// NoField: nothing in the repository is bound to the policy.
	NoField Reason = "NoField"
	// UpToDate: the field holds the selection.
	UpToDate Reason = "UpToDate"
	// Updated: the field was moved to the selection by this pass.
	Updated Reason = "Updated"
	// Due is what Updated reads in a plan: a sync would move the field.
	Due Reason = "Due"
	// Proposed: a pull request would move the field.
	Proposed Reason = "Proposed"
	// TooYoung: the best candidates have not reached the minimum age.
	TooYoung Reason = "TooYoung"
	// WindowClosed: a sync would move the field, if the repository might be written now.
	WindowClosed Reason = "WindowClosed"
	// Suspended: the policy is suspended.
	Suspended Reason = "Suspended"
	// Pinned: the policy declares a pin.
	Pinned Reason = "Pinned"
	// RolledBack: the selection was undone, or does not rank above what was; the
	// field stays as it is and follows again by itself.
	RolledBack Reason = "RolledBack"
	// ManuallySet: somebody set a field to what the rule does not admit; it
	// stays until it is set back.
	ManuallySet Reason = "ManuallySet"
	// DowngradeRefused: the selection ranks below what the field holds.
	DowngradeRefused Reason = "DowngradeRefused"
	// NoMatch: no tag of the registry fits the rule.
	NoMatch Reason = "NoMatch"
	// Failed: the policy could not be resolved, or the field not be written.
	Failed Reason = "Failed"
)

// byGravity lists the reasons from the lightest to the gravest.
var byGravity = []Reason{NoField, UpToDate, Updated, Due, Proposed, TooYoung, WindowClosed, Suspended, Pinned, RolledBack, ManuallySet, DowngradeRefused, NoMatch, Failed}

// Graver tells whether r outweighs o.
func (r Reason) Graver(o Reason) bool { return slices.Index(byGravity, r) > slices.Index(byGravity, o) }
