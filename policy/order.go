// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"time"
)

// order is what the rules differ in: how they read a value and compare two.
type order interface {
	// read turns a value into a key, or says why it does not fit.
	read(value string) (k key, reason string)
	// outside says why a key is not in the rule's range; empty: it is.
	outside(k key) (reason string)
	// compare is positive where a ranks above b. Ties are the caller's.
	compare(a, b *entry) int
	// alike is equal for orders that read and compare the same way.
	alike() any
}

// entry is a candidate with what its rule read, once, of its tag.
type entry struct {
	Candidate

	key key
}

// key is what a rule compares. Each rule fills the part that it needs, so that
// ranking allocates nothing per comparison.
type key struct {
	version  version // semver
	text     string  // alphabetical: the value; numerical: digits before the point
	fraction string  // numerical: digits after the point
}

// texts orders values by their bytes.
type texts struct{ desc bool }

func (texts) read(value string) (key, string) { return key{text: value}, "" }

func (texts) outside(key) string { return "" }

func (o texts) alike() any { return o }

func (o texts) compare(a, b *entry) int {
	return direct(strings.Compare(a.key.text, b.key.text), o.desc)
}

// numbers orders unsigned decimals of any length by their digits.
type numbers struct{ desc bool }

func (numbers) read(value string) (key, string) {
	whole, fraction, point := strings.Cut(value, ".")
	if !digits(whole) || point && !digits(fraction) {
		return key{}, "is no unsigned decimal number"
	}
	return key{
		text:     strings.TrimLeft(whole, "0"),
		fraction: strings.TrimRight(fraction, "0"),
	}, ""
}

func (numbers) outside(key) string { return "" }

func (o numbers) alike() any { return o }

func (o numbers) compare(a, b *entry) int {
	return direct(compareDecimals(a.key, b.key), o.desc)
}

// compareDecimals relies on the zeros that read took off: more digits before
// the point are the greater number, and after it bytes decide.
func compareDecimals(a, b key) int {
	if c := compareDigits(a.text, b.text); c != 0 {
		return c
	}
	return strings.Compare(a.fraction, b.fraction)
}

// compareDigits compares two numbers without leading zeros.
func compareDigits(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// digits is true for one or more ASCII digits.
func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// times orders candidates by the creation time of their image.
type times struct{}

func (times) read(string) (key, string) { return key{}, "" }

func (times) outside(key) string { return "" }

func (o times) alike() any { return o }

func (times) compare(a, b *entry) int { return a.Created.Compare(b.Created) }

// timeProblem says why a creation time tells nothing. Reproducible builds write
// a constant: the Unix epoch (ko, Jib, Bazel; some add a second), or 1 January
// 1980, the first day that a ZIP archive can hold (Cloud Native Buildpacks). No
// image is older than that, so everything before is taken for such a constant.
func timeProblem(created time.Time) string {
	if created.IsZero() {
		return "the creation time of its image is unknown"
	}
	if created.Before(time.Date(1980, time.January, 2, 0, 0, 0, 0, time.UTC)) {
		return "its image says it was created on " + created.UTC().Format(time.DateOnly) +
			", as reproducible builds do: order such images by their tags"
	}
	return ""
}

func direct(comparison int, desc bool) int {
	if desc {
		return -comparison
	}
	return comparison
}
