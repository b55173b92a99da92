// SPDX-License-Identifier: Apache-2.0

// Package config_test checks the install: that it is what it says, and that a real API
// server takes it.
package config_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kubernetesscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

const (
	system    = "pintle-system"
	account   = "pintle-controller"
	image     = "ghcr.io/pintle-dev/pintle"
	defaults  = "default"
	overlay   = "overlays/all-namespaces"
	monitored = "monitoring"
	starts    = "components/builds"
)

// build gives what kubectl apply -k would send, in its order.
func build(folder string) ([]*unstructured.Unstructured, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("cannot build %s: %w", folder, err)
	}
	var objects []*unstructured.Unstructured
	for _, resource := range built.Resources() {
		content, err := resource.MarshalJSON()
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(content); err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

func mustBuild(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := build(folder)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// find gives the one object of a kind and name, as its Go type.
func find[T any](t *testing.T, objects []*unstructured.Unstructured, kind, name string) *T {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			var typed T
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &typed, true); err != nil {
				t.Fatal(err)
			}
			return &typed
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

// title names an object in messages.
func title(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

func titles(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, object := range objects {
		names = append(names, title(object))
	}
	return names
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubernetesscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

// kustomizations are all folders here that can be built.
func kustomizations(t *testing.T) []string {
	t.Helper()
	var folders []string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Base(path) == "kustomization.yaml" {
			folders = append(folders, filepath.ToSlash(filepath.Dir(path)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// operator is what the Prometheus operator's two kinds have that is used here. Its own
// types would bring a module for two objects.
var operator = map[string]func() any{"PrometheusRule": func() any { return &prometheusRule{} }, "ServiceMonitor": func() any { return &serviceMonitor{} }}

type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		JobLabel  string               `json:"jobLabel"`
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port        string `json:"port"`
			HonorLabels bool   `json:"honorLabels"`
		} `json:"endpoints"`
	} `json:"spec"`
}

type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Groups []struct {
			Name  string  `json:"name"`
			Rules []alert `json:"rules"`
		} `json:"groups"`
	} `json:"spec"`
}

type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         metav1.Duration   `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Every kustomization builds, and what it gives has no field that its Go type does not.
func TestKustomizationsAreOfTheirTypes(t *testing.T) {
	decoder := serializer.NewCodecFactory(newScheme(t), serializer.EnableStrict).UniversalDeserializer()
	folders := kustomizations(t)
	for _, folder := range []string{defaults, overlay, monitored, starts} {
		if !slices.Contains(folders, folder) {
			t.Errorf("%s cannot be built", folder)
		}
	}
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			for _, object := range mustBuild(t, folder) {
				content, err := object.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				if foreign := operator[object.GetKind()]; foreign != nil {
					err = yaml.UnmarshalStrict(content, foreign())
				} else {
					_, _, err = decoder.Decode(content, nil, nil)
				}
				if err != nil {
					t.Errorf("%s: %v", title(object), err)
				}
			}
		})
	}
}

// Whoever installs this finds these objects, and no more.
func TestInstallIsComplete(t *testing.T) {
	want := []string{
		"Namespace pintle-system",
		"CustomResourceDefinition imagepolicies.pintle.dev",
		"CustomResourceDefinition manifestrepositories.pintle.dev",
		"ServiceAccount pintle-system/pintle-controller",
		"Role pintle-system/pintle-leader-election",
		"ClusterRole pintle-builds",
		"ClusterRole pintle-controller",
		"ClusterRole pintle-credentials",
		"ClusterRole pintle-edit",
		"ClusterRole pintle-view",
		"RoleBinding pintle-system/pintle-leader-election",
		"ClusterRoleBinding pintle-controller",
		"Service pintle-system/pintle-controller-metrics",
		"Deployment pintle-system/pintle-controller",
		"PodDisruptionBudget pintle-system/pintle-controller",
		"NetworkPolicy pintle-system/pintle-controller",
	}
	install := mustBuild(t, defaults)
	if diff := cmp.Diff(want, titles(install)); diff != "" {
		t.Errorf("config/default (-want +got):\n%s", diff)
	}
	for _, object := range install {
		if object.GetLabels()["app.kubernetes.io/part-of"] != "pintle" {
			t.Errorf("%s does not say that it is part of Pintle", title(object))
		}
	}
	added := slices.DeleteFunc(titles(mustBuild(t, overlay)), func(name string) bool { return slices.Contains(want, name) })
	if diff := cmp.Diff([]string{"ClusterRoleBinding pintle-credentials"}, added); diff != "" {
		t.Errorf("what %s adds (-want +got):\n%s", overlay, diff)
	}
}

// A user's own kustomization sets the image and moves all to another namespace.
func TestInstallCanBeChanged(t *testing.T) {
	here, err := filepath.Abs(overlay)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	base, err := filepath.Rel(folder, here)
	if err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat("a", 64)
	content := fmt.Sprintf("namespace: elsewhere\nresources: [%s]\nimages: [{name: %s, newName: registry.example.com/pintle, digest: %q}]\n", base, image, digest)
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, object := range mustBuild(t, folder) {
		whole, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(whole, []byte(system)) {
			t.Errorf("%s still names %s", title(object), system)
		}
		if object.GetKind() == "Deployment" && !bytes.Contains(whole, []byte(`"image":"registry.example.com/pintle@`+digest+`"`)) {
			t.Errorf("the image is not replaced: %s", whole)
		}
	}
}
