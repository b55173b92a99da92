// SPDX-License-Identifier: Apache-2.0

// Package ledger is the record that Pintle keeps in the texts of its own
// commits, and what follows from it: which values were undone, and by whom they
// may not be written again.
//
// It is pure. It does not read Git: package gitwriter finds the commits and
// proves by their diffs that they did what they claim. It does not choose what
// to write: package reconcile does.
package ledger
