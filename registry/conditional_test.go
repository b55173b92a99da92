// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

// What registries do with If-None-Match, as docs/registries.md tells it: a list has no
// ETag, so that no list can be asked for conditionally. If this fails, one can.
func TestRegistriesHaveNoETagForLists(t *testing.T) {
	plain := parts.Registry(t, parts.RegistryOptions{})
	images.PushImage(t, plain, "ada/x", "1.0", images.Image{Seed: "s"})
	forge := parts.Gitea(t)
	images.PushImage(t, forge.Host, "ada/x", "1.0", images.Image{Seed: "s"}, remote.WithAuth(&authn.Basic{Username: forge.Username, Password: forge.Password}))

	type conditional struct{ ETag, Unchanged bool }
	type support struct{ List, Manifest, Head conditional }
	got := map[string]support{}
	for name, r := range map[string]struct{ host, token string }{"distribution": {plain, ""}, "Gitea": {forge.Host, giteaToken(t, forge)}} {
		try := func(method, path string) conditional {
			_, header := conditionally(t, method, "http://"+r.host+"/v2/ada/x/"+path, r.token, "")
			tag := header.Get("ETag")
			tagged := tag != ""
			if tag == "" {
				tag = `"` + header.Get("Docker-Content-Digest") + `"`
			}
			status, _ := conditionally(t, method, "http://"+r.host+"/v2/ada/x/"+path, r.token, tag)
			return conditional{tagged, status == http.StatusNotModified}
		}
		got[name] = support{try("GET", "tags/list"), try("GET", "manifests/1.0"), try("HEAD", "manifests/1.0")}
	}
	want := map[string]support{
		"distribution": {Manifest: conditional{true, true}, Head: conditional{true, true}},
		"Gitea":        {Manifest: conditional{true, false}, Head: conditional{true, false}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("support (-want +got):\n%s", diff)
	}
}

// conditionally sends a request and gives the answer without its body.
func conditionally(t *testing.T, method, url, token, none string) (status int, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if none != "" {
		req.Header.Set("If-None-Match", none)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNotModified {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
	return resp.StatusCode, resp.Header
}

func giteaToken(t *testing.T, forge *parts.Forge) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, forge.URL+"/v2/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(forge.Username, forge.Password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Token == "" {
		t.Fatalf("no token: %v", err)
	}
	return answer.Token
}
