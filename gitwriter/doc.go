// SPDX-License-Identifier: Apache-2.0

// Package gitwriter is all that Pintle does with one manifest repository: it
// reads the branch head, finds the fields of policies, proves what the ledger
// says and what the past of a file says, and writes commits.
//
// The work is in its folders: mirror (objects, fetch, push), manifest (fields,
// byte-exact edits) and ledger (entries, vetoes). This package puts them
// together.
//
// It does not choose what to write, and asks no registry; package reconcile
// does both.
package gitwriter
