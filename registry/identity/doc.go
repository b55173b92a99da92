// SPDX-License-Identifier: Apache-2.0

// Package identity logs in to the registries of clouds with the identity that the
// cloud gives this machine: an instance's role, a workload's identity, or what the
// environment and files of the vendor's own tools say.
//
// Each cloud is asked only for hosts of its own, which are known by their exact names,
// never by what a registry says of itself. The vendors' libraries find the identity;
// this package bounds the time that it takes, and keeps a login until shortly before
// its end, for all that ask with it.
package identity
