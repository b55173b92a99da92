// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"regexp"
	"strings"
)

// Value is what a slot says of an image: "<tag>@<digest>", or a tag or a digest
// alone, or Unknown.
type Value string

// Unknown is the value of a slot that holds no reference to the policy's image.
const Unknown Value = "?"

// tagPattern and digestPattern are the grammar of the OCI distribution
// specification, section "Pulling manifests", and of the image specification,
// section "Digests", for the algorithms that registries serve.
var (
	tagPattern    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	digestPattern = regexp.MustCompile(`^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$`)
)

// NewValue joins a tag and a digest, either of which may be empty. What does not
// fit the grammar of references makes the value Unknown, so that a value can
// never break out of its line.
func NewValue(tag, digest string) Value {
	if tag != "" && !tagPattern.MatchString(tag) || digest != "" && !digestPattern.MatchString(digest) {
		return Unknown
	}
	switch {
	case tag == "" && digest == "":
		return Unknown
	case digest == "":
		return Value(tag)
	case tag == "":
		return Value(digest)
	}
	return Value(tag + "@" + digest)
}

// ParseValue reads a value as it stands in a trailer.
func ParseValue(s string) (Value, bool) {
	if s == string(Unknown) {
		return Unknown, true
	}
	tag, digest := Value(s).split()
	v := NewValue(tag, digest)
	return v, v != Unknown && string(v) == s
}

func (v Value) split() (tag, digest string) {
	if v == Unknown {
		return "", ""
	}
	tag, digest, both := strings.Cut(string(v), "@")
	if !both && strings.Contains(tag, ":") {
		return "", tag
	}
	return tag, digest
}

// Tag is the value's tag, or empty.
func (v Value) Tag() string { tag, _ := v.split(); return tag }

// Digest is the value's digest, or empty.
func (v Value) Digest() string { _, digest := v.split(); return digest }

// ShortDigest is the value's digest as people read it, cut to 12 digits.
func (v Value) ShortDigest() string {
	return v.Digest()[:min(len(v.Digest()), len("sha256:")+12)]
}

// Covers tells whether o says nothing else than v does: each part that o has is
// equal in v.
func (v Value) Covers(o Value) bool {
	if v == o {
		return true
	}
	if v == Unknown || o == Unknown {
		return false
	}
	return (o.Tag() == "" || o.Tag() == v.Tag()) && (o.Digest() == "" || o.Digest() == v.Digest())
}

// SameImage tells whether both values stand for the same image: by digest
// where both have one, else by tag.
func (v Value) SameImage(o Value) bool {
	if v == Unknown || o == Unknown {
		return false
	}
	if v.Digest() != "" && o.Digest() != "" {
		return v.Digest() == o.Digest()
	}
	return v.Tag() != "" && v.Tag() == o.Tag()
}
