// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/registry"
)

// tokenRegistry is distribution's registry with a token service, and two images.
func tokenRegistry(t *testing.T) (string, *parts.Tokens) {
	t.Helper()
	tokens := parts.NewTokens(t, "ann", secret, "r3fresh", 5*time.Minute)
	host := parts.Registry(t, parts.RegistryOptions{Tokens: tokens})
	right := remote.WithAuth(&authn.Basic{Username: "ann", Password: secret})
	for _, repository := range []string{"acme/x", "acme/y"} {
		images.PushImage(t, host, repository, "1.0", images.Image{Seed: repository}, right)
	}
	tokens.Asked()
	return host, tokens
}

// However many ask, in whatever passes: one token for each repository.
func TestDistributionsRegistryWithTokens(t *testing.T) {
	host, tokens := tokenRegistry(t)
	client := registry.New(registry.Options{PlainHTTP: []string{host, tokens.Host}, Keychain: ann})
	for range 3 {
		pass := client.Pass()
		var policies sync.WaitGroup
		for _, repository := range []string{"acme/x", "acme/y"} {
			for range 10 {
				policies.Go(func() {
					if tags, err := pass.Tags(t.Context(), host+"/"+repository); err != nil || len(tags) != 1 {
						t.Errorf("got %v, %v", tags, err)
					}
					if _, err := pass.Digest(t.Context(), host+"/"+repository, "1.0"); err != nil {
						t.Error(err)
					}
				})
			}
		}
		policies.Wait()
	}
	asked := map[string]int{}
	for _, request := range tokens.Asked() {
		asked[request]++
	}
	if diff := cmp.Diff(map[string]int{"GET repository:acme/x:pull": 1, "GET repository:acme/y:pull": 1}, asked); diff != "" {
		t.Errorf("requests for tokens (-want +got):\n%s", diff)
	}
	_, err := registry.New(registry.Options{PlainHTTP: []string{host, tokens.Host}, Keychain: login{"ann", "wrong"}}).Pass().Tags(t.Context(), host+"/acme/x")
	wantError(t, err, registry.Unauthorized)
	wantNoSecretIn(t, err)
}

// The forms in which a Docker configuration has a login, each used at the registry.
func TestDockerConfigurations(t *testing.T) {
	host, tokens := tokenRegistry(t)
	folder, programs := t.TempDir(), t.TempDir()
	t.Setenv("DOCKER_CONFIG", folder)
	t.Setenv("PATH", programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	for program, answer := range map[string]string{
		"password": fmt.Sprintf(`{"ServerURL":%q,"Username":"ann","Secret":%q}`, host, secret),
		"token":    fmt.Sprintf(`{"ServerURL":%q,"Username":"<token>","Secret":"r3fresh"}`, host),
		"wrong":    fmt.Sprintf(`{"ServerURL":%q,"Username":"ann","Secret":"wrong"}`, host),
	} {
		// docker-credential-helpers: "get" has the address on standard input.
		script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = get ] && read -r address; [ \"$address\" = %s ] || { echo credentials not found in native keychain; exit 1; }\necho '%s'\n", host, answer)
		if err := os.WriteFile(filepath.Join(programs, "docker-credential-"+program), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	broken := "#!/bin/sh\necho '" + secret + "'; exit 1\n"
	if err := os.WriteFile(filepath.Join(programs, "docker-credential-broken"), []byte(broken), 0o700); err != nil {
		t.Fatal(err)
	}
	const post, get = "POST repository:acme/x:pull", "GET repository:acme/x:pull"
	wrong := `"auth":"` + "YW5uOndyb25n" + `"` // ann:wrong
	for name, c := range map[string]struct {
		config string
		want   []string // requests for a token
		opens  bool
	}{
		"auth":                       {dockerConfig(host, secret), []string{get}, true},
		"username and password":      {fmt.Sprintf(`{"auths":{%q:{"username":"ann","password":%q}}}`, host, secret), []string{get}, true},
		"identitytoken":              {fmt.Sprintf(`{"auths":{%q:{"identitytoken":"r3fresh"}}}`, host), []string{post}, true},
		"a wrong identitytoken":      {fmt.Sprintf(`{"auths":{%q:{"identitytoken":"wrong"}}}`, host), []string{post}, false},
		"the image's path":           {fmt.Sprintf(`{"auths":{%q:{%s},%q:{"username":"ann","password":%q}}}`, host, wrong, host+"/acme/x", secret), []string{get}, true},
		"another image's path":       {fmt.Sprintf(`{"auths":{%q:{"username":"ann","password":%q}}}`, host+"/acme/y", secret), []string{get}, true}, // Docker reads it as the host's
		"another host":               {dockerConfig("elsewhere.example", secret), []string{get}, false},
		"a helper for all":           {`{"credsStore":"password"}`, []string{get}, true},
		"a helper for the registry":  {fmt.Sprintf(`{"credHelpers":{%q:"password"}}`, host), []string{get}, true},
		"a helper with a token":      {fmt.Sprintf(`{"credHelpers":{%q:"token"}}`, host), []string{post}, true},
		"a helper that is wrong":     {fmt.Sprintf(`{"credHelpers":{%q:"wrong"}}`, host), []string{get}, false},
		"a helper for another":       {`{"credHelpers":{"ghcr.io":"password"}}`, []string{get}, false},
		"a helper that is broken":    {fmt.Sprintf(`{"credHelpers":{%q:"broken"}}`, host), nil, false},
		"a helper that is not there": {fmt.Sprintf(`{"credHelpers":{%q:"absent"}}`, host), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			writeConfig(t, folder, c.config)
			client := registry.New(registry.Options{PlainHTTP: []string{host, tokens.Host}})
			for range 2 {
				_, err := client.Pass().Tags(t.Context(), host+"/acme/x")
				if c.opens && err != nil {
					t.Error(err)
				}
				if !c.opens {
					wantError(t, err, registry.Unauthorized)
					wantNoSecretIn(t, err)
					break
				}
			}
			if diff := cmp.Diff(c.want, tokens.Asked()); diff != "" {
				t.Errorf("requests for tokens (-want +got):\n%s", diff)
			}
		})
	}
}
