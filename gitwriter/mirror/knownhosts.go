// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // it is how OpenSSH hides names, and trusts nothing
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The markers of lines in known_hosts.
const (
	authority = "cert-authority"
	revoked   = "revoked"
)

// hostKey is a line of known_hosts.
type hostKey struct {
	marker string // empty, authority or revoked
	names  []string
	key    ssh.PublicKey
}

// knownHosts are the lines of known_hosts files, as sshd(8) describes them.
type knownHosts []hostKey

// parseKnownHosts passes over what it cannot read, as ssh(1) does: a kind of key
// that is not known here is of no use, and no harm.
func parseKnownHosts(content string) knownHosts {
	var known knownHosts
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		needed := 3 // names, kind and key; then comes a comment of any length
		if strings.HasPrefix(fields[0], "@") {
			needed = 4
		}
		text := strings.Join(fields[:min(needed, len(fields))], " ")
		marker, names, key, _, _, err := ssh.ParseKnownHosts([]byte(text))
		if err == nil && slices.Contains([]string{"", authority, revoked}, marker) {
			known = append(known, hostKey{marker, names, key})
		}
	}
	return known
}

// of are the lines about a server. Those for the host alone count where none is
// for its port, as in ssh(1).
func (k knownHosts) of(host, port string) knownHosts {
	host = strings.ToLower(host)
	if port != sshPort {
		if found := k.named("[" + host + "]:" + port); len(found) > 0 {
			return found
		}
	}
	return k.named(host)
}

func (k knownHosts) named(name string) knownHosts {
	return slices.DeleteFunc(slices.Clone(k), func(h hostKey) bool { return !h.is(name) })
}

// is tells whether the line is about a name: one of its patterns fits, and none
// of those with an exclamation mark.
func (h hostKey) is(name string) bool {
	fits := false
	for _, pattern := range h.names {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if !nameFits(pattern, name) {
			continue
		}
		if negated {
			return false
		}
		fits = true
	}
	return fits
}

// nameFits matches a hashed name, or a pattern with * and ?.
func nameFits(pattern, name string) bool {
	if hashed, ok := strings.CutPrefix(pattern, "|1|"); ok {
		salt, sum, _ := strings.Cut(hashed, "|")
		key, err := base64.StdEncoding.DecodeString(salt)
		if err != nil {
			return false
		}
		mac := hmac.New(sha1.New, key)
		_, _ = mac.Write([]byte(name))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil)) == sum
	}
	// Brackets stand for themselves: they are around a host with a port.
	pattern = strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(strings.ToLower(pattern))
	fits, err := path.Match(pattern, name)
	return fits && err == nil
}

// algorithms are those that can show a key of these lines. A server has keys of
// several kinds, and left to choose it would show one that is not known.
func (k knownHosts) algorithms() []string {
	var chosen []string
	for _, algorithm := range ssh.SupportedAlgorithms().HostKeys {
		kind := algorithm
		if kind == ssh.KeyAlgoRSASHA256 || kind == ssh.KeyAlgoRSASHA512 {
			kind = ssh.KeyAlgoRSA
		}
		certificate := strings.Contains(algorithm, "-cert-")
		if slices.ContainsFunc(k, func(h hostKey) bool {
			return h.marker == authority && certificate || h.marker == "" && h.key.Type() == kind
		}) {
			chosen = append(chosen, algorithm)
		}
	}
	return chosen
}

func (k knownHosts) has(marker string, key ssh.PublicKey) bool {
	return slices.ContainsFunc(k, func(h hostKey) bool {
		return h.marker == marker && string(h.key.Marshal()) == string(key.Marshal())
	})
}

// check is for lines about one server.
func (k knownHosts) check(address string, from net.Addr, shown ssh.PublicKey) error {
	checker := ssh.CertChecker{
		IsHostAuthority: func(key ssh.PublicKey, _ string) bool { return k.has(authority, key) },
		IsRevoked: func(c *ssh.Certificate) bool {
			return k.has(revoked, c.Key) || k.has(revoked, c.SignatureKey)
		},
		HostKeyFallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			switch {
			case k.has(revoked, key):
				return errors.New("it is revoked")
			case !k.has("", key):
				return errors.New("another is known")
			}
			return nil
		},
	}
	if err := checker.CheckHostKey(address, from, shown); err != nil {
		return &refusal{kind: HostKeyChanged, hint: changedHint,
			err: fmt.Errorf("the server's key %s %s is not taken: %w", shown.Type(), ssh.FingerprintSHA256(shown), err)}
	}
	return nil
}

const changedHint = "somebody may be in between: ask the server's owner, and replace the key in known_hosts only if it was changed there"
