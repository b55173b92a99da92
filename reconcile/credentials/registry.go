// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// maxPullSecrets bounds how many Secrets are read for one ServiceAccount.
const maxPullSecrets = 32

// The fields of a policy that name objects.
const (
	pullField    = "spec.registry.secretRef"
	accountField = "spec.registry.serviceAccountName"
	caField      = "spec.registry.caSecretRef"
)

// Login is how to ask the registry of a policy.
type Login struct {
	// Keychain gives the logins; it is never nil, and a registry.Logins. It knows no
	// others than those that the policy names.
	Keychain authn.Keychain
	// RootCAs are the certificate authorities of caSecretRef and of the system;
	// nil where the policy names none: the system's.
	RootCAs *x509.CertPool
	// Key is equal for equal logins and authorities, so that one client can be
	// kept for each, and a Secret that was changed gets a new one. It is a SHA-256
	// of them. Guesses at a weak password could be tried on it: keep it in memory.
	Key string
}

// Registry reads what a policy of the namespace names; nil is nobody's login. All
// logins that fit an image count; one that the registry refuses is followed by the
// next. Their order is
//
//   - those of secretRef before those of serviceAccountName;
//   - among the image pull secrets of the ServiceAccount, which all count, that
//     with the longest path, then one whose host has no wildcard, then that of
//     the first Secret in order.
//
// A pull secret that is missing or unreadable is an error, so that no policy goes
// on as nobody without a word. The error is an *Error.
func Registry(ctx context.Context, getter Getter, namespace string, access *v1alpha1.RegistryAccess) (Login, error) {
	if access == nil {
		access = &v1alpha1.RegistryAccess{}
	}
	r := reader{getter: getter, namespace: namespace}
	var rings []keyring
	if access.SecretRef != nil {
		ring, err := r.pullSecret(ctx, pullField, access.SecretRef.Name)
		if err != nil {
			return Login{}, err
		}
		rings = append(rings, ring)
	}
	if access.ServiceAccountName != "" {
		ring, err := r.pullSecretsOf(ctx, access.ServiceAccountName)
		if err != nil {
			return Login{}, err
		}
		rings = append(rings, ring)
	}
	var authorities []*x509.Certificate
	if access.CASecretRef != nil {
		var err error
		if authorities, err = r.authorities(ctx, access.CASecretRef.Name); err != nil {
			return Login{}, err
		}
	}
	return newLogin(rings, authorities), nil
}

func newLogin(rings []keyring, authorities []*x509.Certificate) Login {
	login := Login{Key: fingerprint(rings, authorities), Keychain: keyrings(rings)}
	if len(authorities) > 0 {
		pool, err := x509.SystemCertPool()
		if err != nil { // those of the policy count all the same
			pool = x509.NewCertPool()
		}
		for _, authority := range authorities {
			pool.AddCert(authority)
		}
		login.RootCAs = pool
	}
	return login
}

// pullSecretsOf reads the image pull secrets of a ServiceAccount.
func (r reader) pullSecretsOf(ctx context.Context, name string) (keyring, error) {
	account, err := r.serviceAccount(ctx, accountField, name)
	if err != nil {
		return nil, err
	}
	if n := len(account.ImagePullSecrets); n > maxPullSecrets {
		return nil, &Error{Namespace: r.namespace, Kind: "ServiceAccount", Name: name, Field: accountField, Reason: Invalid,
			Err: fmt.Errorf("it has %d imagePullSecrets, of which at most %d are read: name one with %s", n, maxPullSecrets, pullField)}
	}
	var ring keyring
	for i, reference := range account.ImagePullSecrets {
		if reference.Name == "" { // the kubelet passes over it too
			continue
		}
		more, err := r.pullSecret(ctx, fmt.Sprintf("imagePullSecrets[%d] of the ServiceAccount %s", i, name), reference.Name)
		if err != nil {
			return nil, err
		}
		ring = append(ring, more...)
	}
	return ring, nil
}

// pullSecret reads the logins of one Secret.
func (r reader) pullSecret(ctx context.Context, field, name string) (keyring, error) {
	secret, err := r.secret(ctx, field, name)
	if err != nil {
		return nil, err
	}
	parse, key := parseDockerConfig, corev1.DockerConfigJsonKey
	switch secret.Type {
	case corev1.SecretTypeDockerConfigJson:
	case corev1.SecretTypeDockercfg:
		parse, key = parseDockercfg, corev1.DockerConfigKey
	default:
		return nil, secret.invalid(fmt.Errorf("it is not of the type %s: make one with `kubectl create secret docker-registry`", corev1.SecretTypeDockerConfigJson))
	}
	ring, err := parse(secret.Data[key])
	if err != nil {
		return nil, secret.invalid(fmt.Errorf("its key %s %w", key, err))
	}
	return ring, nil
}

// authorities reads the Secret of caSecretRef.
func (r reader) authorities(ctx context.Context, name string) ([]*x509.Certificate, error) {
	secret, err := r.secret(ctx, caField, name)
	if err != nil {
		return nil, err
	}
	content, ok := secret.Data[corev1.ServiceAccountRootCAKey]
	if !ok {
		return nil, secret.invalid(errors.New("it has no key " + corev1.ServiceAccountRootCAKey + ": put the certificate authorities there, in PEM"))
	}
	certificates, err := parseCertificates(content)
	if err != nil {
		return nil, secret.invalid(fmt.Errorf("its key %s %w", corev1.ServiceAccountRootCAKey, err))
	}
	return certificates, nil
}

// fingerprint is equal for equal contents. Quoted, no two texts run into one.
func fingerprint(rings []keyring, authorities []*x509.Certificate) string {
	hash := sha256.New()
	for i, ring := range rings {
		for _, e := range ring {
			_, _ = fmt.Fprintf(hash, "%d %q %q %q %q %q %q\n", i, e.host, e.path,
				e.login.Username, e.login.Password, e.login.IdentityToken, e.login.RegistryToken)
		}
	}
	for _, authority := range authorities {
		_, _ = fmt.Fprintf(hash, "authority %q\n", authority.Raw)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
