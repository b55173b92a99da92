// SPDX-License-Identifier: Apache-2.0

// Package decide says, for each place that holds a policy's image, whether the
// selection is written there, and why or why not: a chain of small checks, each
// with its reason, read from top to bottom in decide.go.
//
// It is pure: it asks neither a registry nor Git, and writes nothing. It does not
// pick the selection either; package policy does.
package decide
