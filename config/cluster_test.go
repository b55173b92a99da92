// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pintle-dev/pintle/api/document"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

const patience = 20 * time.Second

// running is a cluster in which config/default is installed.
type running struct {
	*parts.Cluster

	warnings *warnings
	err      error
}

// atEnd undoes what tests share.
var atEnd []func()

// shared starts the cluster at most once, and not for tests that do without.
var shared = sync.OnceValue(func() (r running) {
	cluster, stop, err := parts.StartKubeAPIServer()
	if err != nil {
		return running{err: err}
	}
	atEnd = append(atEnd, stop)
	r = running{Cluster: cluster, warnings: &warnings{}}
	r.err = install(context.Background(), cluster, r.warnings, defaults)
	return r
})

func TestMain(m *testing.M) {
	status := m.Run()
	for _, undo := range atEnd {
		undo()
	}
	os.Exit(status)
}

func installed(t *testing.T) running {
	t.Helper()
	r := shared()
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r
}

// warnings keeps what an API server warns of.
type warnings struct {
	mu   sync.Mutex
	said []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// install does as kubectl apply --server-side -k, in the same order.
func install(ctx context.Context, cluster *parts.Cluster, warned rest.WarningHandler, folder string) error {
	objects, err := build(folder)
	if err != nil {
		return err
	}
	config := rest.CopyConfig(cluster.Config)
	config.WarningHandler = warned
	admin, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := apply(ctx, admin, object); err != nil {
			return err
		}
	}
	for _, object := range objects {
		if object.GetKind() == "CustomResourceDefinition" {
			if err := established(ctx, admin, object); err != nil {
				return err
			}
		}
	}
	return nil
}

func apply(ctx context.Context, admin client.Client, object *unstructured.Unstructured) error {
	if err := admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("install")); err != nil {
		return fmt.Errorf("%s: %w", title(object), err)
	}
	return nil
}

// established waits until the API server serves what a definition defines.
func established(ctx context.Context, admin client.Client, object *unstructured.Unstructured) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return false, err
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &definition); err != nil {
			return false, err
		}
		for _, condition := range definition.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("%s is not established: %w", title(object), err)
	}
	return nil
}

// strict is a client that is told of every unknown field.
func (r running) strict(t *testing.T) client.Client {
	t.Helper()
	admin, err := client.New(r.Config, client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	return client.WithFieldValidation(admin, metav1.FieldValidationStrict)
}

// The API server takes the install without a warning, Pod Security's among them, and has
// nothing to change when it comes again.
func TestInstallIsAppliedAndStays(t *testing.T) {
	r := installed(t)
	admin := r.strict(t)
	for _, object := range mustBuild(t, defaults) {
		before := object.DeepCopy()
		if err := admin.Get(t.Context(), client.ObjectKeyFromObject(before), before); err != nil {
			t.Fatal(err)
		}
		if err := apply(t.Context(), admin, object); err != nil {
			t.Fatal(err)
		}
		if before.GetResourceVersion() != object.GetResourceVersion() {
			t.Errorf("%s changes when it is applied again", title(object))
		}
	}
	r.warnings.mu.Lock()
	defer r.warnings.mu.Unlock()
	if diff := cmp.Diff([]string(nil), r.warnings.said); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// pod is one that the Deployment would make.
func (r running) pod(t *testing.T) *core.Pod {
	t.Helper()
	var workload apps.Deployment
	if err := r.strict(t).Get(t.Context(), client.ObjectKey{Namespace: system, Name: "pintle-controller"}, &workload); err != nil {
		t.Fatal(err)
	}
	template := workload.Spec.Template
	pod := &core.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace, pod.GenerateName = system, "pintle-controller-"
	return pod
}

func TestPodSecurityAdmitsThePod(t *testing.T) {
	r := installed(t)
	if err := r.strict(t).Create(t.Context(), r.pod(t)); err != nil {
		t.Errorf("the Deployment's pod is refused: %v", err)
	}
}

// Each of these is refused, so that the pod was not just let through.
func TestPodSecurityRefusesLess(t *testing.T) {
	r := installed(t)
	yes, no := true, false
	for name, spoil := range map[string]func(*core.PodSpec, *core.SecurityContext){
		"privileged":         func(_ *core.PodSpec, s *core.SecurityContext) { s.Privileged, s.AllowPrivilegeEscalation = &yes, nil },
		"may become more":    func(_ *core.PodSpec, s *core.SecurityContext) { s.AllowPrivilegeEscalation = &yes },
		"keeps capabilities": func(_ *core.PodSpec, s *core.SecurityContext) { s.Capabilities = nil },
		"may be root":        func(p *core.PodSpec, _ *core.SecurityContext) { p.SecurityContext.RunAsNonRoot = &no },
		"no seccomp":         func(p *core.PodSpec, _ *core.SecurityContext) { p.SecurityContext.SeccompProfile = nil },
		"the node's network": func(p *core.PodSpec, _ *core.SecurityContext) { p.HostNetwork = true },
		"a folder of the node": func(p *core.PodSpec, _ *core.SecurityContext) {
			p.Volumes = []core.Volume{{Name: "x", VolumeSource: core.VolumeSource{HostPath: &core.HostPathVolumeSource{Path: "/"}}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := r.pod(t)
			spoil(&pod.Spec, pod.Spec.Containers[0].SecurityContext)
			err := r.strict(t).Create(t.Context(), pod, client.DryRunAll)
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `violates PodSecurity "restricted:latest"`) {
				t.Errorf("got %v, want a refusal by Pod Security", err)
			}
		})
	}
}

// objectsOf reads the documents of a file.
func objectsOf(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(read(t, file)), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
}

func samples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("samples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	return files
}

// Every sample is taken as it stands, and means what Pintle understands: schedules and
// patterns are no matter of the schema.
func TestSamplesAreAccepted(t *testing.T) {
	admin := installed(t).strict(t)
	validator, err := document.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range samples(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			kinds := map[string]int{}
			for _, object := range objectsOf(t, file) {
				if err := admin.Create(t.Context(), object); err != nil {
					t.Errorf("%s: %v", title(object), err)
				}
				kinds[object.GetKind()]++
			}
			if kinds["ImagePolicy"] == 0 || kinds["ManifestRepository"] == 0 {
				t.Errorf("the sample is not whole: it has %v", kinds)
			}
			found, problems := validator.Find(file, []byte(read(t, file)))
			for _, problem := range problems {
				t.Errorf("line %d: %s", problem.Line, problem.Message)
			}
			if want := kinds["ImagePolicy"] + kinds["ManifestRepository"]; len(found) != want {
				t.Errorf("%d of its %d objects were read", len(found), want)
			}
		})
	}
}

// What the samples are compared with is strict, and a repository is reached over the
// network alone: only for one on a disk Pintle would need the git command.
func TestWrongObjectsAreRefused(t *testing.T) {
	admin := installed(t).strict(t)
	for name, spoil := range map[string]func(spec map[string]any){
		"a typing error": func(spec map[string]any) { spec["brnach"] = "main" },
		"a path":         func(spec map[string]any) { spec["url"] = "/srv/fleet.git" },
		"a file":         func(spec map[string]any) { spec["url"] = "file:///srv/fleet.git" },
		"a password":     func(spec map[string]any) { spec["url"] = "https://me:secret@git.example.com/fleet.git" },
	} {
		t.Run(name, func(t *testing.T) {
			spec := map[string]any{"url": "https://git.example.com/fleet.git"}
			object := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "pintle.dev/v1alpha1", "kind": "ManifestRepository",
				"metadata": map[string]any{"namespace": "default", "generateName": "wrong-"}, "spec": spec,
			}}
			if err := admin.Create(t.Context(), object.DeepCopy(), client.DryRunAll); err != nil {
				t.Fatalf("the right one is refused: %v", err)
			}
			spoil(spec)
			if err := admin.Create(t.Context(), object, client.DryRunAll); !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
}
