// SPDX-License-Identifier: Apache-2.0

// Package manifest finds the fields of a YAML file that policies move, and
// edits them byte for byte.
//
// Scan answers which scalars a file binds to policies: by marker, a comment
// such as {"$imagepolicy": "prod:podinfo"} behind a scalar, or by target, a
// rule of a policy that says where its image stands. Edit puts new values into
// those scalars and changes no other byte of the file. What can't be edited so
// is refused with a reason, and the file stays as it was.
//
// The package is pure: bytes in, fields and bytes out. It reads no file, knows
// neither Git nor Kubernetes, asks no registry, and does not decide what a
// field should hold. It never follows aliases, never inserts keys, and takes
// its input for hostile: size, depth and the number of fields are bounded.
package manifest
