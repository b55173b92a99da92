// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// What follows is OpenSSH's PROTOCOL.sshsig.
const (
	sshMagic   = "SSHSIG"
	sshVersion = 1
	sshSpace   = "git" // as git names it
	sshBegin   = "-----BEGIN SSH SIGNATURE-----"
)

// sshBlob is what the armour holds, after the magic.
type sshBlob struct {
	Version   uint32
	PublicKey string
	Namespace string
	Reserved  string
	Hash      string
	Signature string
}

// sshSigned is what the key signs, after the magic.
type sshSigned struct {
	Namespace string
	Reserved  string
	Hash      string
	Sum       string
}

func newSSH(private, passphrase []byte) (*Key, error) {
	signer, err := ssh.ParsePrivateKey(private)
	if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
		if len(passphrase) == 0 {
			return nil, errors.New("has a passphrase, and none is given")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(private, passphrase); err != nil {
			return nil, errors.New("does not open with the passphrase")
		}
	}
	if err != nil {
		return nil, errors.New("can't be read as an SSH key")
	}
	capable, ok := signer.(ssh.AlgorithmSigner)
	algorithm := algorithmOf(signer.PublicKey())
	if !ok || algorithm == "" {
		return nil, fmt.Errorf("is of the type %s, which can't sign commits here: make one with `ssh-keygen -t ed25519`", signer.PublicKey().Type())
	}
	return &Key{
		sign:   func(data []byte) (string, error) { return signSSH(capable, algorithm, data) },
		public: sshKey{signer.PublicKey()},
	}, nil
}

// algorithmOf is the one that a key signs with, or empty. That of RSA keys with SHA-1
// is broken, and git refuses it.
func algorithmOf(key ssh.PublicKey) string {
	switch key.Type() {
	case ssh.KeyAlgoRSA:
		return ssh.KeyAlgoRSASHA512
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return key.Type()
	}
	return ""
}

func signSSH(signer ssh.AlgorithmSigner, algorithm string, data []byte) (string, error) {
	blob := sshBlob{Version: sshVersion, PublicKey: string(signer.PublicKey().Marshal()), Namespace: sshSpace, Hash: "sha512"}
	signed, _ := blob.signed(data)
	signature, err := signer.SignWithAlgorithm(rand.Reader, signed, algorithm)
	if err != nil {
		return "", err
	}
	blob.Signature = string(ssh.Marshal(signature))
	return string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: append([]byte(sshMagic), ssh.Marshal(blob)...)})), nil
}

// signed is what the signature is of.
func (b sshBlob) signed(data []byte) ([]byte, bool) {
	var sum []byte
	switch b.Hash {
	case "sha512":
		s := sha512.Sum512(data)
		sum = s[:]
	case "sha256":
		s := sha256.Sum256(data)
		sum = s[:]
	default:
		return nil, false
	}
	return append([]byte(sshMagic), ssh.Marshal(sshSigned{b.Namespace, b.Reserved, b.Hash, string(sum)})...), true
}

// parseSSH reads lines as in authorized_keys.
func parseSSH(text string) ([]verifier, error) {
	var keys []verifier
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || algorithmOf(key) == "" {
			return nil, errors.New("have a line that is no public key for signing: write them as in the .pub file of ssh-keygen")
		}
		keys = append(keys, sshKey{key})
	}
	return keys, nil
}

type sshKey struct{ ssh.PublicKey }

func (k sshKey) verify(data []byte, signature string) bool {
	if !strings.HasPrefix(signature, sshBegin) {
		return false
	}
	block, rest := pem.Decode([]byte(signature))
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return false
	}
	content, ours := bytes.CutPrefix(block.Bytes, []byte(sshMagic))
	var blob sshBlob
	if !ours || ssh.Unmarshal(content, &blob) != nil || blob.Version != sshVersion || blob.Namespace != sshSpace {
		return false
	}
	signed, known := blob.signed(data)
	made := &ssh.Signature{}
	if !known || ssh.Unmarshal([]byte(blob.Signature), made) != nil || made.Format == ssh.KeyAlgoRSA {
		return false
	}
	return k.Verify(signed, made) == nil
}
