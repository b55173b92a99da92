// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/pintle-dev/pintle/fixtures/parts"
)

// account is the user that controllers with the rights of the install run as.
const account = "pintle-controller"

// restrict lets controllers that start from now on do what the install lets them do,
// and read no Secret.
func (w *world) restrict(cluster *parts.Cluster) {
	w.t.Helper()
	for _, file := range []string{"controller.yaml", "credentials.yaml"} {
		w.createIfMissing(clusterRole(w.t, file))
	}
	w.createIfMissing(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "pintle-controller"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: account}},
	})
	w.cluster = cluster.UserConfig(w.t, account)
}

// open lets these controllers read the Secrets of a namespace.
func (w *world) open(namespace string) {
	w.t.Helper()
	w.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pintle-credentials"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "pintle-credentials"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: account}},
	})
}

func (w *world) createIfMissing(o client.Object) {
	w.t.Helper()
	if err := w.client.Create(w.t.Context(), o); err != nil && !apierrors.IsAlreadyExists(err) {
		w.t.Fatal(err)
	}
}

// clusterRole reads the first document of a file of the install.
func clusterRole(t *testing.T, file string) *rbacv1.ClusterRole {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", file))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := bytes.Cut(text, []byte("\n---\n"))
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(first, role); err != nil {
		t.Fatal(err)
	}
	return role
}

// secret is an Opaque Secret, or one of another type.
func secret(namespace, name string, kind corev1.SecretType, data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: kind, StringData: data}
}
