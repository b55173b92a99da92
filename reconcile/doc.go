// SPDX-License-Identifier: Apache-2.0

// Package reconcile is the engine: it reads policies, resolves them against
// their registries, decides, and has the result committed. A pass goes
// policies.go, resolve.go, bind.go, pass.go.
//
// The decision itself is in package decide, pure; registries are asked by
// package registry, Git by package gitwriter. The command line drives the
// engine; nothing here prints.
package reconcile
