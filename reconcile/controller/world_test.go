// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	cmpdiff "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/config/crd"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/fixtures/parts"
	"github.com/pintle-dev/pintle/reconcile/controller"
)

// shared is the API server of all tests here. Each test has a namespace of its own,
// and leaves no object of ours behind, since controllers look at all namespaces.
var shared *parts.Cluster

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	cluster, stop, err := parts.StartKubeAPIServer()
	if err != nil {
		log.Fatal(err)
	}
	shared = cluster
	if err := installCRDs(cluster.Config); err != nil {
		stop()
		log.Fatal(err)
	}
	code := m.Run()
	stop()
	os.Exit(code)
}

func installCRDs(cluster *rest.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(cluster, client.Options{Scheme: newScheme()})
	if err != nil {
		return err
	}
	for _, text := range [][]byte{crd.ImagePolicies(), crd.ManifestRepositories()} {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, definition); err != nil {
			return err
		}
		if err := c.Create(ctx, definition); err != nil {
			return err
		}
		for !established(definition) {
			if err := c.Get(ctx, client.ObjectKeyFromObject(definition), definition); err != nil {
				return err
			}
		}
	}
	return nil
}

func established(d *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range d.Status.Conditions {
		if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
			return true
		}
	}
	return false
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
}

// world is a namespace, a registry, and a Git server with one repository.
type world struct {
	t         *testing.T
	cluster   *rest.Config
	client    client.Client
	namespace string
	registry  string
	store     string // the registry itself, to push to, where something stands before it
	server    *gitserver.Server
	repo      gitserver.Repo
	logger    *logr.Logger            // of controllers; nil for the test's own
	only      map[string]cache.Config // the namespaces that controllers look at; nil for all
}

// newOwnWorld is a world for a test that runs beside others: its controllers look at
// its own namespace alone.
func newOwnWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := newWorld(t, shared.Config)
	w.only = map[string]cache.Config{w.namespace: {}}
	return w
}

func newWorld(t *testing.T, cluster *rest.Config) *world {
	t.Helper()
	c, err := client.New(cluster, client.Options{Scheme: newScheme()})
	if err != nil {
		t.Fatal(err)
	}
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Create(t.Context(), space); err != nil {
		t.Fatal(err)
	}
	server := gitserver.New(t, gitserver.Options{})
	w := &world{t: t, cluster: cluster, client: c, namespace: space.Name, registry: parts.Registry(t, parts.RegistryOptions{}), server: server, repo: server.Create("fleet")}
	w.store = w.registry
	w.clear(w.namespace)
	return w
}

// controller runs until the test ends, or until it is stopped.
func (w *world) controller(options controller.Options) (stop func()) {
	w.t.Helper()
	options.PlainHTTP = append(options.PlainHTTP, "127.0.0.1")
	if options.Metrics == nil {
		options.Metrics = prometheus.NewRegistry()
	}
	options.LookEvery = cmp.Or(options.LookEvery, 200*time.Millisecond)
	// Once, so that what is asked besides can be counted.
	options.FindBuilds = cmp.Or(options.FindBuilds, time.Hour)
	same := true // names are checked for the whole process
	logger := testr.NewWithOptions(w.t, testr.Options{Verbosity: 0})
	if w.logger != nil {
		logger = *w.logger
	}
	mgr, err := ctrl.NewManager(w.cluster, ctrl.Options{
		Scheme: newScheme(), Logger: logger,
		Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		Controller: config.Controller{SkipNameValidation: &same}, Cache: cache.Options{DefaultNamespaces: w.only},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := controller.Add(mgr, options); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the controller ended with: %v", err)
		}
	}
	w.t.Cleanup(stop)
	return stop
}

func (w *world) image(name string) string { return w.registry + "/" + name }

func (w *world) push(name string, tags ...string) {
	w.t.Helper()
	for _, tag := range tags {
		images.Push(w.t, w.store, name, tag, name+":"+tag)
	}
}

// policy is an ImagePolicy that follows all versions of an image, twice a second.
func (w *world) policy(name, image string) *v1alpha1.ImagePolicy {
	return &v1alpha1.ImagePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.ImagePolicySpec{
			Image: w.image(image), Schedule: "@every 1s",
			Select: v1alpha1.Select{Semver: &v1alpha1.Semver{Range: ">=1.0.0"}},
		},
	}
}

func (w *world) repository(name string) *v1alpha1.ManifestRepository {
	return &v1alpha1.ManifestRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.ManifestRepositorySpec{URL: w.repo.URL, Branch: "main"},
	}
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.client.Create(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	}
}

// deployment has one field that is bound to a policy by a marker.
func (w *world) deployment(name, image, policy string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - name: main
        image: %[2]s # {"$imagepolicy": "%[3]s:%[4]s"}
`, name, w.image(image), w.namespace, policy)
}

// reference is what a manifest at the head holds.
func (w *world) reference(file string) string {
	w.t.Helper()
	for line := range strings.SplitSeq(gitserver.Git(w.t, w.repo.Dir, "show", "main:"+file), "\n") {
		if _, value, ok := strings.Cut(line, "image: "); ok {
			value, _, _ = strings.Cut(value, " ")
			return strings.TrimPrefix(value, w.registry+"/")
		}
	}
	w.t.Fatalf("%s has no image", file)
	return ""
}

// patience bounds every wait.
const patience = 40 * time.Second

// until waits for a condition; it fails the test with what was seen last.
func (w *world) until(what string, holds func() (seen string, ok bool)) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		seen, ok := holds()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not after %v; last seen:\n%s", what, patience, seen)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// untilTag waits until a manifest holds a tag.
func (w *world) untilTag(file, tag string) {
	w.t.Helper()
	w.until(file+" holds "+tag, func() (string, bool) {
		is := w.reference(file)
		return is, strings.Contains(is, ":"+tag+"@")
	})
}

// untilReady waits until the condition Ready of an object has a reason, at the
// object's newest generation.
func (w *world) untilReady(o client.Object, reason string) metav1.Condition {
	w.t.Helper()
	return w.untilCondition(o, v1alpha1.ConditionReady, reason)
}

func (w *world) untilCondition(o client.Object, kind, reason string) metav1.Condition {
	w.t.Helper()
	var found metav1.Condition
	w.until(fmt.Sprintf("%s of %s is %s", kind, o.GetName(), reason), func() (string, bool) {
		if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err.Error(), false
		}
		var all []metav1.Condition
		switch o := o.(type) {
		case *v1alpha1.ImagePolicy:
			all = o.Status.Conditions
		case *v1alpha1.ManifestRepository:
			all = o.Status.Conditions
		}
		text, _ := yaml.Marshal(all)
		c := meta.FindStatusCondition(all, kind)
		if c == nil {
			return string(text), false
		}
		found = *c
		return string(text), c.Reason == reason && c.ObservedGeneration == o.GetGeneration()
	})
	return found
}

// stays checks for a while that something does not change.
func (w *world) stays(long time.Duration, what string, is func() string) {
	w.t.Helper()
	first := is()
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if now := is(); now != first {
			w.t.Fatalf("%s changed (-before +after):\n%s", what, cmpdiff.Diff(first, now))
		}
	}
}

// status is the whole status of an object as it is now.
func (w *world) status(o client.Object) string {
	w.t.Helper()
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.t.Fatal(err)
	}
	all, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := yaml.Marshal(all["status"])
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// change patches an object, whatever its status is by now.
func (w *world) change(o client.Object, how func()) {
	w.t.Helper()
	before, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		w.t.Fatalf("%T is no object", o)
	}
	how()
	if err := w.client.Patch(w.t.Context(), o, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

// space makes another namespace that the controllers look at.
func (w *world) space(labels map[string]string) string {
	w.t.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	w.create(space)
	w.clear(space.Name)
	if w.only != nil {
		w.only[space.Name] = cache.Config{}
	}
	return space.Name
}

// clear deletes our objects of a namespace when the test ends.
func (w *world) clear(namespace string) {
	w.t.Cleanup(func() {
		for _, kind := range []client.Object{&v1alpha1.ImagePolicy{}, &v1alpha1.ManifestRepository{}} {
			if err := w.client.DeleteAllOf(context.Background(), kind, client.InNamespace(namespace)); err != nil {
				w.t.Errorf("cannot clean up: %v", err)
			}
		}
	})
}

// commits is how many commits the branch main of a repository has.
func commits(t *testing.T, repo gitserver.Repo) int {
	t.Helper()
	count, err := strconv.Atoi(gitserver.Git(t, repo.Dir, "rev-list", "--count", "main"))
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// revert undoes the newest commit, as a person does.
func (w *world) revert() {
	w.t.Helper()
	dir := w.repo.Clone(w.t)
	gitserver.Git(w.t, dir, "revert", "--no-edit", "HEAD")
	gitserver.Git(w.t, dir, "push", "--quiet", "origin", "main")
}
