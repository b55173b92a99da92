// SPDX-License-Identifier: Apache-2.0

package policy

import "strings"

const (
	maxTag = 128
	// tagCharacters may stand in a tag after its first character.
	tagCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
)

// nameProblem says why a name is no tag of an image, by the OCI distribution
// specification: [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}, and no referrers tag.
func nameProblem(tag string) string {
	switch {
	case tag == "":
		return "is empty"
	case len(tag) > maxTag:
		return "is longer than the 128 characters of a tag"
	case strings.Trim(tag, tagCharacters) != "" || tag[0] == '.' || tag[0] == '-':
		return "is no valid tag"
	case isReferrers(tag):
		return "belongs to another image (a signature, an attestation, a list of referrers)"
	default:
		return ""
	}
}

// isReferrers is true for the names of the referrers tag schema, "sha256-" and
// 64 hexadecimal digits, and for cosign's, which append ".sig" and the like.
// Source: OCI distribution specification 1.1, "Referrers Tag Schema".
func isReferrers(tag string) bool {
	rest, ok := strings.CutPrefix(tag, "sha256-")
	if !ok {
		rest, ok = strings.CutPrefix(tag, "sha512-")
	}
	if !ok || len(rest) < 64 || strings.Trim(rest[:64], "0123456789abcdef") != "" {
		return false
	}
	return len(rest) == 64 || rest[64] == '.'
}
