// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/githubapp"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/reconcile/credentials"
)

// marker stands in Secrets where no error may show it.
const marker = "m4rker"

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "prod", Name: name} }

func pullSecret(name, auths string) *corev1.Secret {
	return configSecret(name, `{"auths":`+auths+`}`)
}

func configSecret(name, config string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: meta(name), Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)}}
}

func opaque(name string, data map[string]string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: meta(name), Data: map[string][]byte{}}
	for key, value := range data {
		secret.Data[key] = []byte(value)
	}
	return secret
}

func account(name string, pulls ...string) *corev1.ServiceAccount {
	a := &corev1.ServiceAccount{ObjectMeta: meta(name)}
	for _, pull := range pulls {
		a.ImagePullSecrets = append(a.ImagePullSecrets, corev1.LocalObjectReference{Name: pull})
	}
	return a
}

func cluster(objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithObjects(objects...).Build()
}

// pull names the Secret "pull".
func pull() *v1alpha1.RegistryAccess {
	return &v1alpha1.RegistryAccess{SecretRef: &v1alpha1.LocalReference{Name: "pull"}}
}

func mustRegistry(t *testing.T, secret *corev1.Secret) credentials.Login {
	t.Helper()
	login, err := credentials.Registry(t.Context(), cluster(secret), "prod", pull())
	if err != nil {
		t.Fatal(err)
	}
	return login
}

// wantError checks a whole error and that its text has these words and no secret.
func wantError(t *testing.T, err error, want credentials.Error, says ...string) {
	t.Helper()
	got, ok := errors.AsType[*credentials.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	if diff := cmp.Diff(want, *got, cmpopts.IgnoreFields(credentials.Error{}, "Err")); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the message is %q, want %q in it", err, text)
		}
	}
	for err := err; err != nil; err = errors.Unwrap(err) {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), marker) {
			t.Errorf("the message tells a secret: %v", err)
		}
	}
}

func TestWhereLoginsComeFrom(t *testing.T) {
	legacy := &corev1.Secret{ObjectMeta: meta("legacy"), Type: corev1.SecretTypeDockercfg,
		Data: map[string][]byte{corev1.DockerConfigKey: []byte(`{"ghcr.io":` + auth("legacy", "p") + `}`)}}
	api := cluster(legacy,
		pullSecret("host", `{"ghcr.io":`+auth("host", "p")+`}`),
		pullSecret("other", `{"ghcr.io":`+auth("other", "p")+`,"quay.io":`+auth("quay", "p")+`}`),
		pullSecret("path", `{"ghcr.io/acme":`+auth("path", "p")+`}`),
		account("none"), account("unnamed", ""), account("all", "host", "other", "path", "legacy"), account("turned", "other", "host"))
	ref := func(name string) *v1alpha1.LocalReference { return &v1alpha1.LocalReference{Name: name} }
	for name, c := range map[string]struct {
		access *v1alpha1.RegistryAccess
		want   []string // users for ghcr.io/acme/x, ghcr.io/x and quay.io/x
	}{
		"nothing":                {nil, []string{"", "", ""}},
		"an empty access":        {&v1alpha1.RegistryAccess{}, []string{"", "", ""}},
		"a Secret":               {&v1alpha1.RegistryAccess{SecretRef: ref("host")}, []string{"host", "host", ""}},
		"an older Secret":        {&v1alpha1.RegistryAccess{SecretRef: ref("legacy")}, []string{"legacy", "legacy", ""}},
		"an account":             {&v1alpha1.RegistryAccess{ServiceAccountName: "all"}, []string{"path", "host", "quay"}},
		"its order":              {&v1alpha1.RegistryAccess{ServiceAccountName: "turned"}, []string{"other", "other", "quay"}},
		"an account without any": {&v1alpha1.RegistryAccess{ServiceAccountName: "none"}, []string{"", "", ""}},
		"one without a name":     {&v1alpha1.RegistryAccess{ServiceAccountName: "unnamed"}, []string{"", "", ""}},
		"both":                   {&v1alpha1.RegistryAccess{SecretRef: ref("host"), ServiceAccountName: "all"}, []string{"host", "host", "quay"}},
	} {
		t.Run(name, func(t *testing.T) {
			login, err := credentials.Registry(t.Context(), api, "prod", c.access)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, image := range []string{"ghcr.io/acme/x", "ghcr.io/x", "quay.io/x"} {
				got = append(got, loginFor(t, login, image).Username)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
			if login.RootCAs != nil {
				t.Error("it has authorities of its own")
			}
		})
	}
}

// The machine's own logins are not used, whatever it has.
func TestTheMachinesLoginsAreNotUsed(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("DOCKER_CONFIG", folder)
	writeFile(t, folder, "config.json", `{"auths":{"ghcr.io":`+auth("machine", "p")+`}}`)
	for _, access := range []*v1alpha1.RegistryAccess{nil, {ServiceAccountName: "none"}} {
		login, err := credentials.Registry(t.Context(), cluster(account("none")), "prod", access)
		if err != nil {
			t.Fatal(err)
		}
		if got := loginFor(t, login, "ghcr.io/x"); got != (authn.AuthConfig{}) {
			t.Error("it is used")
		}
	}
}

func TestKeysAreEqualForEqualContents(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	key := func(access *v1alpha1.RegistryAccess, objects ...client.Object) string {
		t.Helper()
		login, err := credentials.Registry(t.Context(), cluster(objects...), "prod", access)
		if err != nil {
			t.Fatal(err)
		}
		return login.Key
	}
	withCA := pull()
	withCA.CASecretRef = &v1alpha1.LocalReference{Name: "ca"}
	byAccount := &v1alpha1.RegistryAccess{ServiceAccountName: "default"}
	authority := opaque("ca", map[string]string{"ca.crt": ca})
	one, spaced := pullSecret("pull", `{"ghcr.io":`+auth("a", "p")+`}`), pullSecret("pull", ` { "https://ghcr.io/v2/" : {"username":"a","password":"p"} }`)

	equal := map[string][2]string{
		"nobody":         {key(nil), key(pull(), pullSecret("pull", `{}`))},
		"the same again": {key(pull(), one), key(pull(), one)},
		"other spelling": {key(pull(), one), key(pull(), spaced)},
		"by an account":  {key(pull(), one), key(byAccount, account("default", "pull"), one)},
		"an authority":   {key(withCA, one, authority), key(withCA, one, opaque("ca", map[string]string{"ca.crt": "# ours\n" + ca}))},
	}
	for name, keys := range equal {
		if keys[0] != keys[1] {
			t.Errorf("%s: the keys %s and %s are not equal", name, keys[0], keys[1])
		}
	}
	different := []string{
		key(nil), key(pull(), one), key(withCA, one, authority),
		key(pull(), pullSecret("pull", `{"ghcr.io":`+auth("a", "rotated")+`}`)),
		key(pull(), pullSecret("pull", `{"ghcr.io":`+auth("ap", "")+`}`)),
		key(pull(), pullSecret("pull", `{"ghcr.io/a":`+auth("a", "p")+`}`)),
		key(pull(), pullSecret("pull", `{"ghcr.io":{"identitytoken":"p"}}`)),
		key(pull(), pullSecret("pull", `{"ghcr.io":{"registrytoken":"p"}}`)),
		key(pull(), pullSecret("pull", `{"ghcr.io":{"auth":"YTr/"}}`)), // a password that is no UTF-8
		key(pull(), pullSecret("pull", `{"ghcr.io":{"auth":"YTr+"}}`)),
	}
	seen := map[string]int{}
	for i, key := range different {
		if before, found := seen[key]; found {
			t.Errorf("the keys %d and %d are equal", before, i)
		}
		if len(key) != 64 {
			t.Errorf("the key is %q", key)
		}
		seen[key] = i
	}
}

func TestSecretsThatGiveNoLogin(t *testing.T) {
	badAuth := `{"auths":{"ghcr.io":` + auth("a", "p") + `,"quay.io":{"auth":"` + marker + `!"}}}`
	var many []string
	for i := range 33 {
		many = append(many, fmt.Sprintf("pull-%d", i))
	}
	wrongType := configSecret("pull", `{"auths":{}}`)
	wrongType.Type = corev1.SecretTypeOpaque
	const shape = "kubectl create secret docker-registry"
	for name, c := range map[string]struct {
		object client.Object
		says   string
	}{
		"another type":                {wrongType, "it is not of the type kubernetes.io/dockerconfigjson"},
		"without its key":             {&corev1.Secret{ObjectMeta: meta("pull"), Type: corev1.SecretTypeDockerConfigJson}, "its key .dockerconfigjson is missing"},
		"no JSON":                     {configSecret("pull", marker+`{"auths"`), "its key .dockerconfigjson is no JSON: the fault is at its byte 1"},
		"JSON cut short":              {configSecret("pull", `{"auths":{"ghcr.io":{"password":"`+marker), "is no JSON"},
		"a stray character":           {configSecret("pull", `{"auths":{"ghcr.io":{"password":`+marker+`}}}`), "is no JSON: the fault is at its byte 33"},
		"a list":                      {configSecret("pull", `["`+marker+`"]`), shape},
		"a word":                      {configSecret("pull", `"`+marker+`"`), shape},
		"no auths":                    {configSecret("pull", `{"ghcr.io":`+auth("a", marker)+`}`), `has no "auths"`},
		"null":                        {configSecret("pull", `null`), `has no "auths"`},
		"auths that is a list":        {configSecret("pull", `{"auths":["`+marker+`"]}`), shape},
		"auth that is no base64":      {configSecret("pull", badAuth), "has an entry, number 2, that can't be read: auth is the base64 of user:password"},
		"auth without a colon":        {configSecret("pull", `{"auths":{"ghcr.io":{"auth":"bTRya2Vy"}}}`), "number 1"},
		"a password that is a number": {configSecret("pull", `{"auths":{"ghcr.io":{"password":4711}}}`), "number 1"},
		"an entry that is a word":     {configSecret("pull", `{"auths":{"ghcr.io":"`+marker+`"}}`), "number 1"},
		"a name that is no address":   {configSecret("pull", `{"auths":{"a:`+marker+`@ghcr.io":`+auth("a", "p")+`}}`), "number 1, whose name is no address of a registry"},
		"a name that is no pattern":   {configSecret("pull", `{"auths":{"[`+marker+`":`+auth("a", "p")+`}}`), "number 1, whose name is no address"},
		"an empty name":               {configSecret("pull", `{"auths":{"https:///":`+auth("a", "p")+`}}`), "number 1, whose name is no address"},
		"a credential store":          {configSecret("pull", `{"auths":{"ghcr.io":{}},"credsStore":"`+marker+`"}`), "credential store"},
		"too large":                   {configSecret("pull", strings.Repeat(marker, 200_000)), "larger than a Secret may be"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := credentials.Registry(t.Context(), cluster(c.object), "prod", pull())
			wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "pull", Field: "spec.registry.secretRef", Reason: credentials.Invalid},
				"cannot use Secret prod/pull, which spec.registry.secretRef names: ", c.says)
			if strings.Contains(err.Error(), "4711") {
				t.Errorf("the message tells a secret: %v", err)
			}
		})
	}
	t.Run("of an account", func(t *testing.T) {
		access := &v1alpha1.RegistryAccess{ServiceAccountName: "default"}
		api := cluster(account("default", "fine", "pull"), pullSecret("fine", `{}`), configSecret("pull", badAuth))
		_, err := credentials.Registry(t.Context(), api, "prod", access)
		wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "pull", Field: "imagePullSecrets[1] of the ServiceAccount default", Reason: credentials.Invalid})
	})
	t.Run("an older one", func(t *testing.T) {
		for _, config := range []string{"null", `{"ghcr.io":"` + marker + `"}`, marker, ""} {
			secret := &corev1.Secret{ObjectMeta: meta("pull"), Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{corev1.DockerConfigKey: []byte(config)}}
			_, err := credentials.Registry(t.Context(), cluster(secret), "prod", pull())
			wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "pull", Field: "spec.registry.secretRef", Reason: credentials.Invalid}, "its key .dockercfg ")
		}
	})
	t.Run("an account with too many", func(t *testing.T) {
		_, err := credentials.Registry(t.Context(), cluster(account("default", many...)), "prod", &v1alpha1.RegistryAccess{ServiceAccountName: "default"})
		wantError(t, err, credentials.Error{Namespace: "prod", Kind: "ServiceAccount", Name: "default", Field: "spec.registry.serviceAccountName", Reason: credentials.Invalid}, "33 imagePullSecrets")
	})
}

func TestAuthoritiesThatAreNone(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Close()
	fine := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, c := range map[string]struct {
		data map[string]string
		says string
	}{
		"no key":        {map[string]string{"tls.crt": fine}, "it has no key ca.crt"},
		"empty":         {map[string]string{"ca.crt": ""}, "its key ca.crt holds no certificate"},
		"no PEM":        {map[string]string{"ca.crt": marker}, "its key ca.crt holds no certificate"},
		"a private key": {map[string]string{"ca.crt": fine + "-----BEGIN " + marker + " KEY-----\nbTRya2Vy\n-----END " + marker + " KEY-----\n"}, "block 2 is none"},
		"no DER":        {map[string]string{"ca.crt": fine + "-----BEGIN CERTIFICATE-----\nbTRya2Vy\n-----END CERTIFICATE-----\n"}, "a certificate, number 2, that can't be read"},
		"damaged":       {map[string]string{"ca.crt": fine + "-----BEGIN CERTIFICATE-----\n" + marker + "\n"}, "of its 2 blocks of PEM only 1 can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			access := &v1alpha1.RegistryAccess{CASecretRef: &v1alpha1.LocalReference{Name: "ca"}}
			_, err := credentials.Registry(t.Context(), cluster(opaque("ca", c.data)), "prod", access)
			wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "ca", Field: "spec.registry.caSecretRef", Reason: credentials.Invalid}, c.says)
			if name == "no key" {
				return // for Git it is optional
			}
			c.data["password"] = marker
			_, err = credentials.Git(t.Context(), cluster(opaque("git", c.data)), "prod", webURL, git())
			wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "git", Field: "spec.credentials.secretRef", Reason: credentials.Invalid}, c.says)
		})
	}
}

// failing gives an error for each object.
type failing struct{ err error }

func (f failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return f.err
}

func TestObjectsThatCannotBeRead(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		err    error
		reason credentials.Reason
		says   string
	}{
		"missing": {apierrors.NewNotFound(secrets, marker), credentials.NotFound, "cannot read Secret prod/pull, which spec.registry.secretRef names: it does not exist: create it, or name another"},
		"forbidden": {apierrors.NewForbidden(secrets, "pull", errors.New(marker)), credentials.Forbidden,
			"cannot read Secret prod/pull, which spec.registry.secretRef names: Pintle may not read Secrets in the namespace prod: bind the ClusterRole pintle-credentials there: " +
				"kubectl create rolebinding pintle-credentials --namespace prod --clusterrole pintle-credentials --serviceaccount pintle-system:pintle-controller"},
		"too many requests": {apierrors.NewTooManyRequests(marker, 1), credentials.Unavailable, "cannot read Secret prod/pull, which spec.registry.secretRef names: the Kubernetes API answers TooManyRequests"},
		"an expired login":  {apierrors.NewUnauthorized(marker), credentials.Unavailable, "answers Unauthorized"},
		"an API that is down": {fmt.Errorf("%s: %w", marker, dial), credentials.Unavailable,
			"the Kubernetes API gives no answer: dial tcp: connection refused"},
		"no answer in time": {fmt.Errorf("%s: %w", marker, context.DeadlineExceeded), credentials.Unavailable, "gives no answer in time"},
		"given up":          {fmt.Errorf("%s: %w", marker, context.Canceled), credentials.Unavailable, "was given up"},
		"anything else":     {errors.New(marker), credentials.Unavailable, "gives no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := credentials.Registry(t.Context(), failing{c.err}, "prod", pull())
			got, ok := errors.AsType[*credentials.Error](err)
			want := credentials.Error{Namespace: "prod", Kind: "Secret", Name: "pull", Field: "spec.registry.secretRef", Reason: c.reason}
			if diff := cmp.Diff(&want, got, cmpopts.IgnoreFields(credentials.Error{}, "Err")); !ok || diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), marker) {
				t.Errorf("the message is %q, want %q", err, c.says)
			}
			for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
				if errors.Is(c.err, cause) != errors.Is(err, cause) {
					t.Errorf("%v is lost", cause)
				}
			}
		})
	}
	t.Run("in another namespace", func(t *testing.T) {
		_, err := credentials.Registry(t.Context(), cluster(pullSecret("pull", `{}`)), "dev", pull())
		wantError(t, err, credentials.Error{Namespace: "dev", Kind: "Secret", Name: "pull", Field: "spec.registry.secretRef", Reason: credentials.NotFound})
	})
	t.Run("a ServiceAccount", func(t *testing.T) {
		forbidden := failing{apierrors.NewForbidden(secrets, "default", nil)}
		_, err := credentials.Registry(t.Context(), forbidden, "prod", &v1alpha1.RegistryAccess{ServiceAccountName: "default"})
		wantError(t, err, credentials.Error{Namespace: "prod", Kind: "ServiceAccount", Name: "default", Field: "spec.registry.serviceAccountName", Reason: credentials.Forbidden},
			"Pintle may not read ServiceAccounts in the namespace prod")
	})
	t.Run("a pull secret of a ServiceAccount", func(t *testing.T) {
		_, err := credentials.Registry(t.Context(), cluster(account("default", "gone")), "prod", &v1alpha1.RegistryAccess{ServiceAccountName: "default"})
		wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "gone", Field: "imagePullSecrets[0] of the ServiceAccount default", Reason: credentials.NotFound},
			"cannot read Secret prod/gone, which imagePullSecrets[0] of the ServiceAccount default names: it does not exist")
	})
}

// git names the Secret "git".
func git() *v1alpha1.GitCredentials {
	return &v1alpha1.GitCredentials{SecretRef: v1alpha1.LocalReference{Name: "git"}}
}

func TestGit(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, c := range map[string]struct {
		data map[string]string
		want mirror.Auth
		says string // where it is an error
	}{
		"username and password": {map[string]string{"username": "ada", "password": "p:w"}, mirror.Auth{Username: "ada", Password: "p:w"}, ""},
		"a token":               {map[string]string{"password": "t"}, mirror.Auth{Username: "git", Password: "t"}, ""},
		"ends of lines":         {map[string]string{"username": "ada\n", "password": " t \r\n"}, mirror.Auth{Username: "ada", Password: " t "}, ""},
		"an authority":          {map[string]string{"password": "t", "ca.crt": ca}, mirror.Auth{Username: "git", Password: "t", RootCAs: ca}, ""},
		"a GitHub App":          {map[string]string{"githubAppID": "7\n", "githubAppInstallationID": "42", "githubAppPrivateKey": "k", "ca.crt": ca}, mirror.Auth{RootCAs: ca, App: githubapp.App{ID: "7", InstallationID: "42", PrivateKey: "k"}}, ""},
		"one of one's own":      {map[string]string{"githubAppID": "7", "githubAppInstallationID": "42", "githubAppPrivateKey": "k", "githubAppBaseURL": "https://g/api/v3"}, mirror.Auth{App: githubapp.App{ID: "7", InstallationID: "42", PrivateKey: "k", BaseURL: "https://g/api/v3"}}, ""},
		"an App without a key":  {map[string]string{"githubAppID": marker, "githubAppInstallationID": "42"}, mirror.Auth{}, "not all of githubAppInstallationID and githubAppPrivateKey"},
		"an authority alone":    {map[string]string{"ca.crt": ca}, mirror.Auth{RootCAs: ca}, ""},
		"beside a key for SSH":  {map[string]string{"password": "t", "identity": marker}, mirror.Auth{Username: "git", Password: "t"}, ""},
		"a key for SSH":         {map[string]string{"identity": marker, "known_hosts": marker}, mirror.Auth{}, "a key for SSH alone, and spec.url is none of SSH: put a token"},
		"Kubernetes' own form":  {map[string]string{"ssh-privatekey": marker}, mirror.Auth{}, "SSH"},
		"no password":           {map[string]string{"username": marker}, mirror.Auth{}, "a username without a password"},
		"an empty password":     {map[string]string{"username": marker, "password": "\n"}, mirror.Auth{}, "a username without a password"},
		"a colon":               {map[string]string{"username": "a:" + marker, "password": "p"}, mirror.Auth{}, "colon"},
		"nothing":               {map[string]string{"token": marker}, mirror.Auth{}, "neither password nor ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credentials.Git(t.Context(), cluster(opaque("git", c.data)), "prod", webURL, git())
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("login (-want +got):\n%s", diff)
			}
			if c.says == "" && err != nil {
				t.Error(err)
			}
			if c.says != "" {
				wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "git", Field: "spec.credentials.secretRef", Reason: credentials.Invalid}, c.says)
			}
		})
	}
	if got, err := credentials.Git(t.Context(), cluster(), "prod", webURL, nil); err != nil || got != (mirror.Auth{}) {
		t.Errorf("without credentials: got %v, %v", got, err)
	}
	_, err := credentials.Git(t.Context(), cluster(), "prod", webURL, git())
	wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "git", Field: "spec.credentials.secretRef", Reason: credentials.NotFound})
}

const webURL, sshURL = "https://git.example.com/acme/fleet.git", "git@git.example.com:acme/fleet.git"

func TestGitOverSSH(t *testing.T) {
	type data = map[string]string
	for name, c := range map[string]struct {
		data data
		want mirror.SSH
		says string // where it is an error
	}{
		"as Flux has it":       {data{"identity": "k\n", "identity.pub": "p", "known_hosts": "h\n"}, mirror.SSH{PrivateKey: "k\n", KnownHosts: "h\n"}, ""},
		"a passphrase":         {data{"identity": "k", "known_hosts": "h", "passphrase": "s\n"}, mirror.SSH{PrivateKey: "k", KnownHosts: "h", Passphrase: "s"}, ""},
		"Flux's passphrase":    {data{"identity": "k", "known_hosts": "h", "password": "s"}, mirror.SSH{PrivateKey: "k", KnownHosts: "h", Passphrase: "s"}, ""},
		"Kubernetes' own form": {data{"ssh-privatekey": "k", "known_hosts": "h"}, mirror.SSH{PrivateKey: "k", KnownHosts: "h"}, ""},
		"no known_hosts":       {data{"identity": marker}, mirror.SSH{}, "it has no key known_hosts: put the keys of the server there"},
		"empty known_hosts":    {data{"identity": marker, "known_hosts": "\n"}, mirror.SSH{}, "no key known_hosts"},
		"no key":               {data{"known_hosts": marker}, mirror.SSH{}, "it has no key identity: put the private key for SSH there"},
		"a token":              {data{"password": marker}, mirror.SSH{}, "no key identity"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, url := range []string{sshURL, "ssh://git@git.example.com:2222/acme/fleet.git"} {
				got, err := credentials.Git(t.Context(), cluster(opaque("git", c.data)), "prod", url, git())
				if diff := cmp.Diff(mirror.Auth{SSH: c.want}, got); diff != "" {
					t.Errorf("login (-want +got):\n%s", diff)
				}
				if c.says == "" && err != nil {
					t.Error(err)
				}
				if c.says != "" {
					wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "git", Field: "spec.credentials.secretRef", Reason: credentials.Invalid}, c.says)
				}
			}
		})
	}
}

func writeFile(t *testing.T, folder, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
