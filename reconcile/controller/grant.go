// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
)

// Granted lists the policies that may bind fields in a repository, by its grant.
// It is the engine's reconcile.Policies.
type Granted struct {
	Reader     client.Reader
	Repository *v1alpha1.ManifestRepository
}

// Policies implements reconcile.Policies.
func (g Granted) Policies(ctx context.Context) ([]reconcile.Declared, error) {
	grant := g.Repository.Spec.Policies.Namespaces
	var list v1alpha1.ImagePolicyList
	var within []client.ListOption
	if isSame(grant) {
		within = append(within, client.InNamespace(g.Repository.Namespace))
	}
	if err := g.Reader.List(ctx, &list, within...); err != nil {
		return nil, fmt.Errorf("cannot list policies: %w", err)
	}
	admitted := map[string]bool{}
	var found []reconcile.Declared
	for i := range list.Items {
		p := &list.Items[i]
		if p.DeletionTimestamp != nil {
			continue
		}
		ok, asked := admitted[p.Namespace]
		if !asked {
			var err error
			if ok, err = Admits(ctx, g.Reader, g.Repository, p.Namespace); err != nil {
				return nil, err
			}
			admitted[p.Namespace] = ok
		}
		if ok {
			found = append(found, reconcile.Declared{ImagePolicy: p, MarkersOnly: p.Namespace != g.Repository.Namespace})
		}
	}
	slices.SortFunc(found, func(a, b reconcile.Declared) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

func isSame(grant v1alpha1.NamespaceGrant) bool {
	return grant.From == "" || grant.From == v1alpha1.FromSame
}

// Admits tells whether policies of a namespace may bind fields in a repository.
func Admits(ctx context.Context, reader client.Reader, repository *v1alpha1.ManifestRepository, namespace string) (bool, error) {
	grant := repository.Spec.Policies.Namespaces
	switch {
	case namespace == repository.Namespace && grant.From != v1alpha1.FromSelector:
		return true, nil
	case isSame(grant):
		return false, nil
	case grant.From == v1alpha1.FromAll:
		return true, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(grant.Selector)
	if err != nil {
		return false, nil //nolint:nilerr // It admits nobody, as its own condition says, and is no hindrance to others.
	}
	var object corev1.Namespace
	err = reader.Get(ctx, client.ObjectKey{Name: namespace}, &object)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("cannot read the labels of namespace %s: %w", namespace, err)
	}
	return err == nil && selector.Matches(labels.Set(object.Labels)), nil
}

// Grantors are the repositories, of all or of those that are listed, in which a
// namespace's policies may bind fields.
func Grantors(ctx context.Context, reader client.Reader, namespace string, listed ...client.ListOption) ([]*v1alpha1.ManifestRepository, error) {
	var list v1alpha1.ManifestRepositoryList
	if err := reader.List(ctx, &list, listed...); err != nil {
		return nil, fmt.Errorf("cannot list repositories: %w", err)
	}
	var found []*v1alpha1.ManifestRepository
	for i := range list.Items {
		r := &list.Items[i]
		if r.DeletionTimestamp != nil {
			continue
		}
		ok, err := Admits(ctx, reader, r, namespace)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, r)
		}
	}
	// A cache lists in any order, and a status must not depend on it.
	slices.SortFunc(found, func(a, b *v1alpha1.ManifestRepository) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}
