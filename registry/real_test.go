// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/registry"
)

func TestDistributionsRegistry(t *testing.T) {
	host := parts.Registry(t, parts.RegistryOptions{})
	image := host + "/acme/podinfo"
	single := images.PushImage(t, host, "acme/podinfo", "1.0.0", images.Image{Seed: "s", Created: day(7)})
	index := images.PushImage(t, host, "acme/podinfo", "2.0.0", multi)

	pass := plainClient(host).Pass()
	tags, err := pass.Tags(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.0.0", "2.0.0"}, tags); diff != "" {
		t.Error(diff)
	}
	for reference, want := range map[string]string{"1.0.0": single, "2.0.0": index, index: index} {
		if got, err := pass.Digest(t.Context(), image, reference); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", reference, got, err, want)
		}
	}
	for reference, want := range map[string]int{"1.0.0": 7, "2.0.0": 3, single: 7} {
		if got, err := pass.Created(t.Context(), image, reference); err != nil || !got.Equal(day(want)) {
			t.Errorf("%s: got %v, %v, want %v", reference, got, err, day(want))
		}
	}

	_, err = pass.Tags(t.Context(), host+"/acme/none")
	wantError(t, err, registry.NotFound)
	_, err = pass.Digest(t.Context(), image, "9.9.9")
	wantError(t, err, registry.NotFound, "cannot resolve "+image+":9.9.9")
	_, err = pass.Digest(t.Context(), image, sha256Zero)
	wantError(t, err, registry.NotFound)
	_, err = plainClient().Pass().Tags(t.Context(), image)
	wantError(t, err, registry.Unavailable, "--plain-http "+host)
}

func TestDistributionsRegistryPages(t *testing.T) {
	host := parts.Registry(t, parts.RegistryOptions{})
	var want []string
	for i := range 1200 {
		want = append(want, fmt.Sprintf("v%04d", i))
	}
	images.Push(t, host, "many", want[0], "same")
	tagAs(t, host+"/many", want[0], want[1:]...)
	got, err := plainClient(host).Pass().Tags(t.Context(), host+"/many")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The login is found where `docker login` leaves it.
func TestDistributionsRegistryWithALogin(t *testing.T) {
	host := parts.Registry(t, parts.RegistryOptions{Username: "ann", Password: secret})
	right := remote.WithAuth(&authn.Basic{Username: "ann", Password: secret})
	want := images.PushImage(t, host, "x", "1.0", images.Image{Seed: "s"}, right)

	folder := t.TempDir()
	t.Setenv("DOCKER_CONFIG", folder)
	client := registry.New(registry.Options{PlainHTTP: []string{host}})
	for _, c := range []struct{ name, config string }{
		{"nobody", `{}`},
		{"somebody else", dockerConfig(host, "wrong-"+secret)},
		{"elsewhere", dockerConfig("elsewhere.example", secret)},
		{"a broken configuration", `{"auths": "` + secret + `"`},
	} {
		writeConfig(t, folder, c.config)
		_, err := client.Pass().Tags(t.Context(), host+"/x")
		wantError(t, err, registry.Unauthorized)
		wantNoSecretIn(t, err)
		if c.name == "nobody" && !strings.Contains(err.Error(), "log in with `docker login "+host+"`") {
			t.Errorf("the message is %v", err)
		}
	}
	writeConfig(t, folder, dockerConfig(host, secret))
	pass := client.Pass() // of the same client: no restart
	if tags, err := pass.Tags(t.Context(), host+"/x"); err != nil || len(tags) != 1 {
		t.Errorf("got %v, %v", tags, err)
	}
	if got, err := pass.Digest(t.Context(), host+"/x", "1.0"); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func dockerConfig(host, password string) string {
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte("ann:"+password)))
}

func writeConfig(t *testing.T, folder, config string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}
