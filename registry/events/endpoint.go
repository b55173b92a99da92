// SPDX-License-Identifier: Apache-2.0

package events

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/pintle-dev/pintle/registry"
)

const (
	// leastSecret is the least number of characters of a secret.
	leastSecret = 16
	// leastUnguessable and leastDistinct are of the last part of a path that
	// stands for a secret: 32 random hex digits are 128 bits, and have fewer than
	// 8 different ones only once in ten million times.
	leastUnguessable, leastDistinct = 32, 8
)

// Endpoint is one place that events come to.
type Endpoint struct {
	// Path is of the URL that the source is given, such as /github. For a source
	// that signs nothing its last part is random, and as secret as a password.
	Path   string
	Source Source
	// Host is of the registry that the events are about. An event gives hints for
	// images of this host alone. It is spelled as policies spell it; docker-hub,
	// github and quay need none.
	Host string
	// Secret is what the source signs or sends with. GitLab's signing tokens
	// start with whsec_.
	Secret string
	// Header is the request header that has the secret, where the source lets
	// its user choose one; Authorization if empty.
	Header string
	// Audience and Email are of the tokens that Pub/Sub sends, for
	// artifact-registry alone.
	Audience, Email string
	// Issuer and Keys are who makes these tokens, and the URL of its public keys
	// (a JSON Web Key Set): Google's if empty.
	Issuer, Keys string
}

// pathShape leaves no room for two spellings of one path.
var pathShape = regexp.MustCompile(`^(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$`)

// route is an Endpoint as checked.
type route struct {
	source Source
	kind   kind
	host   string
	proof  proof
}

// newRoute checks an endpoint. No error shows a secret, or a path that may be one.
func newRoute(e Endpoint) (*route, error) {
	kind, found := kinds[e.Source]
	if !found {
		return nil, fmt.Errorf("source %q is unknown: it is one of %s", e.Source, strings.Join(Sources(), ", "))
	}
	if !pathShape.MatchString(e.Path) {
		return nil, errors.New("path has to start with / and have letters, digits, -, _ and . between slashes")
	}
	host, err := hostFor(e, kind)
	if err != nil {
		return nil, err
	}
	proof, err := newProof(e, kind)
	if err != nil {
		return nil, err
	}
	return &route{source: e.Source, kind: kind, host: host, proof: proof}, nil
}

// hostFor gives the canonical host.
func hostFor(e Endpoint, kind kind) (string, error) {
	named := e.Host
	if named == "" {
		named = kind.host
	}
	if named == "" {
		return "", errors.New("host is missing: name the registry that the events are about, as in ghcr.io or registry.example.com:5000")
	}
	image, err := registry.Canonical(named + "/x/x")
	host, isHost := strings.CutSuffix(image, "/x/x")
	if err != nil || !isHost || strings.Contains(host, "/") {
		return "", fmt.Errorf("host %q is no HOST[:PORT] of a registry", e.Host)
	}
	if e.Source == DockerHub && host != dockerHub {
		return "", fmt.Errorf("host %q is not docker.io, which is all that Docker Hub tells of: leave host out", e.Host)
	}
	return host, nil
}

// newProof checks that an endpoint has what its source verifies with, and nothing
// else, so that nobody relies on a secret that is not looked at.
func newProof(e Endpoint, kind kind) (proof, error) {
	switch {
	case e.Header != "" && !kind.header:
		return nil, fmt.Errorf("header is not for %s, which fixes where its secret is", e.Source)
	case !httpguts.ValidHeaderFieldName(e.header()):
		return nil, fmt.Errorf("header %q is no name of a header", e.Header)
	case kind.secret != identified && e.Audience+e.Email+e.Issuer+e.Keys != "":
		return nil, fmt.Errorf("audience, email, issuer and keys are not for %s", e.Source)
	case kind.secret == identified:
		return newIdentity(e)
	case kind.secret == unsigned && e.Secret != "":
		return nil, fmt.Errorf("%s signs nothing, so a secret is of no use: its path has to be one that nobody can guess", e.Source)
	case kind.secret == unsigned, kind.secret == maySign && e.Secret == "":
		return pathProof{}, checkUnguessable(e.Path)
	case e.Secret == "":
		return nil, fmt.Errorf("the secret is missing: %s shows with it who it is", e.Source)
	case len(e.Secret) < leastSecret:
		return nil, fmt.Errorf("the secret has less than %d characters: make one with `openssl rand -hex 32`", leastSecret)
	}
	return kind.proof(e)
}

func checkUnguessable(path string) error {
	last := path[strings.LastIndexByte(path, '/')+1:]
	letters := []byte(last)
	slices.Sort(letters)
	if len(last) < leastUnguessable || len(slices.Compact(letters)) < leastDistinct {
		return fmt.Errorf("without a secret the path is all that keeps strangers out: its last part needs at least %d random characters, as `openssl rand -hex 32` makes", leastUnguessable)
	}
	return nil
}

// header is where the secret is.
func (e Endpoint) header() string {
	if e.Header == "" {
		return "Authorization"
	}
	return textproto.CanonicalMIMEHeaderKey(e.Header)
}

// checkKeysURL wants TLS, but for a server on the same machine.
func checkKeysURL(name, value string) error {
	u, err := url.Parse(value)
	if err == nil && u.User == nil && u.Host != "" {
		if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost") {
			return nil
		}
	}
	return fmt.Errorf("%s has to be a URL that starts with https:// and has no password in it", name)
}

// hidden is the key of a path: looking it up takes no time that tells of paths.
func hidden(path string) [sha256.Size]byte { return sha256.Sum256([]byte(path)) }

// allow is the answer to a wrong method.
func (k kind) allow() string {
	if k.handshake {
		return http.MethodPost + ", " + http.MethodOptions
	}
	return http.MethodPost
}
