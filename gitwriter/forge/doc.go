// SPDX-License-Identifier: Apache-2.0

// Package forge opens, updates and closes pull requests: at Gitea, GitHub and GitLab,
// through one interface. It decides nothing, and tries nothing twice but a request
// for a branch that a Gitea does not know yet.
package forge
