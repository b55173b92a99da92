// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// wholeLease is the Lease of replicas that work on all objects.
const wholeLease = "pintle"

// shareFlags say which of the cluster's objects a group of replicas works on.
type shareFlags struct {
	namespaces []string
	selector   string
}

func (s *shareFlags) bind(flags *pflag.FlagSet) {
	flags.StringSliceVar(&s.namespaces, "namespaces", nil, "work on the objects of these `namespaces` alone, such as a,b (default: of all)")
	flags.StringVar(&s.selector, "selector", "", "work alone on the policies and repositories whose `labels` this selects, such as pintle.dev/shard=blue (default: on all)")
}

// share is a part of a fleet: no object outside of it is seen.
type share struct {
	cache cache.Options
	lease string
}

// share checks the flags. The Lease is named after them: replicas of one share elect one
// leader, and those of two never wait for each other.
func (s *shareFlags) share() (share, error) {
	selector, err := labels.Parse(s.selector)
	if err != nil {
		return share{}, usageError{fmt.Errorf("--selector %q is no label selector: %w", s.selector, err)}
	}
	own := share{lease: wholeLease}
	for _, namespace := range s.namespaces {
		if wrong := validation.IsDNS1123Label(namespace); len(wrong) > 0 {
			return share{}, usageError{fmt.Errorf("--namespaces: %q is no name of a namespace: %w", namespace, errors.New(wrong[0]))}
		}
		if own.cache.DefaultNamespaces == nil {
			own.cache.DefaultNamespaces = map[string]cache.Config{}
		}
		own.cache.DefaultNamespaces[namespace] = cache.Config{}
	}
	if !selector.Empty() {
		selected := cache.ByObject{Label: selector}
		own.cache.ByObject = map[client.Object]cache.ByObject{&v1alpha1.ImagePolicy{}: selected, &v1alpha1.ManifestRepository{}: selected}
	}
	if len(s.namespaces) > 0 || !selector.Empty() {
		namespaces := slices.Compact(slices.Sorted(slices.Values(s.namespaces)))
		hash := sha256.Sum256([]byte(selector.String() + "\n" + strings.Join(namespaces, ",")))
		own.lease = fmt.Sprintf("%s-%x", wholeLease, hash[:5])
	}
	return own, nil
}
