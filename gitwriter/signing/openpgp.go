// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
)

func newOpenPGP(private, passphrase []byte) (*Key, error) {
	entities, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(private))
	if err != nil || len(entities) == 0 {
		return nil, errors.New("can't be read as an OpenPGP key")
	}
	if len(entities) > 1 {
		return nil, errors.New("is more than one: export the one that is to sign")
	}
	entity := entities[0]
	if err := open(entity, passphrase); err != nil {
		return nil, err
	}
	signer, usable := entity.SigningKey(time.Now())
	if !usable || signer.PrivateKey == nil {
		return nil, errors.New("can't sign: it is expired, revoked, or has no part for signing")
	}
	return &Key{
		sign: func(data []byte) (string, error) {
			var signature bytes.Buffer
			err := openpgp.ArmoredDetachSign(&signature, entity, bytes.NewReader(data), nil)
			return signature.String() + "\n", err
		},
		public: openPGPKey{openpgp.EntityList{entity}},
	}, nil
}

// open decrypts what of the key is encrypted.
func open(entity *openpgp.Entity, passphrase []byte) error {
	locked := entity.PrivateKey != nil && entity.PrivateKey.Encrypted
	for _, s := range entity.Subkeys {
		locked = locked || s.PrivateKey != nil && s.PrivateKey.Encrypted
	}
	switch {
	case locked && len(passphrase) == 0:
		return errors.New("has a passphrase, and none is given")
	case locked && entity.DecryptPrivateKeys(passphrase) != nil:
		return errors.New("does not open with the passphrase")
	}
	return nil
}

func parseOpenPGP(block string) (verifier, error) {
	entities, err := openpgp.ReadArmoredKeyRing(strings.NewReader(block))
	if err != nil || len(entities) == 0 {
		return nil, errors.New("have an OpenPGP key that can't be read")
	}
	return openPGPKey{entities}, nil
}

// openPGPKey is one key or several.
type openPGPKey struct{ entities openpgp.EntityList }

// verify lets expired keys count: what they signed, they signed. Who wants a key to
// count no more takes it off the list.
func (k openPGPKey) verify(data []byte, signature string) bool {
	if !strings.HasPrefix(signature, "-----BEGIN PGP SIGNATURE-----") {
		return false
	}
	_, err := openpgp.CheckArmoredDetachedSignature(k.entities, bytes.NewReader(data), strings.NewReader(signature), nil)
	return err == nil || errors.Is(err, pgperrors.ErrKeyExpired) || errors.Is(err, pgperrors.ErrSignatureExpired)
}
