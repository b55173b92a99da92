// SPDX-License-Identifier: Apache-2.0

package manifest

// What a file may cost. Manifests that people write stay far below; a file
// above one of these is a Problem and is left alone.
const (
	maxSize      = 4 << 20 // bytes
	maxDepth     = 100     // collections inside each other
	maxFields    = 10_000  // bound scalars of a file
	maxProblems  = 1_000   // reported of a file
	maxComment   = 1_024   // bytes of a marker
	maxKey       = 1_024   // bytes of a mapping key on the way to a field
	maxPath      = 4_096   // bytes of a Field's Key
	maxLineNodes = 64      // scalars on one line in front of a marker
	usualNodes   = 4_096   // room that is made before parsing; not a limit
)
