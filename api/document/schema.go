// SPDX-License-Identifier: Apache-2.0

package document

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/config/crd"
)

// Validator holds the schemas of the kinds. It is safe for concurrent use, and meant to
// be made once.
type Validator struct {
	kinds map[string]*kindSchema
}

// NewValidator reads the schemas that this program carries. An error means that they are
// broken.
func NewValidator() (*Validator, error) {
	v := &Validator{kinds: map[string]*kindSchema{}}
	for _, definition := range [][]byte{crd.ImagePolicies(), crd.ManifestRepositories()} {
		kind, schema, err := newKindSchema(definition)
		if err != nil {
			return nil, fmt.Errorf("cannot read the definition of %s: %w", kind, err)
		}
		v.kinds[kind] = schema
	}
	return v, nil
}

func (v *Validator) names() []string { return slices.Sorted(maps.Keys(v.kinds)) }

// kindSchema validates documents of one kind.
type kindSchema struct {
	structural *structural.Structural
	shape      *shape
	openapi    validation.SchemaValidator
	// rules are the compiled CEL rules. Compiling takes far longer than all else, so it
	// waits for the first document of the kind.
	rules func() *cel.Validator
}

func newKindSchema(definition []byte) (string, *kindSchema, error) {
	var d apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(definition, &d); err != nil {
		return "a kind", nil, err
	}
	kind := d.Spec.Names.Kind
	if len(d.Spec.Versions) != 1 || d.Spec.Versions[0].Schema == nil {
		return kind, nil, fmt.Errorf("it has %d versions, or no schema: one version with a schema is needed", len(d.Spec.Versions))
	}
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(d.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
		return kind, nil, err
	}
	s, err := structural.NewStructural(&props)
	if err != nil {
		return kind, nil, err
	}
	openapi, _, err := validation.NewSchemaValidator(&props)
	if err != nil {
		return kind, nil, err
	}
	return kind, &kindSchema{
		structural: s,
		shape:      newObjectShape(s),
		openapi:    openapi,
		rules:      sync.OnceValue(func() *cel.Validator { return cel.NewValidator(s, true, celconfig.PerCallLimit) }),
	}, nil
}

// read turns a draft into the typed object. What is wrong is left in the draft; then
// the objects are not to be used.
func (k *kindSchema) read(d *draft) (*v1alpha1.ImagePolicy, *v1alpha1.ManifestRepository) {
	object, ok := d.convert(d.node, k.shape, "", 0).(map[string]any)
	if d.left < 0 { // what was not read would be reported as missing
		d.add("", d.node.Line, tooManyValues)
		return nil, nil
	}
	if !ok {
		return nil, nil // d says why
	}
	delete(object, "status")
	d.identify(object)
	typesFit := len(d.findings) == 0
	defaulting.PruneNonNullableNullsWithoutDefaults(object, k.structural)
	defaulting.Default(object, k.structural)
	k.validate(d, object, typesFit)
	if len(d.findings) > 0 {
		return nil, nil
	}
	policy, repository, err := decodeObject(d.kind, object)
	if err != nil {
		d.addAt("", fmt.Sprintf("cannot be read: %v", err))
		return nil, nil
	}
	if policy != nil {
		d.checkPolicy(policy)
	} else {
		d.checkRepository(repository)
	}
	return policy, repository
}

// validate does what an API server does to an object that is created.
func (k *kindSchema) validate(d *draft, object map[string]any, typesFit bool) {
	errs := validation.ValidateCustomResource(nil, object, k.openapi)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, object)...)
	if typesFit && !blocking(errs) {
		found, _ := k.rules().Validate(context.Background(), nil, k.structural, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, found...)
	}
	for _, err := range errs {
		if err.Field == unplaced && len(errs) > 1 {
			continue
		}
		d.addAt(err.Field, describe(err))
	}
}

// unplaced is the field of an error whose place the library does not tell: of a number
// beyond its format, which is beyond its maximum too, and so told twice.
const unplaced = "<nil>"

// blocking tells whether the rules can't be asked: what they rely on is not so.
func blocking(errs field.ErrorList) bool {
	return slices.ContainsFunc(errs, func(err *field.Error) bool {
		switch err.Type {
		case field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		default:
			return false
		}
	})
}

// describe says in words for people what a validation error means.
func describe(err *field.Error) string {
	detail := strings.TrimPrefix(err.Detail, err.Field+" in body ")
	switch err.Type {
	case field.ErrorTypeRequired:
		return "is missing: add it"
	case field.ErrorTypeDuplicate:
		return fmt.Sprintf("%s stands here twice: remove one of the two", quoteValue(err.BadValue))
	case field.ErrorTypeNotSupported:
		return fmt.Sprintf("%s is none of the %s", quoteValue(err.BadValue), detail)
	case field.ErrorTypeInvalid:
		text, isText := err.BadValue.(string)
		if isText && !mayHoldCredentials(err.Field) {
			return quote(text) + " " + detail
		}
		return detail
	default:
		return detail
	}
}

// mayHoldCredentials tells whether a field's value must not be in a message.
func mayHoldCredentials(path string) bool { return path == "spec.url" }

// decodeObject turns a valid object into its type.
func decodeObject(kind string, object map[string]any) (*v1alpha1.ImagePolicy, *v1alpha1.ManifestRepository, error) {
	if kind == v1alpha1.KindImagePolicy {
		policy := &v1alpha1.ImagePolicy{}
		return policy, nil, runtime.DefaultUnstructuredConverter.FromUnstructured(object, policy)
	}
	repository := &v1alpha1.ManifestRepository{}
	return nil, repository, runtime.DefaultUnstructuredConverter.FromUnstructured(object, repository)
}
