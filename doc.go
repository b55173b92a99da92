// SPDX-License-Identifier: Apache-2.0

// Package pintle is the root of the module and holds no code.
//
// Pintle follows container images in registries and keeps the manifests in Git
// pinned to the right one. ARCHITECTURE.md is the map; the command is
// cmd/pintle.
package pintle
