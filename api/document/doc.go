// SPDX-License-Identifier: Apache-2.0

// Package document finds the documents of group pintle.dev in the YAML files of a Git
// repository, and validates them as an API server would: by the very schemas and CEL
// rules in config/crd, with defaults applied. What a schema can't say (schedules,
// patterns, globs, names) is checked too. Each problem names the file, the line and
// the field, and says what to do.
//
// It knows nothing of rules (whether a semver range is one is told by package policy),
// and it reads no files itself: the caller hands it bytes, which may be hostile. Size,
// depth, aliases and the number of documents are bounded.
package document
