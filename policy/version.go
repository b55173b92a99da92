// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// versions orders semantic versions and admits those of a range.
type versions struct {
	text string // the range, for people
	// constraints admit a pre-release only where the range names one.
	constraints semver.Constraints
	// anyStage has the same bounds and admits pre-releases everywhere: it tells
	// a pre-release that the bounds alone would admit, for a better reason.
	anyStage semver.Constraints

	outsideReason, stageReason string
}

// version is a parsed version and how many of its parts were written.
type version struct {
	*semver.Version

	parts int // 1 to 3
}

func newVersions(text string, constraints semver.Constraints) *versions {
	anyStage := constraints
	anyStage.IncludePrerelease = true
	return &versions{
		text:          text,
		constraints:   constraints,
		anyStage:      anyStage,
		outsideReason: "outside the range " + text,
		stageReason: "a pre-release, which the range " + text +
			" does not name: a bound such as >=1.2.0-0 would",
	}
}

// read accepts what the library's NewVersion does, but for leading zeros: a
// leading v, and versions of one or two parts, which it completes.
func (*versions) read(value string) (key, string) {
	text, parts := complete(strings.TrimPrefix(value, "v"))
	parsed, err := semver.StrictNewVersion(text)
	if err != nil {
		return key{}, "is no semantic version"
	}
	return key{version: version{parsed, parts}}, ""
}

// complete adds the parts that a version lacks, and counts those it has. What
// is no version stays none.
func complete(text string) (completed string, parts int) {
	end := strings.IndexAny(text, "-+")
	if end < 0 {
		end = len(text)
	}
	core := text[:end]
	switch strings.Count(core, ".") {
	case 0:
		return core + ".0.0" + text[end:], 1
	case 1:
		return core + ".0" + text[end:], 2
	default:
		return text, 3
	}
}

func (o *versions) outside(k key) string {
	if o.constraints.Check(k.version.Version) {
		return ""
	}
	if k.version.Prerelease() != "" && o.anyStage.Check(k.version.Version) {
		return o.stageReason
	}
	return o.outsideReason
}

// alike leaves out the range.
func (*versions) alike() any { return "semver" }

func (*versions) compare(a, b *entry) int {
	v, w := a.key.version, b.key.version
	switch {
	case v.Major() != w.Major():
		return cmp.Compare(v.Major(), w.Major())
	case v.Minor() != w.Minor():
		return cmp.Compare(v.Minor(), w.Minor())
	case v.Patch() != w.Patch():
		return cmp.Compare(v.Patch(), w.Patch())
	}
	if c := comparePrereleases(v.Prerelease(), w.Prerelease()); c != 0 {
		return c
	}
	return cmp.Compare(v.parts, w.parts)
}

// comparePrereleases follows semver.org, section 11. The library's own compares
// numbers of more than 64 bits as text, which would rank 9 above 10.
func comparePrereleases(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "":
		return 1
	case b == "":
		return -1
	}
	for {
		left, restA, moreA := strings.Cut(a, ".")
		right, restB, moreB := strings.Cut(b, ".")
		if c := compareIdentifiers(left, right); c != 0 {
			return c
		}
		if !moreA || !moreB {
			return compareBools(moreA, moreB)
		}
		a, b = restA, restB
	}
}

// compareIdentifiers ranks numbers below words.
func compareIdentifiers(a, b string) int {
	numberA, numberB := digits(a), digits(b)
	if numberA && numberB {
		return compareDigits(a, b)
	}
	if numberA != numberB {
		return compareBools(numberB, numberA)
	}
	return strings.Compare(a, b)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
