// SPDX-License-Identifier: Apache-2.0

// Package controller drives the engine of package reconcile in a cluster.
//
// One reconciler (policy.go) asks the registries about an ImagePolicy on its
// schedule, and writes its status. The other (repository.go) runs the passes of a
// ManifestRepository, which write Git, and its status. Between them stand the
// resolutions, which passes read, and the board, on which passes leave what they
// found. Both are in memory: a process that has nothing asks again.
//
// It decides nothing about tags and fields. It writes nothing to a cluster but the
// status of its own two kinds, and events.
package controller
