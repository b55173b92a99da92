// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile/credentials"
	"github.com/pintle-dev/pintle/registry"
)

// A registry that wants a login, and the Secret that has it: wrong, then right.
func TestARealRegistry(t *testing.T) {
	host := parts.Registry(t, parts.RegistryOptions{Username: "ann", Password: "s3cret"})
	right := remote.WithAuth(&authn.Basic{Username: "ann", Password: "s3cret"})
	images.PushImage(t, host, "acme/podinfo", "1.0.0", images.Image{Seed: "s"}, right)
	api := cluster(pullSecret("pull", fmt.Sprintf(`{"%s/acme":%s}`, host, auth("ann", "old"))))
	ask := func() ([]string, error) {
		t.Helper()
		login, err := credentials.Registry(t.Context(), api, "prod", pull())
		if err != nil {
			t.Fatal(err)
		}
		client := registry.New(registry.Options{PlainHTTP: []string{host}, Keychain: login.Keychain, RootCAs: login.RootCAs})
		return client.Pass().Tags(t.Context(), host+"/acme/podinfo")
	}
	var refused *registry.Error
	if _, err := ask(); !errors.As(err, &refused) || refused.Kind != registry.Unauthorized {
		t.Errorf("got %v, want Unauthorized", err)
	}
	if err := api.Update(t.Context(), pullSecret("pull", fmt.Sprintf(`{"%s/acme":%s}`, host, auth("ann", "s3cret")))); err != nil {
		t.Fatal(err)
	}
	got, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1.0.0"}, got); diff != "" {
		t.Error(diff)
	}
}

// Of two pull secrets for one registry, the first is out of date.
func TestARealRegistryAndTwoSecrets(t *testing.T) {
	host := parts.Registry(t, parts.RegistryOptions{Username: "ann", Password: "s3cret"})
	right := remote.WithAuth(&authn.Basic{Username: "ann", Password: "s3cret"})
	images.PushImage(t, host, "acme/podinfo", "1.0.0", images.Image{Seed: "s"}, right)
	secret := func(name, password string) *corev1.Secret {
		return pullSecret(name, fmt.Sprintf(`{%q:%s}`, host, auth("ann", password)))
	}
	api := cluster(account("default", "old", "new"), secret("old", "old"), secret("new", "s3cret"))
	login, err := credentials.Registry(t.Context(), api, "prod", &v1alpha1.RegistryAccess{ServiceAccountName: "default"})
	if err != nil {
		t.Fatal(err)
	}
	var answers []int
	client := registry.New(registry.Options{PlainHTTP: []string{host}, Keychain: login.Keychain, Observe: func(_ string, code int) { answers = append(answers, code) }})
	for range 2 {
		pass := client.Pass()
		if _, err := pass.Tags(t.Context(), host+"/acme/podinfo"); err != nil {
			t.Error(err)
		}
		if _, err := pass.Digest(t.Context(), host+"/acme/podinfo", "1.0.0"); err != nil {
			t.Error(err)
		}
	}
	want := []int{401, 401, 200, 200, 200, 200} // the ping, the old login, and the new one
	if diff := cmp.Diff(want, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// A registry whose certificate no authority of the system signed.
func TestAnAuthorityOfASecret(t *testing.T) {
	server := httptest.NewUnstartedServer(inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0))))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	host := server.Listener.Addr().String()
	images.PushImage(t, host, "acme/podinfo", "1.0.0", images.Image{Seed: "s"}, remote.WithTransport(server.Client().Transport))
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for _, access := range []*v1alpha1.RegistryAccess{nil, {CASecretRef: &v1alpha1.LocalReference{Name: "ca"}}} {
		login, err := credentials.Registry(t.Context(), cluster(opaque("ca", map[string]string{"ca.crt": ca})), "prod", access)
		if err != nil {
			t.Fatal(err)
		}
		client := registry.New(registry.Options{Keychain: login.Keychain, RootCAs: login.RootCAs})
		_, err = client.Pass().Tags(t.Context(), host+"/acme/podinfo")
		if trusted := access != nil; trusted != (err == nil) {
			t.Errorf("with the authority %v: %v", trusted, err)
		}
	}
}
