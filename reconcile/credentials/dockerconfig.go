// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// The errors of this file complete "its key .dockerconfigjson …". None repeats
// the text of a JSON decoder, which quotes what it reads.
var (
	errMissing  = errors.New("is missing or empty: make the Secret with `kubectl create secret docker-registry`")
	errNoAuths  = errors.New("has no \"auths\": make the Secret with `kubectl create secret docker-registry`")
	errNoLogins = errors.New("names registries without a login: where `docker login` uses a credential store, " +
		"its configuration holds no password; make the Secret with `kubectl create secret docker-registry`")
	errWrongShape = errors.New("is no configuration that `docker login` writes: make the Secret with `kubectl create secret docker-registry`")
)

// parseDockerConfig reads a config.json of Docker, of which only auths counts.
func parseDockerConfig(content []byte) (keyring, error) {
	var config struct {
		Auths *auths `json:"auths"`
	}
	if err := decode(content, &config); err != nil {
		return nil, err
	}
	if config.Auths == nil {
		return nil, errNoAuths
	}
	return config.Auths.logins()
}

// parseDockercfg reads a .dockercfg, the older form, which is the auths alone.
func parseDockercfg(content []byte) (keyring, error) {
	var a auths
	if err := decode(content, &a); err != nil {
		return nil, err
	}
	return a.logins()
}

func decode(content []byte, into any) error {
	if len(content) == 0 {
		return errMissing
	}
	err := json.Unmarshal(content, into)
	var syntax *json.SyntaxError
	var known *entryError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return fmt.Errorf("is no JSON: the fault is at its byte %d", syntax.Offset)
	case errors.As(err, &known):
		return known
	default:
		return errWrongShape
	}
}

// auths are the entries in their order, which a map would lose.
type auths []entry

// logins leaves out entries without one; if all are, somebody meant otherwise.
func (a auths) logins() (keyring, error) {
	var ring keyring
	for _, e := range a {
		if e.login != (authn.AuthConfig{}) {
			ring = append(ring, e)
		}
	}
	if len(a) > 0 && len(ring) == 0 {
		return nil, errNoLogins
	}
	return ring, nil
}

// entryError is about one entry, counted from 1; not by its name, which may be a
// misplaced secret.
type entryError struct {
	number int
	text   string
}

func (e *entryError) Error() string {
	return fmt.Sprintf("has an entry, number %d, %s", e.number, e.text)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *auths) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return errWrongShape
	}
	for decoder.More() {
		number := len(*a) + 1
		address, err := decoder.Token()
		if err != nil {
			return err
		}
		name, _ := address.(string)
		e, ok := newEntry(name)
		if !ok {
			return &entryError{number, "whose name is no address of a registry: write it as in ghcr.io or ghcr.io/acme"}
		}
		// The library lets auth win over username and password, as Docker and the
		// kubelet do.
		if err := decoder.Decode(&e.login); err != nil {
			return &entryError{number, "that can't be read: auth is the base64 of user:password, and each of its values is a string"}
		}
		e.login.Auth = ""
		if e.login.Username != "" || e.login.Password != "" {
			e.login.Auth = base64.StdEncoding.EncodeToString([]byte(e.login.Username + ":" + e.login.Password))
		}
		*a = append(*a, e)
	}
	return nil
}

// newEntry reads the name of an entry: HOST[:PORT][/PATH], with or without
// https:// in front.
func newEntry(name string) (entry, bool) {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	host, below, _ := strings.Cut(name, "/")
	host = canonicalHost(host)
	if _, err := path.Match(host, ""); err != nil || host == "" || strings.ContainsAny(host, " \t\r\n@#%\"<>") {
		return entry{}, false
	}
	below = strings.Trim(below, "/")
	for _, version := range []string{"v1", "v2"} { // of the API: https://index.docker.io/v1/
		if rest, cut := strings.CutPrefix(below+"/", version+"/"); cut {
			below = strings.TrimSuffix(rest, "/")
			break
		}
	}
	return entry{host: host, path: below}, true
}
