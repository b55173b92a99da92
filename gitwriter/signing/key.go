// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// maxKeys bounds what is read as keys, in bytes.
const maxKeys = 1 << 20

// Key is a private key that signs commits.
type Key struct {
	// sign makes the signature as it stands in a commit.
	sign func(data []byte) (string, error)
	// public verifies what the key signed.
	public verifier
}

// verifier tells whether a key made a signature of data.
type verifier interface {
	verify(data []byte, signature string) bool
}

// NewKey reads a private key: OpenPGP in ASCII armour, or one that ssh-keygen made.
// The passphrase is that of the key, where it has one. The error repeats nothing of
// either, and completes "the key …".
func NewKey(private, passphrase []byte) (*Key, error) {
	switch {
	case len(private) > maxKeys:
		return nil, errors.New("is larger than a key can be")
	case bytes.Contains(private, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----")):
		return newOpenPGP(private, passphrase)
	case bytes.Contains(private, []byte(" PRIVATE KEY-----")):
		return newSSH(private, passphrase)
	}
	return nil, errors.New("is no private key: write it with `gpg --armor --export-secret-keys KEY`, or with ssh-keygen")
}

// Sign makes the signature of a commit's text as git writes it in the header gpgsig.
func (k *Key) Sign(data []byte) (string, error) {
	signature, err := k.sign(data)
	if err != nil {
		return "", fmt.Errorf("cannot sign a commit: %w", err)
	}
	return signature, nil
}

// Trusted are public keys whose signatures count.
type Trusted struct{ keys []verifier }

// Keys are those of a repository whose commits are signed.
type Keys struct {
	// Own signs; nil for who only reads.
	Own *Key
	// Others count as well: of other controllers, and those that were replaced. nil for
	// none.
	Others *Trusted
}

// Verify tells whether one of the keys signed data.
func (k *Keys) Verify(data []byte, signature string) bool {
	return k.Own != nil && k.Own.public.verify(data, signature) || k.Others != nil && k.Others.Verify(data, signature)
}

// NewTrusted reads public keys: OpenPGP in ASCII armour, or lines as in
// authorized_keys or in the .pub files of ssh-keygen; both may be in one text. The
// error completes "they …".
func NewTrusted(public []byte) (*Trusted, error) {
	if len(public) > maxKeys {
		return nil, errors.New("are larger than keys can be")
	}
	trusted := &Trusted{}
	text := string(public)
	for {
		before, rest, found := strings.Cut(text, "-----BEGIN PGP PUBLIC KEY BLOCK-----")
		keys, err := parseSSH(before)
		if err != nil {
			return nil, err
		}
		trusted.keys = append(trusted.keys, keys...)
		if !found {
			break
		}
		block, rest, ended := strings.Cut(rest, "-----END PGP PUBLIC KEY BLOCK-----")
		if !ended {
			return nil, errors.New("have an OpenPGP key without an end")
		}
		key, err := parseOpenPGP("-----BEGIN PGP PUBLIC KEY BLOCK-----" + block + "-----END PGP PUBLIC KEY BLOCK-----\n")
		if err != nil {
			return nil, err
		}
		trusted.keys = append(trusted.keys, key)
		text = rest
	}
	if len(trusted.keys) == 0 {
		return nil, errors.New("have no key: write OpenPGP keys with `gpg --armor --export KEY`, and those of SSH as in the .pub file")
	}
	return trusted, nil
}

// Verify tells whether one of the keys signed data.
func (t *Trusted) Verify(data []byte, signature string) bool {
	for _, key := range t.keys {
		if key.verify(data, signature) {
			return true
		}
	}
	return false
}
