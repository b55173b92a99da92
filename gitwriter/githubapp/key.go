// SPDX-License-Identifier: Apache-2.0

package githubapp

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// parseKey reads the file that GitHub gives, or the same in PKCS #8.
func parseKey(text string) (*rsa.PrivateKey, error) {
	wrong := errors.New("githubAppPrivateKey is no RSA private key in PEM: take the file that GitHub gives")
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, wrong
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := parsed.(*rsa.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, wrong
}
