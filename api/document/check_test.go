// SPDX-License-Identifier: Apache-2.0

package document_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// What a schema can't say is found in objects of a cluster too, with the field alone.
func TestCheckPolicy(t *testing.T) {
	well := v1alpha1.ImagePolicySpec{Schedule: "@every 5m", Select: v1alpha1.Select{Tag: "stable"}}
	for title, test := range map[string]struct {
		change func(*v1alpha1.ImagePolicySpec)
		want   []document.FieldProblem
	}{
		"well": {func(*v1alpha1.ImagePolicySpec) {}, nil},
		"schedule": {func(s *v1alpha1.ImagePolicySpec) { s.Schedule = "0 0 30 2 *" },
			[]document.FieldProblem{{Field: "spec.schedule", Message: `"0 0 30 2 *" is no schedule: its day never comes`}}},
		"patterns": {func(s *v1alpha1.ImagePolicySpec) {
			s.Select.Filter, s.Select.Exclude = &v1alpha1.Filter{Pattern: "("}, []string{"a", ")"}
		}, []document.FieldProblem{
			{Field: "spec.select.filter.pattern", Message: "is no regular expression of RE2: error parsing regexp: missing closing ): `(`"},
			{Field: "spec.select.exclude[1]", Message: "is no regular expression of RE2: error parsing regexp: unexpected ): `)`"},
		}},
		"globs": {func(s *v1alpha1.ImagePolicySpec) {
			s.Targets = []v1alpha1.Target{{Kustomize: &v1alpha1.KustomizeTarget{Path: "["}}, {Workloads: &v1alpha1.WorkloadsTarget{Path: "**"}}, {HelmValues: &v1alpha1.HelmValuesTarget{Path: "{"}}}
		}, []document.FieldProblem{
			{Field: "spec.targets[0].kustomize.path", Message: `"[" is no glob: a [ or { is not closed, or a \ stands last`},
			{Field: "spec.targets[2].helmValues.path", Message: `"{" is no glob: a [ or { is not closed, or a \ stands last`},
		}},
	} {
		policy := &v1alpha1.ImagePolicy{Spec: *well.DeepCopy()}
		test.change(&policy.Spec)
		if diff := cmp.Diff(test.want, document.CheckPolicy(policy)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", title, diff)
		}
	}
}

func TestCheckRepository(t *testing.T) {
	window := v1alpha1.Window{Schedule: "0 9 * * 1-5", TimeZone: "Europe/Paris"}
	selects := func(labels map[string]string) v1alpha1.PolicyGrant {
		return v1alpha1.PolicyGrant{Namespaces: v1alpha1.NamespaceGrant{From: v1alpha1.FromSelector, Selector: &metav1.LabelSelector{MatchLabels: labels}}}
	}
	well := &v1alpha1.ManifestRepository{Spec: v1alpha1.ManifestRepositorySpec{
		Windows: []v1alpha1.Window{window, {Schedule: "@daily"}}, Policies: selects(map[string]string{"a": "b"}),
	}}
	if got := document.CheckRepository(well); got != nil {
		t.Errorf("one that is well: %v", got)
	}
	wrong := &v1alpha1.ManifestRepository{Spec: v1alpha1.ManifestRepositorySpec{
		Windows: []v1alpha1.Window{window, {Schedule: "9 o'clock", TimeZone: "Mars/Base"}}, Policies: selects(map[string]string{"a": "no value!"}),
	}}
	var fields []string
	for _, problem := range document.CheckRepository(wrong) {
		fields = append(fields, problem.Field)
		if problem.Message == "" {
			t.Errorf("%s is wrong for no reason", problem.Field)
		}
	}
	want := []string{"spec.windows[1].schedule", "spec.windows[1].timeZone", "spec.policies.namespaces.selector"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
