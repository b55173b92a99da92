// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// errNoCertificates completes "its key ca.crt …".
var errNoCertificates = errors.New("holds no certificate: put the certificate authorities there, in PEM")

// parseCertificates reads certificates in PEM, with any text between them. The
// errors complete "its key ca.crt …".
func parseCertificates(content []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		n := len(certificates) + 1
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds something else than certificates: only those of the authorities belong there, and block %d is none", n)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds a certificate, number %d, that can't be read", n)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, errNoCertificates
	}
	// The decoder passes over what it can't read.
	if n := bytes.Count(content, []byte("-----BEGIN ")); n != len(certificates) {
		return nil, fmt.Errorf("is damaged: of its %d blocks of PEM only %d can be read", n, len(certificates))
	}
	return certificates, nil
}
