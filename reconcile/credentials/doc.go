// SPDX-License-Identifier: Apache-2.0

// Package credentials reads the Secrets and ServiceAccounts that policies and
// manifest repositories name, and makes logins of them: for a registry
// ([Registry]) and for a Git server ([Git]).
//
// It reads one object by its name at a time, in the namespace of the object that
// names it; it never lists or watches, so that the right to get is enough. It
// keeps nothing: who calls it again sees a Secret that was changed.
//
// Nothing else gives a login here: neither the Docker configuration of this
// machine nor the identity that a cloud gives it. The latter is registry/identity's,
// where the operator wants it.
//
// No error repeats what a Secret holds.
package credentials
