// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/pintle-dev/pintle/gitwriter"
)

// wavers says why a followed tag that went back to a digest it had before is
// not to be trusted, or nothing. Its publisher may decide to go back; a lagging
// mirror must not. So two passes have to agree, the second one asked for here,
// and a tag that goes back to the same digest again goes to and fro. Where two
// clusters write one branch, one of them may lag for long: a process that remembers
// what it was served follows a way back only from where it saw the tag.
func (o *outcome) wavers(ctx context.Context) string {
	tag, digest := o.selection.Tag(), o.selection.Digest()
	had, wrote := false, 0
	for _, entry := range o.record.Entries {
		writes := false
		for _, move := range entry.Moves {
			had = had || move.Old.Digest() == digest
			writes = writes || move.Wrote.Digest() == digest
		}
		if writes {
			wrote++
		}
	}
	switch {
	case wrote > 1:
		return fmt.Sprintf("the tag %s goes to and fro, and is back at a digest that was written %d times: let its publisher push a new one, or set the digest by hand", tag, wrote)
	case !had && wrote == 0:
		return ""
	case o.served != nil && !o.servedHeld():
		return fmt.Sprintf("the tag %s is at a digest it had before, and was not seen here at the one that is held: the registry may be a mirror that lags. If its publisher went back, `pintle resume %s` writes it", tag, o.name)
	}
	again, err := o.client.Pass().Digest(ctx, o.spec.Image, tag)
	switch {
	case err != nil:
		return fmt.Sprintf("the tag %s went back to a digest it had, and a second look failed: %v", tag, err)
	case again != digest:
		return fmt.Sprintf("the tag %s went back to a digest it had, and a second look found another one", tag)
	}
	return ""
}

// servedHeld tells whether the registry was seen with all that slots hold under the
// selection's tag.
func (o *outcome) servedHeld() bool {
	return !slices.ContainsFunc(o.slots, func(s gitwriter.Slot) bool {
		held := o.past.Known(s.Value)
		return held.Tag() == o.selection.Tag() && held.Digest() != "" && held != o.selection && !o.served[held]
	})
}
