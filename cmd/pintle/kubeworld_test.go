// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/config/crd"
	"github.com/pintle-dev/pintle/fixtures/gitserver"
	"github.com/pintle-dev/pintle/fixtures/parts"
)

// sharedCluster is one API server for all tests that want one, with Pintle's kinds.
// A test leaves none of our objects behind.
var sharedCluster lazyCluster

type lazyCluster struct {
	cluster *parts.Cluster
	end     func()
}

func (l *lazyCluster) get(t *testing.T) *parts.Cluster {
	t.Helper()
	if l.cluster != nil {
		return l.cluster
	}
	cluster, stop, err := parts.StartKubeAPIServer()
	if err != nil {
		t.Fatal(err)
	}
	if err := installKinds(cluster); err != nil {
		stop()
		t.Fatal(err)
	}
	l.cluster, l.end = cluster, stop
	return cluster
}

func (l *lazyCluster) stop() {
	if l.end != nil {
		l.end()
	}
}

func installKinds(cluster *parts.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin, err := newAdmin(cluster)
	if err != nil {
		return err
	}
	for _, text := range [][]byte{crd.ImagePolicies(), crd.ManifestRepositories()} {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(text, definition); err != nil {
			return err
		}
		if err := admin.Create(ctx, definition); err != nil {
			return err
		}
	}
	// They are there when they can be listed.
	for _, list := range []client.ObjectList{&v1alpha1.ImagePolicyList{}, &v1alpha1.ManifestRepositoryList{}} {
		for admin.List(ctx, list) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

func newAdmin(cluster *parts.Cluster) (client.Client, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(cluster.Config, client.Options{Scheme: scheme})
}

// kubeWorld is a world whose policy and repository are objects of a cluster: prod/app
// and prod/fleet.
type kubeWorld struct {
	*world

	t          *testing.T
	cluster    *parts.Cluster
	admin      client.Client
	kubeconfig string // the cluster admin's
}

// newKubeWorld has 1.0.0 in Git, and 1.1.0 in the registry besides.
func newKubeWorld(t *testing.T, options gitserver.Options) *kubeWorld {
	t.Helper()
	k := newCluster(t)
	k.world = newWorld(t, options)
	k.create(k.object("prod", "app", ">=1"), k.manifests("prod", "fleet", k.repo))
	return k
}

// newCluster has none of our objects in it, and no world around it.
func newCluster(t *testing.T) *kubeWorld {
	t.Helper()
	cluster := sharedCluster.get(t)
	admin, err := newAdmin(cluster)
	if err != nil {
		t.Fatal(err)
	}
	k := &kubeWorld{world: &world{}, t: t, cluster: cluster, admin: admin, kubeconfig: parts.KubeconfigFile(t, cluster.Config)}
	t.Cleanup(k.cleanUp)
	k.namespace("prod", nil)
	return k
}

func (k *kubeWorld) cleanUp() {
	ctx := context.Background()
	var policies v1alpha1.ImagePolicyList
	var repositories v1alpha1.ManifestRepositoryList
	for _, list := range []client.ObjectList{&policies, &repositories} {
		if err := k.admin.List(ctx, list); err != nil {
			k.t.Error(err)
		}
	}
	for i := range policies.Items {
		if err := k.admin.Delete(ctx, &policies.Items[i]); err != nil {
			k.t.Error(err)
		}
	}
	for i := range repositories.Items {
		if err := k.admin.Delete(ctx, &repositories.Items[i]); err != nil {
			k.t.Error(err)
		}
	}
}

// namespace makes a namespace if there is none of the name.
func (k *kubeWorld) namespace(name string, labels map[string]string) {
	k.t.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if err := k.admin.Create(k.t.Context(), space); err != nil && !apierrors.IsAlreadyExists(err) {
		k.t.Fatal(err)
	}
}

func (k *kubeWorld) create(objects ...client.Object) {
	k.t.Helper()
	for _, o := range objects {
		if err := k.admin.Create(k.t.Context(), o); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *kubeWorld) object(namespace, name, versions string) *v1alpha1.ImagePolicy {
	return &v1alpha1.ImagePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ImagePolicySpec{Image: k.image(), Select: v1alpha1.Select{Semver: &v1alpha1.Semver{Range: versions}}},
	}
}

func (k *kubeWorld) manifests(namespace, name string, repo gitserver.Repo) *v1alpha1.ManifestRepository {
	return &v1alpha1.ManifestRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ManifestRepositorySpec{URL: repo.URL, Branch: "main"},
	}
}

// change edits the spec of a ManifestRepository.
func (k *kubeWorld) change(name client.ObjectKey, edit func(*v1alpha1.ManifestRepositorySpec)) {
	k.t.Helper()
	r := &v1alpha1.ManifestRepository{}
	if err := k.admin.Get(k.t.Context(), name, r); err != nil {
		k.t.Fatal(err)
	}
	edit(&r.Spec)
	if err := k.admin.Update(k.t.Context(), r); err != nil {
		k.t.Fatal(err)
	}
}

// found writes what a controller would: in which repositories prod/app has fields.
func (k *kubeWorld) found(repositories ...string) {
	k.t.Helper()
	policy := &v1alpha1.ImagePolicy{}
	if err := k.admin.Get(k.t.Context(), client.ObjectKey{Namespace: "prod", Name: "app"}, policy); err != nil {
		k.t.Fatal(err)
	}
	policy.Status.Current = nil
	for _, r := range repositories {
		policy.Status.Current = append(policy.Status.Current, v1alpha1.Current{Repository: r, Fields: 1, Reason: "UpToDate"})
	}
	if err := k.admin.Status().Update(k.t.Context(), policy); err != nil {
		k.t.Fatal(err)
	}
}

// another is a repository of its own server, with a field of a policy at 1.0.0.
func (k *kubeWorld) another(marker string) gitserver.Repo {
	k.t.Helper()
	repo := gitserver.New(k.t, gitserver.Options{}).Create("other")
	content := "image: " + k.image() + ":1.0.0\n"
	if marker != "" {
		content = "image: " + k.image() + `:1.0.0 # {"$imagepolicy": "` + marker + `"}` + "\n"
	}
	repo.Seed(k.t, map[string]string{"app.yaml": content}, "Run 1.0.0")
	return repo
}

// writes has what is due in a repository written, as the controller writes it.
func (k *kubeWorld) writes(repo gitserver.Repo) {
	k.t.Helper()
	file := filepath.Join(k.t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(k.policy(">=1", "@daily")), 0o600); err != nil {
		k.t.Fatal(err)
	}
	if status, stdout, stderr := k.pintle(k.t, "sync", "--repo", repo.URL, "--policies", file); status != 0 {
		k.t.Fatalf("sync: status %d:\n%s%s", status, stdout, stderr)
	}
}

// kubectl runs a command against the cluster.
func (k *kubeWorld) kubectl(args ...string) (status int, stdout, stderr string) {
	k.t.Helper()
	return k.as(k.kubeconfig, args...)
}

// as is kubectl with another kubeconfig.
func (k *kubeWorld) as(kubeconfig string, args ...string) (status int, stdout, stderr string) {
	k.t.Helper()
	args = append(args, "--kubeconfig", kubeconfig)
	if args[0] != "refresh" {
		args = append(args, "--plain-http", k.host, "--plain-http", "127.0.0.1")
	}
	var out, complaints bytes.Buffer
	status = run(k.t.Context(), args, &out, &complaints)
	return status, out.String(), complaints.String()
}

// well is kubectl for what is to end well, and say some things.
func (k *kubeWorld) well(says []string, args ...string) string {
	k.t.Helper()
	status, stdout, stderr := k.kubectl(args...)
	if status != 0 || stderr != "" {
		k.t.Fatalf("%v: status %d:\n%s%s", args, status, stdout, stderr)
	}
	for _, part := range says {
		if !strings.Contains(stdout, part) {
			k.t.Errorf("%v lacks %q:\n%s", args, part, stdout)
		}
	}
	return stdout
}

// refused is kubectl for what is to fail with one line, and to change nothing.
func (k *kubeWorld) refused(want int, says string, args ...string) {
	k.t.Helper()
	before := k.repo.Head(k.t, "main")
	status, stdout, stderr := k.kubectl(args...)
	if status != want || !strings.Contains(stderr, says) {
		k.t.Errorf("%v: status %d, want %d and %q:\n%s%s", args, status, want, says, stdout, stderr)
	}
	if got := k.repo.Head(k.t, "main"); got != before {
		k.t.Errorf("%v moved the branch to %s", args, got)
	}
}

func decode[T any](t *testing.T, text string) (value T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return value
}

// grant lets a user do some things with the kinds of the API group; in all namespaces
// where none is named.
func (k *kubeWorld) grant(user, namespace string, verbs ...string) (kubeconfig string) {
	k.t.Helper()
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{"pintle.dev"}, Resources: []string{"imagepolicies", "manifestrepositories"}, Verbs: verbs},
		{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
	}
	meta := metav1.ObjectMeta{Name: user, Namespace: namespace}
	subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	role, binding := client.Object(&rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}), client.Object(&rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
	})
	if namespace != "" {
		role, binding = &rbacv1.Role{ObjectMeta: meta, Rules: rules}, &rbacv1.RoleBinding{
			ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		}
	}
	k.create(role, binding)
	return k.cluster.Kubeconfig(k.t, user)
}
