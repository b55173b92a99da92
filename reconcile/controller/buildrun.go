// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/gitwriter/ledger"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// shipwright is the version of Shipwright's API that is spoken. Its own module would bring
// Tekton and a hundred others for the dozen fields below; whatever else a BuildRun has is
// dropped when it is decoded.
var shipwright = schema.GroupVersion{Group: "shipwright.io", Version: "v1beta1"}

// pushes is where an image goes.
type pushes struct {
	Image string `json:"image,omitempty"`
}

type buildRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   buildRunSpec   `json:"spec"`
	Status buildRunStatus `json:"status,omitzero"`
}

type buildRunSpec struct {
	Build struct {
		Name string `json:"name,omitempty"`
	} `json:"build"`
	Output pushes `json:"output,omitzero"`
}

type buildRunStatus struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	BuildSpec  struct {
		Output pushes `json:"output,omitzero"`
	} `json:"buildSpec,omitzero"`
	Output struct {
		Digest string `json:"digest,omitempty"`
	} `json:"output,omitzero"`
	Source struct {
		Git struct {
			CommitSHA string `json:"commitSha,omitempty"`
		} `json:"git,omitzero"`
	} `json:"source,omitzero"`
	CompletionTime metav1.Time `json:"completionTime,omitzero"`
}

type buildRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []buildRun `json:"items"`
}

type build struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Output pushes `json:"output"`
	} `json:"spec"`
}

type buildList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []build `json:"items"`
}

func (r *buildRun) copy() *buildRun {
	c := *r
	r.DeepCopyInto(&c.ObjectMeta)
	c.Status.Conditions = slices.Clone(r.Status.Conditions)
	return &c
}

// DeepCopyObject implements runtime.Object.
func (r *buildRun) DeepCopyObject() runtime.Object { return r.copy() }

// DeepCopyObject implements runtime.Object.
func (l *buildRunList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = slices.Clone(l.Items)
	for i := range c.Items {
		c.Items[i] = *l.Items[i].copy()
	}
	return &c
}

// DeepCopyObject implements runtime.Object.
func (b *build) DeepCopyObject() runtime.Object {
	c := *b
	b.DeepCopyInto(&c.ObjectMeta)
	return &c
}

// DeepCopyObject implements runtime.Object.
func (l *buildList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = slices.Clone(l.Items)
	for i := range c.Items {
		l.Items[i].DeepCopyInto(&c.Items[i].ObjectMeta)
	}
	return &c
}

// newBuildClient speaks to the API server about Builds and BuildRuns. It asks for no
// more than it is told to: where the kinds are is known.
func newBuildClient(config *rest.Config, with *http.Client) (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, shipwright)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{shipwright})
	for kind, object := range map[string]runtime.Object{"BuildRun": &buildRun{}, "BuildRunList": &buildRunList{}, "Build": &build{}, "BuildList": &buildList{}} {
		scheme.AddKnownTypeWithName(shipwright.WithKind(kind), object)
		mapper.Add(shipwright.WithKind(kind), meta.RESTScopeNamespace)
	}
	c, err := client.NewWithWatch(config, client.Options{HTTPClient: with, Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("cannot set up a client for builds: %w", err)
	}
	return c, nil
}

// made is what a BuildRun that succeeded says of its image. Whoever may write a BuildRun
// made it up, so that each part is one that fits its grammar, or empty.
type made struct {
	run        types.NamespacedName
	image, tag string // the image has its one name
	digest     string // empty where the build told none
	source     string
	completed  time.Time
}

// made is empty for a run that did not succeed, or whose image is none.
func (r *buildRun) made() (made, bool) {
	succeeded := meta.FindStatusCondition(r.Status.Conditions, "Succeeded")
	if succeeded == nil || succeeded.Status != metav1.ConditionTrue {
		return made{}, false
	}
	image := r.Spec.Output.Image
	if image == "" {
		image = r.Status.BuildSpec.Output.Image
	}
	name, tag, ok := splitOutput(image)
	if !ok {
		return made{}, false
	}
	m := made{run: key(r), image: name, tag: tag, digest: r.Status.Output.Digest, completed: r.Status.CompletionTime.Time}
	if m.completed.IsZero() {
		m.completed = succeeded.LastTransitionTime.Time
	}
	if source := r.Status.Source.Git.CommitSHA; ledger.ValidSource(source) {
		m.source = source
	}
	if m.digest != "" {
		if _, err := registry.SplitReference(name + "@" + m.digest); err != nil {
			return made{}, false
		}
	}
	return m, true
}

// splitOutput gives the one name of an image that is pushed, and its tag.
func splitOutput(image string) (name, tag string, ok bool) {
	ref, err := registry.SplitReference(image)
	if err != nil {
		return "", "", false
	}
	if name, err = registry.Canonical(ref.Name); err != nil {
		return "", "", false
	}
	if ref.Tag == "" {
		ref.Tag = "latest" // as whoever pushes has it
	}
	return name, ref.Tag, true
}

// is names the build as a cause.
func (m made) is() reconcile.Build {
	return reconcile.Build{Cause: reconcile.ByBuild(m.run.Namespace, m.run.Name), Source: m.source}
}

// wrong says how a build and the registry differ, of which only the registry counts.
func (m made) wrong(served string) string {
	says := fmt.Sprintf("BuildRun %s succeeded with %s:%s", m.run, m.image, m.tag)
	if m.digest != "" {
		says += " as " + m.digest
	}
	switch {
	case served == "":
		return says + ", which the registry does not have: nothing is taken from the build; see where it pushes, and whether somebody deleted the tag"
	case m.digest != "" && m.digest != served:
		return says + ", but the registry serves " + served + " for the tag: the registry counts; see who else pushes it"
	}
	return ""
}
