// SPDX-License-Identifier: Apache-2.0

// Package signing signs commits as git does, with OpenPGP or SSH keys, and tells
// whether one of a set of keys signed a commit. It reads no files and asks nobody.
package signing
