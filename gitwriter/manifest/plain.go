// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"regexp"
	"strings"
	"unicode"
)

// plainText is what may stand in a plain scalar anywhere, in flow collections
// too, and covers every image reference.
var plainText = regexp.MustCompile(`^[A-Za-z0-9/_]([A-Za-z0-9._/:@+-]*[A-Za-z0-9._/@+-])?$`)

// noString are the plain scalars that some YAML parser takes for something other
// than a string: the types of YAML 1.1 (yaml.org/type) and of the core schema of
// YAML 1.2 (yaml.org/spec/1.2.2, 10.3), with underscores as YAML 1.1 has them.
var noString = regexp.MustCompile(`(?i)^(` +
	`|~|null|y|yes|n|no|true|false|on|off` +
	`|[-+]?0b[01_]+|[-+]?0x[0-9a-f_]+|[-+]?0o?[0-7_]+` + // binary, hexadecimal, octal
	`|[-+]?[0-9][0-9_]*` + // decimal
	`|[-+]?([0-9][0-9_]*)?\.[0-9_]*(e[-+]?[0-9]+)?` + // float
	`|[-+]?[0-9][0-9_]*e[-+]?[0-9]+` + // float without a point
	`|[-+]?\.inf|\.nan` +
	`|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?` + // base 60
	`|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([t \t].*)?` + // date, time
	`)$`)

// encode writes a value in the style of the token that it replaces. A plain
// value that would not be a string gets quotes, unless a !!str tag makes it one.
func encode(value string, style style, tagged bool) (string, refusal) {
	if reason := printable(value); reason != "" {
		return "", reason
	}
	switch style {
	case single:
		return strings.ReplaceAll(value, "'", "''"), ""
	case double:
		return escape(value), ""
	case block:
		if strings.TrimSpace(value) != value {
			return "", "the new value begins or ends with white space, which a block scalar can't show"
		}
		return value, ""
	default:
		if plainText.MatchString(value) && (tagged || !noString.MatchString(value)) {
			return value, ""
		}
		return `"` + escape(value) + `"`, ""
	}
}

// escape writes a value as it stands between double quotes.
func escape(value string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
}

// printable refuses what can't stand on one line of a file, or would be
// invisible there.
func printable(value string) refusal {
	if value == "" {
		return "the new value is empty"
	}
	for _, r := range value {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return "the new value has characters that can't be printed"
		}
	}
	return ""
}
