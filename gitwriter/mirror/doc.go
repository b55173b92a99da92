// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps what Pintle knows of one branch of one Git repository:
// the objects at its head, the texts of its commits, and, when asked, older
// trees and blobs. It fetches only what is missing, and pushes packs that hold
// the new objects alone, by compare and swap on the branch.
//
// It speaks Git's own protocol through go-git's plumbing: over HTTP(S), over SSH,
// or with a local repository through the git command. There is no worktree, and nothing
// is written to disk.
//
// It does not know manifests, policies or entries, it decides nothing, and it
// never pushes by force.
package mirror
