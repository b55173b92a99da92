// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

var numbers = regexp.MustCompile(`\d+`)

// FuzzDockerConfig checks that the parser accepts no login that the library reads
// otherwise, and that its errors are of a fixed set, numbers aside, so that none
// can hold a secret.
func FuzzDockerConfig(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"auths":{}}`, `{"auths":null}`, `{"auths":[]}`, `{"auths":{"ghcr.io":{}}}`,
		`{"auths":{"ghcr.io":{"auth":"YTpi"},"https://index.docker.io/v1/":{"username":"a","password":"b"}}}`,
		`{"auths":{"*.example.com:5000/acme":{"identitytoken":"t","auth":"YTo="},"[x":{"registrytoken":"t"}}}`,
		`{"auths":{"ghcr.io":{"auth":"!"}}}`, `{"auths":{"ghcr.io":{"password":1}}}`, `{"auths":{"a@b":null}}`, `{"auths":{"":1}}`,
	} {
		f.Add([]byte(seed))
	}
	known := []string{errMissing.Error(), errNoAuths.Error(), errNoLogins.Error(), errWrongShape.Error(), "is no JSON: the fault is at its byte N",
		"has an entry, number N, whose name is no address of a registry: write it as in ghcr.io or ghcr.io/acme",
		"has an entry, number N, that can't be read: auth is the base64 of user:password, and each of its values is a string"}
	image, err := name.NewRepository("ghcr.io/acme/podinfo")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		ring, err := parseDockerConfig(content)
		if err != nil {
			text := numbers.ReplaceAllString(err.Error(), "N")
			if !slices.ContainsFunc(known, func(k string) bool { return numbers.ReplaceAllString(k, "N") == text }) {
				t.Errorf("an unknown error: %q", text)
			}
			return
		}
		var oracle struct {
			Auths map[string]authn.AuthConfig `json:"auths"`
		}
		if err := json.Unmarshal(content, &oracle); err != nil {
			t.Fatalf("the library reads it not: %v", err)
		}
		for _, want := range oracle.Auths {
			found := slices.ContainsFunc(ring, func(e entry) bool {
				got := e.login
				got.Auth = want.Auth
				return got == want
			})
			want.Auth = ""
			if !found && want != (authn.AuthConfig{}) {
				t.Error("a login is lost, or changed")
			}
		}
		if _, err := (keyrings{ring}).Resolve(image); err != nil {
			t.Error(err)
		}
	})
}
