// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"time"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// ByBuild is the cause of an entry whose image a BuildRun made.
func ByBuild(namespace, name string) string { return "build/" + namespace + "/" + name }

// Build is what made an image.
type Build struct {
	// Cause is what ByBuild gives.
	Cause string
	// Source is the commit that it was made of, as ledger.ValidSource wants it, or empty.
	Source string
}

// Makers knows what built images.
type Makers interface {
	// MadeBy tells what made a selection of a policy, named <namespace>/<name>, if that
	// is known. The registry gave the selection when it was asked, or later.
	MadeBy(policy, image string, selected TagDigest, asked time.Time) (Build, bool)
}

// Ask lets the resolutions name builds as causes from now on.
func (r *Resolutions) Ask(makers Makers) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.makers = makers
}

// explain notes why a selection is written: what made it, if that is known; else who
// found it first. The caller has the lock.
func (r *Resolutions) explain(p declared, found *looked, cause string) {
	found.cause, found.source = cause, ""
	if before := r.known[p.name]; before.answers(p.spec) && before.selection == found.selection {
		found.cause, found.source = before.cause, before.source
	}
	if r.makers == nil || found.selection == "" {
		return
	}
	if build, known := r.makers.MadeBy(p.name, p.spec.Image, *found.shown(), found.begun); known {
		found.cause, found.source = build.Cause, build.Source
	}
}

// Serves is the digest that the registry serves for a tag of the policy's image, empty
// where it has none. Each tag is asked for once after a Look. It is not sure where the
// registry gives no answer, or gave none to the Look.
func (r *Resolutions) Serves(ctx context.Context, p *v1alpha1.ImagePolicy, tag string) (digest string, sure bool) {
	last, ok := r.about(nameOf(p), p.Spec)
	if !ok || last.silent { // It is not asked more than it answers.
		return "", false
	}
	digest, err := last.pass.Digest(ctx, p.Spec.Image, tag)
	return digest, err == nil || isMissing(err)
}
