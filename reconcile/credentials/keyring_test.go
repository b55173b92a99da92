// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile/credentials"
	"github.com/pintle-dev/pintle/registry"
)

// auth is the form in which `docker login` and kubectl write a login.
func auth(user, password string) string {
	return fmt.Sprintf(`{"auth":%q}`, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// basic is what such a login comes out as.
func basic(user, password string) authn.AuthConfig {
	return authn.AuthConfig{Username: user, Password: password, Auth: base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
}

// loginFor is what the registry client would log in with.
func loginFor(t *testing.T, login credentials.Login, image string) authn.AuthConfig {
	t.Helper()
	repository, err := name.NewRepository(image)
	if err != nil {
		t.Fatal(err)
	}
	authenticator, err := login.Keychain.Resolve(repository)
	if err != nil {
		t.Fatal(err)
	}
	got, err := authenticator.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	return *got
}

func TestWhichLoginIsForAnImage(t *testing.T) {
	nobody := authn.AuthConfig{}
	a, b := auth("a", "pa"), auth("b", "pb")
	ofA, ofB := basic("a", "pa"), basic("b", "pb")
	for name, c := range map[string]struct {
		auths string
		want  map[string]authn.AuthConfig
	}{
		"a host": {`{"ghcr.io":` + a + `}`, map[string]authn.AuthConfig{
			"ghcr.io/x": ofA, "ghcr.io/acme/x": ofA, "quay.io/x": nobody, "x.ghcr.io/x": nobody, "ghcr.io.evil.example/x": nobody, "ghcr.io:8443/x": nobody, "nginx": nobody,
		}},
		"a URL":                {`{"https://ghcr.io/":` + a + `}`, map[string]authn.AuthConfig{"ghcr.io/acme/x": ofA, "quay.io/x": nobody}},
		"a URL of the API":     {`{"https://ghcr.io/v2/":` + a + `}`, map[string]authn.AuthConfig{"ghcr.io/acme/x": ofA, "ghcr.io/v2/x": ofA}},
		"without its slash":    {`{"http://ghcr.io/v1":` + a + `}`, map[string]authn.AuthConfig{"ghcr.io/acme/x": ofA}},
		"capitals":             {`{"GHCR.io":` + a + `}`, map[string]authn.AuthConfig{"ghcr.io/acme/x": ofA}},
		"a port":               {`{"r.example:5000":` + a + `}`, map[string]authn.AuthConfig{"r.example:5000/x": ofA, "r.example/x": nobody, "r.example:5001/x": nobody}},
		"an address":           {`{"[::1]:5000":` + a + `,"127.0.0.1:5000":` + b + `}`, map[string]authn.AuthConfig{"127.0.0.1:5000/x": ofB}},
		"a path":               {`{"ghcr.io/acme":` + a + `}`, map[string]authn.AuthConfig{"ghcr.io/acme/x": ofA, "ghcr.io/acme/x/y": ofA, "ghcr.io/acme": ofA, "ghcr.io/acme-corp/x": nobody, "ghcr.io/acmecorp": nobody, "ghcr.io/x/acme": nobody, "ghcr.io/x": nobody}},
		"a path with a slash":  {`{"https://ghcr.io/v2/acme/":` + a + `}`, map[string]authn.AuthConfig{"ghcr.io/acme/x": ofA, "ghcr.io/x": nobody}},
		"the longest path":     {`{"ghcr.io":` + a + `,"ghcr.io/acme/x":` + b + `,"ghcr.io/acme":` + auth("c", "pc") + `}`, map[string]authn.AuthConfig{"ghcr.io/acme/x": ofB, "ghcr.io/acme/x/y": ofB, "ghcr.io/acme/y": basic("c", "pc"), "ghcr.io/z": ofA}},
		"a wildcard":           {`{"*.example.com":` + a + `}`, map[string]authn.AuthConfig{"r.example.com/x": ofA, "example.com/x": nobody, "a.r.example.com/x": nobody, "r.example.org/x": nobody, "r.example.com:5000/x": nobody}},
		"wildcards":            {`{"r-?.*.example.com:5000/acme":` + a + `}`, map[string]authn.AuthConfig{"r-1.eu.example.com:5000/acme/x": ofA, "r-1.eu.example.com:5000/x": nobody, "r-12.eu.example.com:5000/acme/x": nobody}},
		"exact first":          {`{"*.example.com":` + a + `,"r.example.com":` + b + `}`, map[string]authn.AuthConfig{"r.example.com/x": ofB, "s.example.com/x": ofA}},
		"path before host":     {`{"*.example.com/acme":` + a + `,"r.example.com":` + b + `}`, map[string]authn.AuthConfig{"r.example.com/acme/x": ofA, "r.example.com/x": ofB}},
		"twice":                {`{"https://ghcr.io":` + a + `,"ghcr.io":` + b + `}`, map[string]authn.AuthConfig{"ghcr.io/x": ofA}},
		"Docker Hub's URL":     {`{"https://index.docker.io/v1/":` + a + `}`, hub(ofA)},
		"Docker Hub":           {`{"docker.io":` + a + `}`, hub(ofA)},
		"Docker Hub's index":   {`{"index.docker.io":` + a + `}`, hub(ofA)},
		"Docker Hub's machine": {`{"https://registry-1.docker.io":` + a + `}`, hub(ofA)},
		"a user of Docker Hub": {`{"docker.io/acme":` + a + `}`, map[string]authn.AuthConfig{"acme/x": ofA, "docker.io/acme/x": ofA, "nginx": nobody}},
		"no login":             {`{"ghcr.io":{},"quay.io":` + a + `}`, map[string]authn.AuthConfig{"ghcr.io/x": nobody, "quay.io/x": ofA}},
		"nothing":              {`{}`, map[string]authn.AuthConfig{"ghcr.io/x": nobody}},
	} {
		t.Run(name, func(t *testing.T) {
			login := mustRegistry(t, pullSecret("pull", c.auths))
			got := map[string]authn.AuthConfig{}
			for image := range c.want {
				got[image] = loginFor(t, login, image)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("logins (-want +got):\n%s", diff)
			}
		})
	}
}

// hub is a login for all of Docker Hub and nothing else.
func hub(login authn.AuthConfig) map[string]authn.AuthConfig {
	return map[string]authn.AuthConfig{
		"nginx": login, "acme/x": login, "docker.io/library/nginx": login, "index.docker.io/acme/x": login, "registry-1.docker.io/acme/x": login,
		"ghcr.io/x": {}, "docker.example/x": {},
	}
}

// Where a registry refuses a login, the next that fits has its turn.
func TestTheOrderOfLogins(t *testing.T) {
	api := cluster(
		pullSecret("own", `{"ghcr.io":`+auth("own", "p")+`,"ghcr.io/acme":`+auth("own-path", "p")+`,"quay.io":`+auth("other", "p")+`}`),
		pullSecret("one", `{"*.io":`+auth("wild", "p")+`,"ghcr.io":`+auth("one", "p")+`}`),
		pullSecret("two", `{"ghcr.io":`+auth("two", "p")+`,"ghcr.io/acme":`+auth("two-path", "p")+`,"ghcr.io/other":`+auth("other", "p")+`}`),
		account("default", "one", "two"))
	access := &v1alpha1.RegistryAccess{SecretRef: &v1alpha1.LocalReference{Name: "own"}, ServiceAccountName: "default"}
	login, err := credentials.Registry(t.Context(), api, "prod", access)
	if err != nil {
		t.Fatal(err)
	}
	repository, err := name.NewRepository("ghcr.io/acme/x")
	if err != nil {
		t.Fatal(err)
	}
	all, err := login.Keychain.(registry.Logins).ResolveAll(t.Context(), repository)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, authenticator := range all {
		config, err := authenticator.Authorization()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, config.Username)
	}
	if diff := cmp.Diff([]string{"own-path", "own", "two-path", "one", "two", "wild"}, got); diff != "" {
		t.Errorf("logins (-want +got):\n%s", diff)
	}
}

func TestFormsOfALogin(t *testing.T) {
	for name, c := range map[string]struct {
		entry string
		want  authn.AuthConfig
	}{
		"auth":                        {auth("a", "pa"), basic("a", "pa")},
		"a colon in the password":     {auth("a", "p:a"), basic("a", "p:a")},
		"unpadded":                    {`{"auth":"YTpwYXM"}`, basic("a", "pas")},
		"username and password":       {`{"username":"a","password":"pa","email":"a@example.com"}`, basic("a", "pa")},
		"auth beats them":             {`{"username":"b","password":"pb","auth":"YTpwYQ=="}`, basic("a", "pa")},
		"an identity token":           {`{"auth":"MDAwOg==","identitytoken":"it"}`, authn.AuthConfig{Username: "000", Auth: "MDAwOg==", IdentityToken: "it"}},
		"an identity token by itself": {`{"identitytoken":"it"}`, authn.AuthConfig{IdentityToken: "it"}},
		"a registry token":            {`{"registrytoken":"rt"}`, authn.AuthConfig{RegistryToken: "rt"}},
		"a password alone":            {`{"auth":"OnBh"}`, basic("", "pa")},
	} {
		t.Run(name, func(t *testing.T) {
			login := mustRegistry(t, pullSecret("pull", `{"ghcr.io":`+c.entry+`}`))
			if diff := cmp.Diff(c.want, loginFor(t, login, "ghcr.io/x")); diff != "" {
				t.Errorf("login (-want +got):\n%s", diff)
			}
		})
	}
}
