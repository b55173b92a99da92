// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/githubapp"
	"github.com/pintle-dev/pintle/gitwriter/mirror"
)

const gitField = "spec.credentials.secretRef"

// tokenUser is for a token that came alone: most forges take any name beside one.
const tokenUser = "git"

// The keys that Flux has for SSH, besides Kubernetes' own ssh-privatekey.
const (
	identityKey   = "identity"
	knownHostsKey = "known_hosts"
	passphraseKey = "passphrase"
)

// The keys that Flux has for a GitHub App.
const (
	appIDKey           = "githubAppID"
	appInstallationKey = "githubAppInstallationID"
	appPrivateKeyKey   = "githubAppPrivateKey"
	appBaseURLKey      = "githubAppBaseURL"
)

// The errors complete "cannot use Secret …".
var (
	errSSH          = errors.New("it holds a key for SSH alone, and spec.url is none of SSH: put a token under the key password")
	errApp          = errors.New("it has githubAppID, but not all of githubAppInstallationID and githubAppPrivateKey")
	errNoIdentity   = errors.New("it has no key identity: put the private key for SSH there")
	errNoKnownHosts = errors.New("it has no key known_hosts: put the keys of the server there, as its owner publishes them and ssh-keyscan prints them")
)

// Git reads what a manifest repository of the namespace names for its url; nil is
// nobody's login. The Secret has
//
//   - for HTTP(S) username and password, or a token as password alone, and ca.crt,
//     in PEM, where the server's authority is not one of the system's;
//   - for HTTPS at GitHub in place of them a GitHub App: githubAppID,
//     githubAppInstallationID, githubAppPrivateKey and, of a server of one's own,
//     githubAppBaseURL;
//   - for SSH identity, with passphrase where it has one, and known_hosts.
//
// The error is an *Error.
func Git(ctx context.Context, getter Getter, namespace, url string, creds *v1alpha1.GitCredentials) (mirror.Auth, error) {
	if creds == nil {
		return mirror.Auth{}, nil
	}
	r := reader{getter: getter, namespace: namespace}
	secret, err := r.secret(ctx, gitField, creds.SecretRef.Name)
	if err != nil {
		return mirror.Auth{}, err
	}
	parse := parseWeb
	if mirror.OverSSH(url) {
		parse = parseSSH
	}
	auth, err := parse(secret.Data)
	if err != nil {
		return mirror.Auth{}, secret.invalid(err)
	}
	return auth, nil
}

func parseWeb(data map[string][]byte) (mirror.Auth, error) {
	if _, found := data[appIDKey]; found {
		return parseApp(data)
	}
	auth := mirror.Auth{Username: line(data[corev1.BasicAuthUsernameKey]), Password: line(data[corev1.BasicAuthPasswordKey])}
	authorities, trusts := data[corev1.ServiceAccountRootCAKey]
	switch {
	case auth.Password == "" && holdsSSH(data):
		return mirror.Auth{}, errSSH
	case auth.Password == "" && auth.Username != "":
		return mirror.Auth{}, errors.New("it has a username without a password: put the password or a token under the key password")
	case auth.Password == "" && !trusts:
		return mirror.Auth{}, errors.New("it has neither password nor ca.crt: put username and password there, or a token as password")
	case strings.Contains(auth.Username, ":"):
		return mirror.Auth{}, errors.New("its key username has a colon, which no username can have over HTTP")
	case auth.Password != "" && auth.Username == "":
		auth.Username = tokenUser
	}
	return trusting(auth, authorities, trusts)
}

func trusting(auth mirror.Auth, authorities []byte, trusts bool) (mirror.Auth, error) {
	if trusts {
		if _, err := parseCertificates(authorities); err != nil {
			return mirror.Auth{}, fmt.Errorf("its key %s %w", corev1.ServiceAccountRootCAKey, err)
		}
		auth.RootCAs = string(authorities)
	}
	return auth, nil
}

// parseApp leaves it to the mirror to read the private key.
func parseApp(data map[string][]byte) (mirror.Auth, error) {
	app := githubapp.App{ID: line(data[appIDKey]), InstallationID: line(data[appInstallationKey]), PrivateKey: string(data[appPrivateKeyKey]), BaseURL: line(data[appBaseURLKey])}
	if app.ID == "" || app.InstallationID == "" || app.PrivateKey == "" {
		return mirror.Auth{}, errApp
	}
	authorities, trusts := data[corev1.ServiceAccountRootCAKey]
	return trusting(mirror.Auth{App: app}, authorities, trusts)
}

// parseSSH leaves it to the mirror to read the keys: to open one takes long, and a
// Secret is read for each pass.
func parseSSH(data map[string][]byte) (mirror.Auth, error) {
	ssh := mirror.SSH{
		PrivateKey: cmp.Or(string(data[identityKey]), string(data[corev1.SSHAuthPrivateKey])),
		Passphrase: cmp.Or(line(data[passphraseKey]), line(data[corev1.BasicAuthPasswordKey])), // Flux has password
		KnownHosts: string(data[knownHostsKey]),
	}
	switch {
	case strings.TrimSpace(ssh.PrivateKey) == "":
		return mirror.Auth{}, errNoIdentity
	case strings.TrimSpace(ssh.KnownHosts) == "":
		return mirror.Auth{}, errNoKnownHosts
	}
	return mirror.Auth{SSH: ssh}, nil
}

// holdsSSH knows the keys that Flux and that Kubernetes have for SSH.
func holdsSSH(data map[string][]byte) bool {
	for _, key := range []string{identityKey, knownHostsKey, corev1.SSHAuthPrivateKey} {
		if _, found := data[key]; found {
			return true
		}
	}
	return false
}

// line leaves out the end of line that `echo` or an editor adds.
func line(value []byte) string { return strings.TrimRight(string(value), "\r\n") }
