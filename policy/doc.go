// SPDX-License-Identifier: Apache-2.0

// Package policy picks one of an image's tags: it compiles the rule that a user
// wrote (spec.select of an ImagePolicy) and ranks candidates by it, with a
// reason for each one that it drops.
//
// The package is pure. It reads no clock, registry, repository or cluster, it
// keeps no state between calls, and a compiled Rule is safe for concurrent use.
// It knows tags and creation times only: digests, platforms, minimum age, pins,
// vetoes and the refusal to move down belong to the engine, which asks Compare
// where it needs the order.
//
// # From a tag to its rank
//
// A candidate passes these steps; the first that it fails drops it with a
// reason and is never an error:
//
//  1. Its name is a tag of the OCI distribution specification (at most 128
//     characters), and not one that the specification reserves for referrers
//     (sha256-<digest>, with cosign's endings .sig, .att, .sbom).
//  2. No pattern of exclude matches the tag.
//  3. The pattern of filter matches the tag. Patterns are RE2 and match
//     anywhere unless they are anchored.
//  4. With extract, the value is the template filled from the pattern's groups
//     ($name, ${name}, $1; $$ is a dollar sign); without it, the whole tag. An
//     empty value drops the candidate.
//  5. The rule can read the value, and the value is inside its range.
//
// # The rules
//
//   - semver: versions by precedence, as semver.org defines it, that are inside
//     a range of github.com/Masterminds/semver/v3. A leading v is read over, and
//     missing parts count as zero: 1.2 is 1.2.0. A number with leading zeros
//     (2024.01.15) or above 2⁶⁴-1 is no version. A pre-release is admitted
//     only by an alternative ("||") of the range that itself names a pre-release:
//     ">=1.2.0-0 <2" does and ">=1.2.0 <2" does not. The library does not bound
//     that any further, so ">=1.2.0-0 <2.0.0" admits 2.0.0-rc.1, which
//     "<2.0.0-0" keeps out. A tag of digits alone (a date, a build number) is
//     a partial version: a filter keeps it out where a registry mixes the two.
//   - numerical: unsigned decimal numbers (42, 007, 1.5) of any length and
//     exactly, never through floating point. Signs, exponents, ".5" and "5."
//     are no numbers. 1.10 is less than 1.9: for versions there is semver.
//   - alphabetical: values by their bytes, so upper case precedes lower case.
//   - newest: tags by the creation time of their image, later first; filter and
//     exclude apply, the extracted value plays no part. A time that is unknown
//     or that reproducible builds write in its place (anything before 2 January
//     1980) drops the candidate. A time in the future is taken as it is.
//   - tag: follows that one tag and has no order: all compare as equal.
//
// Asc picks the greatest value and Desc the smallest, as in Flux.
//
// # Ties
//
// The order is total, so any order of the input, duplicates included, gives the
// same ranking. Where two tags are equal by the rule,
//
//  1. for semver, the tag whose version is written with more parts is first:
//     1.20.0 before 1.20;
//  2. then, for every rule and in both orders, the tag that is greater by its
//     bytes: v1.2.3 before 1.2.3, 1.2.3-r2 before 1.2.3-r1 where a filter
//     extracts 1.2.3 from both.
//
// Of several candidates with one tag, the one created last counts.
//
// # Bounds
//
// Specs and tags are foreign input. Patterns, templates and values are limited
// in length, and all patterns of one rule together in the size of their
// compiled program, because that size times the length of a tag is the time
// that a match takes.
package policy
