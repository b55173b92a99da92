// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// objects are two policies in each of three namespaces, one of which is labelled, and a
// namespace that is gone already.
func objects(t *testing.T, more ...client.Object) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	all := append([]client.Object{}, more...)
	for _, namespace := range []string{"team", "prod", "stray", "gone"} {
		for _, name := range []string{"web", "api"} {
			all = append(all, &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
		}
	}
	all = append(all, &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "leaves", DeletionTimestamp: &metav1.Time{Time: noon}, Finalizers: []string{"x/y"}}})
	for name, labels := range map[string]map[string]string{"team": {"pintle": "yes"}, "prod": nil, "stray": nil} {
		all = append(all, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(all...).WithStatusSubresource(&v1alpha1.ImagePolicy{}, &v1alpha1.ManifestRepository{}).Build()
}

// grants are what spec.policies.namespaces can say.
func grants() map[string]v1alpha1.NamespaceGrant {
	selector := func(s metav1.LabelSelector) v1alpha1.NamespaceGrant {
		return v1alpha1.NamespaceGrant{From: v1alpha1.FromSelector, Selector: &s}
	}
	return map[string]v1alpha1.NamespaceGrant{
		"unsaid":   {},
		"same":     {From: v1alpha1.FromSame},
		"all":      {From: v1alpha1.FromAll},
		"labelled": selector(metav1.LabelSelector{MatchLabels: map[string]string{"pintle": "yes"}}),
		"any":      selector(metav1.LabelSelector{}),
		"wrong":    selector(metav1.LabelSelector{MatchLabels: map[string]string{"a": "no value!"}}),
		"none":     {From: v1alpha1.FromSelector},
	}
}

// The repository's grant alone admits policies; those of other namespaces by marker alone.
func TestGranted(t *testing.T) {
	reader := objects(t)
	own := []string{"prod/api", "prod/web"}
	team := []string{"team/api by marker", "team/web by marker"}
	stray := []string{"stray/api by marker", "stray/web by marker"}
	want := map[string][]string{
		"unsaid": own, "same": own, "labelled": team, "wrong": nil, "none": nil,
		"all": {"gone/api by marker", "gone/web by marker", "prod/api", "prod/web", "stray/api by marker", "stray/web by marker", "team/api by marker", "team/web by marker"},
		"any": append(append(append([]string{}, own...), stray...), team...),
	}
	for title, grant := range grants() {
		repository := repositoryOf(func(s *v1alpha1.ManifestRepositorySpec) { s.Policies.Namespaces = grant })
		policies, err := Granted{reader, repository}.Policies(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", title, err)
		}
		var got []string
		for _, p := range policies {
			line := p.Namespace + "/" + p.Name
			if p.MarkersOnly {
				line += " by marker"
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(want[title], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", title, diff)
		}
	}
}

// Grantors says the same from the policy's end.
func TestGrantors(t *testing.T) {
	var repositories []client.Object
	for title, grant := range grants() {
		r := repositoryOf(func(s *v1alpha1.ManifestRepositorySpec) { s.Policies.Namespaces = grant })
		r.Name, r.ResourceVersion = title, ""
		repositories = append(repositories, r)
	}
	leaves := repositoryOf(func(s *v1alpha1.ManifestRepositorySpec) { s.Policies.Namespaces.From = v1alpha1.FromAll })
	leaves.Name, leaves.DeletionTimestamp, leaves.Finalizers = "leaves", &metav1.Time{Time: noon}, []string{"x/y"}
	reader := objects(t, append(repositories, leaves)...)
	for namespace, want := range map[string][]string{
		"prod": {"all", "any", "same", "unsaid"}, "team": {"all", "any", "labelled"}, "stray": {"all", "any"}, "gone": {"all"},
	} {
		found, err := Grantors(t.Context(), reader, namespace)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range found {
			got = append(got, r.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", namespace, diff)
		}
		for _, r := range repositories {
			admitted, err := Admits(t.Context(), reader, r.(*v1alpha1.ManifestRepository), namespace)
			policies, listErr := Granted{reader, r.(*v1alpha1.ManifestRepository)}.Policies(t.Context())
			if err != nil || listErr != nil {
				t.Fatal(err, listErr)
			}
			listed := false
			for _, p := range policies {
				listed = listed || p.Namespace == namespace
			}
			if admitted != listed {
				t.Errorf("%s admits %s: %v, and lists its policies: %v", r.GetName(), namespace, admitted, listed)
			}
		}
	}
}

// Without the API server nothing is known, which is not the same as that nothing is there.
func TestGrantWithoutAnAnswer(t *testing.T) {
	broken := errors.New("the API server is away")
	repository := repositoryOf(func(s *v1alpha1.ManifestRepositorySpec) { s.Policies.Namespaces = grants()["labelled"] })
	whole := objects(t, repository)
	for title, reader := range map[string]client.Reader{
		"lists": interceptor.NewClient(whole, interceptor.Funcs{List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return broken }}),
		"namespaces": interceptor.NewClient(whole, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, k client.ObjectKey, o client.Object, options ...client.GetOption) error {
			if _, ok := o.(*corev1.Namespace); ok {
				return broken
			}
			return c.Get(ctx, k, o, options...)
		}}),
	} {
		if policies, err := (Granted{reader, repository}).Policies(t.Context()); !errors.Is(err, broken) {
			t.Errorf("%s: %d policies, %v", title, len(policies), err)
		}
		if repositories, err := Grantors(t.Context(), reader, "team"); !errors.Is(err, broken) {
			t.Errorf("%s: %d repositories, %v", title, len(repositories), err)
		}
	}
}
