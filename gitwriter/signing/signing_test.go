// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pintle-dev/pintle/fixtures/signers"
	"github.com/pintle-dev/pintle/gitwriter/signing"
)

// TestKeys: each kind of key signs what it verifies, and nothing else.
func TestKeys(t *testing.T) {
	for name, s := range signers.All(t) {
		t.Run(name, func(t *testing.T) {
			key, err := signing.NewKey(s.Private, s.Passphrase)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := key.Sign([]byte("text"))
			if err != nil {
				t.Fatal(err)
			}
			trusted, err := signing.NewTrusted(s.Public)
			if err != nil {
				t.Fatal(err)
			}
			other, err := signing.NewTrusted(signers.SSH(t, "ed25519", "").Public)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				name, text, signature string
				verify                func([]byte, string) bool
				want                  bool
			}{
				{"its own", "text", signature, (&signing.Keys{Own: key}).Verify, true},
				{"its public key", "text", signature, trusted.Verify, true},
				{"among others", "text", signature, (&signing.Keys{Others: trusted}).Verify, true},
				{"another key", "text", signature, other.Verify, false},
				{"no key", "text", signature, (&signing.Keys{}).Verify, false},
				{"another text", "text!", signature, trusted.Verify, false},
				{"no signature", "text", "", trusted.Verify, false},
				{"cut short", "text", signature[:len(signature)/2], trusted.Verify, false},
			} {
				if got := c.verify([]byte(c.text), c.signature); got != c.want {
					t.Errorf("%s: verified %v, want %v", c.name, got, c.want)
				}
			}
		})
	}
}

// TestNamespace: what the same key signed for something else than git does not count.
func TestNamespace(t *testing.T) {
	s := signers.SSH(t, "ed25519", "")
	folder := t.TempDir()
	file := filepath.Join(folder, "key")
	if err := os.WriteFile(file, s.Private, 0o600); err != nil {
		t.Fatal(err)
	}
	trusted, err := signing.NewTrusted(s.Public)
	if err != nil {
		t.Fatal(err)
	}
	for space, want := range map[string]bool{"git": true, "file": false} {
		command := exec.CommandContext(t.Context(), "ssh-keygen", "-Y", "sign", "-f", file, "-n", space)
		command.Stdin = strings.NewReader("text")
		signature, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := trusted.Verify([]byte("text"), string(signature)); got != want {
			t.Errorf("%s: verified %v, want %v", space, got, want)
		}
	}
}

func TestNewKeyRefuses(t *testing.T) {
	locked := signers.SSH(t, "ed25519", "right")
	pgp := signers.OpenPGP(t, "right")
	for name, c := range map[string]struct {
		private, passphrase string
		want                string
	}{
		"nothing":                {"", "", "is no private key"},
		"text":                   {"hello", "", "is no private key"},
		"a public key":           {string(locked.Public), "", "is no private key"},
		"an SSH passphrase":      {string(locked.Private), "", "has a passphrase, and none is given"},
		"another SSH passphrase": {string(locked.Private), "wrong", "does not open with the passphrase"},
		"a PGP passphrase":       {string(pgp.Private), "", "has a passphrase, and none is given"},
		"another PGP passphrase": {string(pgp.Private), "wrong", "does not open with the passphrase"},
		"a public PGP key":       {string(pgp.Public), "", "is no private key"},
		"broken":                 {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "", "can't be read as an SSH key"},
		"broken PGP":             {"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nAAAA\n-----END PGP PRIVATE KEY BLOCK-----\n", "", "can't be read as an OpenPGP key"},
		"too large":              {strings.Repeat("x", 2<<20), "", "is larger"},
	} {
		_, err := signing.NewKey([]byte(c.private), []byte(c.passphrase))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestNewTrusted(t *testing.T) {
	ssh, pgp := signers.SSH(t, "ed25519", ""), signers.OpenPGP(t, "")
	both := "# the old one\n" + string(pgp.Public) + "\n\n" + string(ssh.Public) + "\n"
	trusted, err := signing.NewTrusted([]byte(both))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]signers.Signer{"ssh": ssh, "pgp": pgp} {
		key, err := signing.NewKey(s.Private, nil)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := key.Sign([]byte("text"))
		if err != nil || !trusted.Verify([]byte("text"), signature) {
			t.Errorf("%s: what it signed does not count: %v", name, err)
		}
	}
	for name, c := range map[string]struct{ public, want string }{
		"nothing":       {"", "have no key"},
		"comments":      {"# none\n", "have no key"},
		"text":          {"hello\n", "have a line that is no public key"},
		"a private key": {string(ssh.Private), "have a line that is no public key"},
		"no end":        {"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "without an end"},
		"broken":        {"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n", "can't be read"},
		"too large":     {strings.Repeat("\n", 2<<20), "are larger"},
	} {
		_, err := signing.NewTrusted([]byte(c.public))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := signers.SSH(f, "ed25519", "")
	trusted, err := signing.NewTrusted(s.Public)
	if err != nil {
		f.Fatal(err)
	}
	key, err := signing.NewKey(s.Private, nil)
	if err != nil {
		f.Fatal(err)
	}
	right, err := key.Sign([]byte("text"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(right)
	f.Add("-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----")
	f.Fuzz(func(t *testing.T, signature string) {
		if trusted.Verify([]byte("another text"), signature) {
			t.Errorf("%q verifies a text that nobody signed", signature)
		}
	})
}
