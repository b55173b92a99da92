// SPDX-License-Identifier: Apache-2.0

package events

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// replayWindow is how far a signed time may be from now, either way.
	replayWindow = 5 * time.Minute
	// maxSignatures bounds the signatures that are tried: a sender that changes
	// its secret sends two.
	maxSignatures = 4
)

// need is what a source shows that it is genuine with.
type need int

const (
	signs      need = iota // with a secret
	maySign                // with a secret, or else by a path that nobody can guess
	unsigned               // by such a path
	identified             // with a token of an identity provider
)

var (
	errMissing = refusal{http.StatusUnauthorized, "the secret or signature is missing"}
	errWrong   = refusal{http.StatusForbidden, "the secret or signature is wrong"}
	errStale   = refusal{http.StatusForbidden, "the signed time is not within 5 minutes of now"}
)

// proof is how requests show that they are genuine.
type proof interface {
	// headers looks at what needs no body, so that none is read for a stranger.
	headers(r *http.Request) error
	// body looks at the body too.
	body(h http.Header, body []byte) error
}

// pathProof is of sources that sign nothing: to know the path is all there is.
type pathProof struct{}

func (pathProof) headers(*http.Request) error    { return nil }
func (pathProof) body(http.Header, []byte) error { return nil }

// token is a secret that the source sends as it is.
type token struct {
	header string
	sum    [sha256.Size]byte
}

func newToken(header, secret string) token {
	return token{header: header, sum: sha256.Sum256([]byte(secret))}
}

func (t token) headers(r *http.Request) error {
	offered := r.Header.Get(t.header)
	if offered == "" {
		return errMissing
	}
	// Sums have one length, so that the time does not tell the secret's.
	if sum := sha256.Sum256([]byte(offered)); subtle.ConstantTimeCompare(sum[:], t.sum[:]) != 1 {
		return errWrong
	}
	return nil
}

func (token) body(http.Header, []byte) error { return nil }

// signature is a HMAC with SHA-256 over the body, with the values of some headers
// in front of it, each with a dot behind.
type signature struct {
	header string // has one or more signatures, with blanks between
	prefix string // of each
	decode func(string) ([]byte, error)
	key    []byte
	before []string // headers that are signed too
	stamp  string   // the one of these that has the time, in seconds since 1970
}

func (s signature) headers(r *http.Request) error {
	for _, name := range append([]string{s.header}, s.before...) {
		if r.Header.Get(name) == "" {
			return errMissing
		}
	}
	return nil
}

func (s signature) body(h http.Header, body []byte) error {
	mac := hmac.New(sha256.New, s.key)
	for _, name := range s.before {
		mac.Write([]byte(h.Get(name) + "."))
	}
	mac.Write(body)
	if !s.matches(h.Get(s.header), mac.Sum(nil)) {
		return errWrong
	}
	if s.stamp == "" {
		return nil
	}
	seconds, err := strconv.ParseInt(h.Get(s.stamp), 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > replayWindow {
		return errStale
	}
	return nil
}

func (s signature) matches(value string, want []byte) bool {
	tried := 0
	for offered := range strings.FieldsSeq(value) {
		text, mine := strings.CutPrefix(offered, s.prefix)
		if tried++; !mine || tried > maxSignatures {
			continue
		}
		if got, err := s.decode(text); err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

// hexSignature is what GitHub and Gitea made common.
func hexSignature(header, prefix, secret string) signature {
	return signature{header: header, prefix: prefix, decode: hex.DecodeString, key: []byte(secret)}
}

// standardPrefix marks secrets of the Standard Webhooks specification 1.0.0
// (https://github.com/standard-webhooks/standard-webhooks).
const standardPrefix = "whsec_"

// standardSignature is that specification's.
func standardSignature(secret string) (signature, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, standardPrefix))
	if err != nil || len(key) < leastSecret {
		return signature{}, errors.New("the secret is no signing token: after " + standardPrefix + " it needs at least 16 bytes in base64")
	}
	return signature{
		header: "Webhook-Signature", prefix: "v1,", decode: base64.StdEncoding.Strict().DecodeString, key: key,
		before: []string{"Webhook-Id", "Webhook-Timestamp"}, stamp: "Webhook-Timestamp",
	}, nil
}
