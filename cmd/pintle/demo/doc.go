// SPDX-License-Identifier: Apache-2.0

// Package demo tells what Pintle does, with real parts in one process: an
// image registry and a Git repository on this machine, the git command as the
// human, and the engine that `pintle sync` runs.
//
// Nothing in it is staged: each step checks that what it tells has happened,
// and the story ends with an error where it has not.
package demo
