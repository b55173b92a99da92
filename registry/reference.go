// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"strconv"
	"strings"
)

// dockerHub is the host that names without a host stand for.
const dockerHub = "index.docker.io"

// maxName is the longest name, host included, by the grammar of distribution's
// reference package.
const maxName = 255

// Reference is an image reference taken apart. Empty parts were not written.
type Reference struct {
	Name   string // as written: "nginx", "ghcr.io/acme/podinfo", "localhost:5000/x"
	Tag    string
	Digest string // "sha256:<64 hex digits>" or "sha512:<128 hex digits>"
}

// String puts the parts together again.
func (r Reference) String() string {
	s := r.Name
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// SplitReference takes name[:tag][@digest] apart and checks each part against
// the grammar that distribution and the OCI distribution specification give.
// The error is an *Error of kind InvalidName.
func SplitReference(value string) (Reference, error) {
	ref := Reference{Name: value}
	if at := strings.IndexByte(ref.Name, '@'); at >= 0 {
		ref.Name, ref.Digest = ref.Name[:at], ref.Name[at+1:]
		if !validDigest(ref.Digest) {
			return Reference{}, invalid(value, "after @ it needs a digest: sha256: and 64 lower-case hex digits")
		}
	}
	if colon := strings.LastIndexByte(ref.Name, ':'); colon >= 0 && !strings.Contains(ref.Name[colon:], "/") {
		ref.Name, ref.Tag = ref.Name[:colon], ref.Name[colon+1:]
		if !validTag(ref.Tag) {
			return Reference{}, invalid(value, "a tag is 1 to 128 letters, digits, _ . and -, not starting with . or -")
		}
	}
	if _, _, reason := splitName(ref.Name); reason != "" {
		return Reference{}, invalid(value, reason)
	}
	return ref, nil
}

// Canonical gives the one name of an image repository, for comparing and
// asking: "nginx" and "docker.io/library/nginx" are both
// "index.docker.io/library/nginx". A tag or digest is an error, as is a name
// that the grammar does not allow: an *Error of kind InvalidName.
func Canonical(image string) (string, error) {
	host, path, reason := splitName(image)
	if reason != "" {
		return "", invalid(image, reason)
	}
	if host == dockerHub && !strings.Contains(path, "/") {
		return dockerHub + "/library/" + path, nil
	}
	if len(host)+1+len(path) == len(image) && strings.HasPrefix(image, host) {
		return image, nil // nothing to add or replace: the common case costs no memory
	}
	return host + "/" + path, nil
}

// splitName gives the registry's host (with its port) and the path below it;
// reason is not empty if the name breaks the grammar.
func splitName(name string) (host, path, reason string) {
	switch {
	case name == "":
		return "", "", "it names no image"
	case len(name) > maxName:
		return "", "", fmt.Sprintf("a name has at most %d characters", maxName)
	case strings.Contains(name, "://"):
		return "", "", "a name starts with the registry's host, without https://"
	}
	host, path = dockerHub, name
	if first, rest, ok := strings.Cut(name, "/"); ok && (first == "localhost" || strings.ContainsAny(first, ".:")) {
		host, path = strings.ToLower(first), rest
		if !validHost(host) {
			return "", "", "its first part is no HOST[:PORT]"
		}
		if host == "docker.io" {
			host = dockerHub
		}
	}
	for part := range strings.SplitSeq(path, "/") {
		if !validComponent(part) {
			return "", "", "the parts of a name are lower-case letters and digits, with single . or _, __ or dashes between them"
		}
	}
	return host, path, ""
}

// validComponent checks [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*, one part of a name.
func validComponent(s string) bool {
	if s == "" || !isAlnum(s[0]) || !isAlnum(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); {
		if isAlnum(s[i]) {
			i++
			continue
		}
		start := i
		for i < len(s) && s[i] == s[start] {
			i++
		}
		run := i - start
		separator := s[start] == '-' || s[start] == '.' && run == 1 || s[start] == '_' && run <= 2
		if !separator || !isAlnum(s[i]) { // s ends in a letter or digit, so s[i] exists
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// validHost takes a lower-case HOST[:PORT]: a domain, an IPv4 address or
// [an IPv6 address].
func validHost(host string) bool {
	name := host
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || strings.Trim(host[1:end], "0123456789abcdef:.") != "" || !strings.Contains(host[:end], ":") {
			return false
		}
		return host[end+1:] == "" || host[end+1] == ':' && validPort(host[end+2:])
	}
	if before, port, found := strings.Cut(host, ":"); found {
		if !validPort(port) {
			return false
		}
		name = before
	}
	for label := range strings.SplitSeq(name, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

// validLabel checks one part of a domain.
func validLabel(label string) bool {
	if label == "" || !isAlnum(label[0]) || !isAlnum(label[len(label)-1]) {
		return false
	}
	for i := range len(label) {
		if !isAlnum(label[i]) && label[i] != '-' {
			return false
		}
	}
	return true
}

func validPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port > 0 && s[0] != '+'
}

// validTag checks [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}, a tag.
func validTag(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && (c < 'A' || c > 'Z') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// validDigest takes the two algorithms that the OCI image specification
// registers.
func validDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	want := 64
	if !ok {
		hex, ok = strings.CutPrefix(s, "sha512:")
		want = 128
	}
	if !ok || len(hex) != want {
		return false
	}
	for i := range len(hex) {
		if c := hex[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func invalid(value, reason string) error {
	return &Error{Image: value, Op: "read the image reference", Kind: InvalidName, Err: &fault{kind: InvalidName, text: reason}}
}

// printable makes an untrusted reference fit for one line of a message: quoted
// if it is odd, shortened, and without what may be a user and password.
func printable(value string) string {
	name, digest := value, ""
	if at := strings.LastIndexByte(value, '@'); at >= 0 && validDigest(value[at+1:]) {
		name, digest = value[:at], value[at:]
	}
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		value = "***" + name[at:] + digest
	}
	const longest = 300
	if len(value) > longest {
		value = value[:longest] + "…"
	}
	for i := range len(value) {
		if c := value[i]; c <= ' ' || c == '"' || c >= 0x7f {
			return strconv.Quote(value)
		}
	}
	if value == "" {
		return `""`
	}
	return value
}
