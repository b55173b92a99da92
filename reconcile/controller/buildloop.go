// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/registry"
)

// maxChain bounds how many images are looked at behind a Build.
const maxChain = 100

// step is an image that builds lead to, and how.
type step struct{ image, way string }

// loops tells how a Build of a policy leads back to the policy's own image: by what it makes,
// or by other policies that start Builds with what it makes. Each round would have another
// digest, so that it would never end. It is empty where the Build does not.
func (t *trigger) loops(ctx context.Context, policy *v1alpha1.ImagePolicy, b *build) (string, error) {
	home, err := registry.Canonical(policy.Spec.Image)
	if err != nil {
		return "", err
	}
	image, _, ok := splitOutput(b.Spec.Output.Image)
	if !ok {
		return "", nil
	}
	seen := map[string]bool{image: true}
	for ahead := []step{{image, fmt.Sprintf("the Build %s, which makes %s", key(b), image)}}; len(ahead) > 0; ahead = ahead[1:] {
		if ahead[0].image == home {
			return ahead[0].way + ", would start itself again and again, and is refused: let it push to another image, or take the label of spec.trigger.builds from it", nil
		}
		next, err := t.behind(ctx, ahead[0])
		if err != nil {
			return "", err
		}
		for _, s := range next {
			if !seen[s.image] && len(seen) < maxChain {
				seen[s.image] = true
				ahead = append(ahead, s)
			}
		}
	}
	return "", nil
}

// behind are the images that are made of an image, by what policies start. Where the
// controller may start nothing, nothing is.
func (t *trigger) behind(ctx context.Context, s step) ([]step, error) {
	var policies v1alpha1.ImagePolicyList
	if err := t.policies.List(ctx, &policies, client.MatchingFields{byOneName: s.image}); err != nil {
		return nil, fmt.Errorf("cannot list the policies of %s: %w", s.image, err)
	}
	var all []step
	for i := range policies.Items {
		p := &policies.Items[i]
		if p.Spec.Trigger == nil {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.Trigger.Builds)
		if err != nil {
			continue
		}
		var builds buildList
		err = t.builds.List(ctx, &builds, client.InNamespace(p.Namespace), client.MatchingLabelsSelector{Selector: selector}, client.Limit(maxBuilds))
		if err != nil && !apierrors.IsForbidden(err) {
			return nil, fmt.Errorf("cannot list the Builds of the policy %s: %w", key(p), err)
		}
		for j := range builds.Items {
			b := &builds.Items[j]
			if image, _, ok := splitOutput(b.Spec.Output.Image); ok {
				all = append(all, step{image, fmt.Sprintf("%s, of which the policy %s starts %s, which makes %s", s.way, key(p), key(b), image)})
			}
		}
	}
	return all, nil
}
