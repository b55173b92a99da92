// SPDX-License-Identifier: Apache-2.0

// Package render writes reports for people, as tables and unified diffs, and
// for programs, as JSON.
//
// It decides nothing and reads nothing but the report. Whatever came from a
// repository or a registry is made safe for a terminal: characters that are
// not printable are shown escaped.
package render
