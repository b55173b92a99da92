// SPDX-License-Identifier: Apache-2.0

package gitwriter

import (
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/gitwriter/signing"
)

// SetKeys has commits signed from now on, and only signed ones count; nil has them not
// signed. Keys are rotated.
func (r *Repository) SetKeys(keys *signing.Keys) {
	if r.keys != keys {
		r.keys, r.signed = keys, map[plumbing.Hash]bool{}
	}
}

// sign is how commits are signed; nil where they are not.
func (r *Repository) sign() mirror.Sign {
	if r.keys == nil || r.keys.Own == nil {
		return nil
	}
	return r.keys.Own.Sign
}

// countsSigned tells which claims may be entries, by their signatures. All may where
// commits are not signed. Else those may that are signed, and those that the first
// signed one stands on: who signed it counted them in, and its signature is one of
// them too. So nothing is forgotten on the day on which signing begins.
func (r *Repository) countsSigned() func(claim int) bool {
	all := func(int) bool { return true }
	if r.keys == nil {
		return all
	}
	for n := range r.lineage.claims {
		if !r.isSigned(n) {
			continue
		}
		older := map[int]bool{}
		r.lineage.visit(r.lineage.claims[n].up, func(up int) bool {
			older[up] = true
			return true
		})
		return func(claim int) bool { return older[claim] || r.isSigned(claim) }
	}
	return all
}

// signedAsNow tells whether the signatures of proposed commits would let them count;
// where nothing is signed, all do.
func (r *Repository) signedAsNow(commits []*object.Commit) bool {
	return r.sign() == nil || !slices.ContainsFunc(commits, func(c *object.Commit) bool {
		text, err := mirror.Unsigned(c)
		return err != nil || !r.keys.Verify(text, c.PGPSignature)
	})
}

// isSigned tells whether a claim is signed with a key that counts.
func (r *Repository) isSigned(n int) bool {
	c := r.lineage.claims[n].commit
	if c.Text == nil || c.Text.Signature == "" {
		return false
	}
	signed, known := r.signed[c.Hash]
	if !known {
		signed = r.keys.Verify([]byte(c.Text.Signed), c.Text.Signature)
		r.signed[c.Hash] = signed
	}
	return signed
}
