// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/config/crd"
)

// read returns a definition with the defaults that an API server gives it.
func read(t *testing.T, content []byte) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(content, &definition); err != nil {
		t.Fatal(err)
	}
	apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(&definition)
	definition.Status.StoredVersions = []string{"v1alpha1"}
	return &definition
}

// The validation is the one of the API server: structural schema, defaults, CEL and its
// estimated cost included.
func TestDefinitionsAreAccepted(t *testing.T) {
	for _, content := range [][]byte{crd.ImagePolicies(), crd.ManifestRepositories()} {
		definition := read(t, content)
		t.Run(definition.Spec.Names.Kind, func(t *testing.T) {
			var internal apiextensions.CustomResourceDefinition
			if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(definition, &internal, nil); err != nil {
				t.Fatal(err)
			}
			for _, err := range validation.ValidateCustomResourceDefinition(t.Context(), &internal) {
				t.Error(err)
			}
		})
	}
}

func TestDefinitionsSayHowObjectsAreListed(t *testing.T) {
	type listing struct {
		ShortNames, Categories, Columns []string
		Status                          bool
	}
	for kind, want := range map[string]listing{
		"ImagePolicy": {
			[]string{"imgpol"}, []string{"pintle"},
			[]string{"Selected", "Git", "Ready", "Reason", "Age", "Image", "Digest", "Message"}, true,
		},
		"ManifestRepository": {
			[]string{"mrepo"}, []string{"pintle"},
			[]string{"URL", "Branch", "Policies", "Problems", "Ready", "Reason", "Age", "Head", "Message"}, true,
		},
	} {
		content := crd.ImagePolicies()
		if kind == "ManifestRepository" {
			content = crd.ManifestRepositories()
		}
		definition := read(t, content)
		version := definition.Spec.Versions[0]
		got := listing{ShortNames: definition.Spec.Names.ShortNames, Categories: definition.Spec.Names.Categories, Status: version.Subresources.Status != nil}
		for _, column := range version.AdditionalPrinterColumns {
			got.Columns = append(got.Columns, column.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}

// Every field that a user can write has a description and a bound.
func TestFieldsAreDescribedAndBounded(t *testing.T) {
	for _, content := range [][]byte{crd.ImagePolicies(), crd.ManifestRepositories()} {
		definition := read(t, content)
		schema := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, part := range []string{"spec", "status"} {
			walk(t, part, schema.Properties[part])
		}
	}
}

// foreign are fields whose schema is Kubernetes' own.
var foreign = []string{"spec.policies.namespaces.selector", "spec.trigger.builds", "status.conditions"}

func walk(t *testing.T, path string, schema apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	if slices.Contains(foreign, path) {
		return
	}
	if schema.Description == "" && !strings.HasSuffix(path, "[]") {
		t.Errorf("%s has no description", path)
	}
	switch schema.Type {
	case "string":
		if schema.MaxLength == nil && len(schema.Enum) == 0 && schema.Format != "date-time" {
			t.Errorf("%s has no maximum length", path)
		}
	case "array":
		if schema.MaxItems == nil {
			t.Errorf("%s has no maximum of items", path)
		}
		walk(t, path+"[]", *schema.Items.Schema)
	}
	for name, property := range schema.Properties {
		walk(t, path+"."+name, property)
	}
}
