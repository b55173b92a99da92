// SPDX-License-Identifier: Apache-2.0

package credentials_test

import (
	"testing"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/signers"
	"github.com/pintle-dev/pintle/reconcile/credentials"
)

func TestSigning(t *testing.T) {
	ssh, locked, pgp := signers.SSH(t, "ed25519", ""), signers.SSH(t, "ed25519", marker), signers.OpenPGP(t, marker)
	spec := &v1alpha1.Signing{SecretRef: v1alpha1.LocalReference{Name: "key"}}
	text := []byte("text")
	for name, c := range map[string]struct {
		data    map[string]string
		trusted bool   // what ssh signed counts
		says    string // where it is an error
	}{
		"SSH":                  {map[string]string{"signingKey": string(ssh.Private)}, true, ""},
		"with a passphrase":    {map[string]string{"signingKey": string(locked.Private), "passphrase": marker + "\n"}, false, ""},
		"OpenPGP":              {map[string]string{"signingKey": string(pgp.Private), "passphrase": marker}, false, ""},
		"one that is replaced": {map[string]string{"signingKey": string(pgp.Private), "passphrase": marker, "trustedKeys": string(ssh.Public)}, true, ""},
		"another passphrase":   {map[string]string{"signingKey": string(locked.Private), "passphrase": marker + "2"}, false, "its key signingKey does not open with the passphrase"},
		"no passphrase":        {map[string]string{"signingKey": string(pgp.Private)}, false, "its key signingKey has a passphrase, and none is given"},
		"nothing":              {map[string]string{"identity": marker}, false, "it has no signingKey"},
		"no key":               {map[string]string{"signingKey": marker}, false, "its key signingKey is no private key"},
		"no public key":        {map[string]string{"signingKey": string(ssh.Private), "trustedKeys": marker}, false, "its trustedKeys have a line that is no public key"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := credentials.Signing(t.Context(), cluster(opaque("key", c.data)), "prod", spec, nil)
			if c.says != "" {
				wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "key", Field: "spec.commit.signing.secretRef", Reason: credentials.Invalid}, c.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			own, err := got.Own.Sign(text)
			if err != nil || !got.Verify(text, own) {
				t.Errorf("what it signs does not count: %v", err)
			}
			other, err := credentials.Signing(t.Context(), cluster(opaque("key", map[string]string{"signingKey": string(ssh.Private)})), "prod", spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := other.Own.Sign(text)
			if err != nil || got.Verify(text, signature) != c.trusted {
				t.Errorf("what the other key signs counts: %v, want %v (%v)", !c.trusted, c.trusted, err)
			}
			same, err := credentials.Signing(t.Context(), cluster(opaque("key", c.data)), "prod", spec, got)
			if err != nil || same != got {
				t.Errorf("the same Secret is another signer: %v", err)
			}
			if rotated, err := credentials.Signing(t.Context(), cluster(opaque("key", c.data)), "prod", spec, other); err != nil || name != "SSH" && rotated == other {
				t.Errorf("another Secret is the same signer: %v", err)
			}
		})
	}
	if got, err := credentials.Signing(t.Context(), cluster(), "prod", nil, nil); err != nil || got != nil {
		t.Errorf("without signing: got %v, %v", got, err)
	}
	_, err := credentials.Signing(t.Context(), cluster(), "prod", spec, nil)
	wantError(t, err, credentials.Error{Namespace: "prod", Kind: "Secret", Name: "key", Field: "spec.commit.signing.secretRef", Reason: credentials.NotFound})
}
