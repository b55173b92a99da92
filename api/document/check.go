// SPDX-License-Identifier: Apache-2.0

package document

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// identify checks the name and the namespace, and gives the namespace its default.
func (d *draft) identify(object map[string]any) {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		d.addAt("metadata", "is missing: add a name")
		return
	}
	name, _ := metadata["name"].(string)
	if name == "" {
		d.addAt("metadata.name", "is missing: add it")
		return
	}
	if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
		d.addAt("metadata.name", quote(name)+" is no object's name: lower case letters, digits, - and . only, at most 253")
		return
	}
	namespace, _ := metadata["namespace"].(string)
	if namespace == "" {
		namespace = DefaultNamespace
		metadata["namespace"] = namespace
	}
	if errs := validation.IsDNS1123Label(namespace); len(errs) > 0 {
		d.addAt("metadata.namespace", quote(namespace)+" is no namespace: lower case letters, digits and - only, at most 63")
		return
	}
	d.key = namespace + "/" + name
}

// checkPolicy checks what a schema can't say.
func (d *draft) checkPolicy(policy *v1alpha1.ImagePolicy) {
	if _, err := ParseSchedule(policy.Spec.Schedule); err != nil {
		d.addAt("spec.schedule", err.Error())
	}
	if filter := policy.Spec.Select.Filter; filter != nil {
		d.checkPattern("spec.select.filter.pattern", filter.Pattern)
	}
	for i, pattern := range policy.Spec.Select.Exclude {
		d.checkPattern(fmt.Sprintf("spec.select.exclude[%d]", i), pattern)
	}
	for i, target := range policy.Spec.Targets {
		member, path := "kustomize", ""
		switch {
		case target.Kustomize != nil:
			path = target.Kustomize.Path
		case target.Workloads != nil:
			member, path = "workloads", target.Workloads.Path
		case target.HelmValues != nil:
			member, path = "helmValues", target.HelmValues.Path
		}
		if !doublestar.ValidatePattern(path) {
			d.addAt(fmt.Sprintf("spec.targets[%d].%s.path", i, member), quote(path)+" is no glob: a [ or { is not closed, or a \\ stands last")
		}
	}
}

func (d *draft) checkPattern(path, pattern string) {
	if _, err := regexp.Compile(pattern); err != nil {
		d.addAt(path, fmt.Sprintf("is no regular expression of RE2: %v", err))
	}
}

// checkRepository checks what a schema can't say.
func (d *draft) checkRepository(repository *v1alpha1.ManifestRepository) {
	for i, window := range repository.Spec.Windows {
		path := fmt.Sprintf("spec.windows[%d]", i)
		if _, err := ParseSchedule(window.Schedule); err != nil {
			d.addAt(path+".schedule", err.Error())
		}
		if _, err := time.LoadLocation(window.TimeZone); err != nil {
			d.addAt(path+".timeZone", quote(window.TimeZone)+" is no time zone: write an IANA name, as in Europe/Paris")
		}
	}
	if selector := repository.Spec.Policies.Namespaces.Selector; selector != nil {
		if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
			d.addAt("spec.policies.namespaces.selector", err.Error())
		}
	}
}

// CheckPolicy tells what is wrong with a policy that an API server took, beyond what
// its schema can say. The problems have no place, but name the field.
func CheckPolicy(policy *v1alpha1.ImagePolicy) []FieldProblem {
	d := draft{node: &yaml.Node{}}
	d.checkPolicy(policy)
	return d.byField()
}

// CheckRepository is CheckPolicy for a repository.
func CheckRepository(repository *v1alpha1.ManifestRepository) []FieldProblem {
	d := draft{node: &yaml.Node{}}
	d.checkRepository(repository)
	return d.byField()
}

// FieldProblem is something wrong with a field, such as "spec.schedule".
type FieldProblem struct{ Field, Message string }

func (d *draft) byField() []FieldProblem {
	var problems []FieldProblem
	for _, f := range d.findings {
		problems = append(problems, FieldProblem{f.path, strings.TrimPrefix(f.message, f.path+": ")})
	}
	return problems
}
