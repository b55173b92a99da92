// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/gitwriter"
	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/registry"
)

// pinWords says what a pin names.
func pinWords(p *v1alpha1.Pin) string {
	switch {
	case p == nil:
		return ""
	case p.Revision != nil:
		return fmt.Sprintf("revision %d", *p.Revision)
	case p.Tag != "":
		return "tag " + p.Tag
	}
	return "digest " + p.Digest
}

// pinHeld tells whether all slots hold the digest that the pin names, so that
// the ledger need not be read for its tag.
func (o *outcome) pinHeld() bool {
	other := func(s gitwriter.Slot) bool { return s.Value.Digest() != o.spec.Pin.Digest }
	return o.spec.Pin.Digest != "" && len(o.slots) > 0 && !slices.ContainsFunc(o.slots, other)
}

// aimAtPin aims at what spec.pin names, or at nothing, and says why.
func (o *outcome) aimAtPin(ctx context.Context) error {
	target, err := o.pinned(ctx)
	if err == nil {
		o.aimAt(target)
		if o.due() && o.spec.Pin.Tag == "" {
			_, err = o.pass.Digest(ctx, o.spec.Image, target.Digest())
		}
	}
	if err != nil {
		o.aimAt("")
		o.reason, o.message = Failed, fmt.Sprintf("%s stays as it is, since spec.pin names %s: %v", o.name, pinWords(o.spec.Pin), err)
	}
	return err
}

// pinned is what spec.pin names. Its tag keeps the digest that the slots have
// it with: a pin does not follow a tag that is pushed again.
func (o *outcome) pinned(ctx context.Context) (ledger.Value, error) {
	switch pin := o.spec.Pin; {
	case pin.Revision != nil:
		for _, e := range o.past.Entries {
			if int64(e.Revision) == *pin.Revision {
				return e.Wrote(), nil
			}
		}
		return "", fmt.Errorf("the ledger has %s; `pintle history %s` lists them", revisions(o.past), o.name)
	case pin.Digest != "":
		if o.pinHeld() {
			return o.slots[0].Value, nil
		}
		for _, s := range o.slots {
			if s.Value.Digest() == pin.Digest && s.Value.Tag() != "" {
				return s.Value, nil
			}
		}
		return o.past.Known(ledger.NewValue("", pin.Digest)), nil
	default:
		var held []ledger.Value
		for _, s := range o.slots {
			if s.Value.Tag() == pin.Tag && s.Value.Digest() != "" && !slices.Contains(held, s.Value) {
				held = append(held, s.Value)
			}
		}
		if len(held) == 1 {
			return held[0], nil
		}
		digest, err := o.pass.Digest(ctx, o.spec.Image, pin.Tag)
		return ledger.NewValue(pin.Tag, digest), err
	}
}

func revisions(past ledger.Past) string {
	switch newest := past.Newest(); newest {
	case 0:
		return "no revision yet"
	case 1:
		return "revision 1 alone"
	default:
		return fmt.Sprintf("revisions up to %d", newest)
	}
}

// isPinUndone tells whether somebody moved a slot away from what spec.pin names
// with the pin there. A pin that was declared later beats the veto.
func (e *Engine) isPinUndone(ctx context.Context, o *outcome) (bool, error) {
	if o.spec.Pin == nil || !o.record.Vetoed(o.aim) {
		return false, nil
	}
	var undoing []string
	for _, moved := range o.record.Moved {
		undoing = append(undoing, moved.Commit)
	}
	for i, s := range o.slots {
		if s.Value != o.after[i] && (o.record.Undone[s.ID] || o.record.Stood[s.ID]) {
			undoing = append(undoing, o.record.Doer[s.ID].Commit)
		}
	}
	for _, commit := range undoing {
		if e.config.PoliciesPath != "" || o.file == "" {
			return true, nil // Which of the two came first can't be told.
		}
		older, err := e.repo.HeldSince(ctx, commit, o.file, func(content []byte) bool { return e.mayPin(o.declared, content) })
		if older || err != nil {
			return older, err
		}
	}
	return false, nil
}

// mayPin tells whether a content of a policy's file does not say otherwise than
// that the policy had the pin that it has now.
func (e *Engine) mayPin(p declared, content []byte) bool {
	documents, _ := e.validator.Find(p.file, content)
	for _, d := range documents {
		// A lone policy of another name is this one before it was renamed.
		if d.Policy != nil && (d.Policy.Namespace+"/"+d.Policy.Name == p.name || len(documents) == 1) {
			return pinWords(d.Policy.Spec.Pin) == pinWords(p.spec.Pin)
		}
	}
	return true
}

// isMissing tells whether a registry said that it does not have something.
func isMissing(err error) bool {
	wrong, ok := errors.AsType[*registry.Error](err)
	return ok && wrong.Kind == registry.NotFound
}
