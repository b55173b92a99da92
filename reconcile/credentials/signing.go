// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"errors"
	"fmt"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter/signing"
)

const signingField = "spec.commit.signing.secretRef"

// The keys of a Secret to sign with.
const (
	signingKey  = "signingKey"
	passphrase  = "passphrase"
	trustedKeys = "trustedKeys"
)

// Signer is what a Secret holds to sign commits with.
type Signer struct {
	*signing.Keys

	content [3]string
}

// Signing reads what a manifest repository of the namespace signs with; nil where it
// does not sign. The Secret has a private key as signingKey, its passphrase where it
// has one, and as trustedKeys the public keys whose commits count besides. Where it
// holds the same as before, the result is before: to open a key takes long. The error
// is an *Error.
func Signing(ctx context.Context, getter Getter, namespace string, spec *v1alpha1.Signing, before *Signer) (*Signer, error) {
	if spec == nil {
		return nil, nil //nolint:nilnil // there is none, and that is well
	}
	r := reader{getter: getter, namespace: namespace}
	secret, err := r.secret(ctx, signingField, spec.SecretRef.Name)
	if err != nil {
		return nil, err
	}
	content := [3]string{string(secret.Data[signingKey]), line(secret.Data[passphrase]), string(secret.Data[trustedKeys])}
	if before != nil && before.content == content {
		return before, nil
	}
	keys, err := parseSigning(content)
	if err != nil {
		return nil, secret.invalid(err)
	}
	return &Signer{keys, content}, nil
}

// parseSigning completes "cannot use Secret …" with its errors.
func parseSigning(content [3]string) (*signing.Keys, error) {
	private, opens, others := content[0], content[1], content[2]
	if private == "" {
		return nil, errors.New("it has no " + signingKey + ": put a private key there, OpenPGP in ASCII armour or of ssh-keygen")
	}
	keys := &signing.Keys{}
	var err error
	if keys.Own, err = signing.NewKey([]byte(private), []byte(opens)); err != nil {
		return nil, fmt.Errorf("its key %s %w", signingKey, err)
	}
	if others == "" {
		return keys, nil
	}
	if keys.Others, err = signing.NewTrusted([]byte(others)); err != nil {
		return nil, fmt.Errorf("its %s %w", trustedKeys, err)
	}
	return keys, nil
}
