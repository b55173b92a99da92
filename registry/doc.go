// SPDX-License-Identifier: Apache-2.0

// Package registry asks container registries three questions: which tags an
// image has, which digest a tag stands for, and when an image was made. It also
// knows the grammar of image references.
//
// A [Client] lives as long as the process and keeps one connection pool, one
// ping and the tokens of each registry. A [Pass] remembers every answer, faults
// included, so that a repository is listed once and a reference resolved once,
// however many policies want to know.
//
// [Limits] hold for all Clients of a process: a rate, turns between repositories,
// and a wait where a registry is out of order. Messages then name the date of the
// next try, and stay the same until it.
//
// Registries are hostile input. Answers are bounded in size, number and time.
// Plain HTTP is spoken only to hosts that the operator named. Credentials go to
// the registry they are for and to the token service that this registry names,
// never along a redirect. Every address is checked when it is dialled:
//
//   - link-local, multicast, unspecified and cloud metadata addresses are refused
//     whoever names them;
//   - the host that an image names may be on a loopback or private address, in a
//     cluster only if the operator allowed it (Options.AllowPrivate, PlainHTTP and
//     Mirrors);
//   - any other host (a token service, a redirect) may be there only if the
//     operator allowed it, or, outside of a cluster, if the registry itself is on
//     such addresses alone.
//
// Behind a proxy (HTTPS_PROXY, NO_PROXY) the proxy looks names up, so that only
// addresses written as numbers can be checked here.
//
// The package picks no tag, verifies no signature, and writes to no registry.
package registry
