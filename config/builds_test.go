// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbac "k8s.io/api/rbac/v1"
)

// starting are the rights in a namespace whose Builds may be started.
var starting = []string{"list shipwright.io/builds", "create shipwright.io/buildruns"}

func TestBuildsAreOpenedByNamespace(t *testing.T) {
	r := installed(t)
	admin := r.strict(t)
	for _, namespace := range []string{"builds", "nobuilds"} {
		fresh(t, admin, namespace)
	}
	// As the comment in rbac/builds.yaml says.
	bind(t, admin, "builds", "pintle-builds", rbac.Subject{Kind: rbac.ServiceAccountKind, Namespace: system, Name: account})
	controller := r.ServiceAccountConfig(t, system, account)
	mustHave(t, controller, "builds", everywhere, starting)
	mustHave(t, controller, "nobuilds", everywhere)
}

// The component adds a binding of that role, and nothing else.
func TestComponentOpensAllBuilds(t *testing.T) {
	folder := t.TempDir()
	var paths []any
	for _, name := range []string{defaults, starts} {
		here, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		path, err := filepath.Rel(folder, here)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	content := fmt.Sprintf("resources: [%s]\ncomponents: [%s]\n", paths...)
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	before, after := titles(mustBuild(t, defaults)), mustBuild(t, folder)
	added := slices.DeleteFunc(titles(after), func(name string) bool { return slices.Contains(before, name) })
	if diff := cmp.Diff([]string{"ClusterRoleBinding pintle-builds"}, added); diff != "" {
		t.Errorf("what the component adds (-want +got):\n%s", diff)
	}
	binding := find[rbac.ClusterRoleBinding](t, after, "ClusterRoleBinding", "pintle-builds")
	want := rbac.ClusterRoleBinding{
		RoleRef:  rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "pintle-builds"},
		Subjects: []rbac.Subject{{Kind: rbac.ServiceAccountKind, Namespace: system, Name: account}},
	}
	want.TypeMeta, want.ObjectMeta = binding.TypeMeta, binding.ObjectMeta
	if diff := cmp.Diff(want, *binding); diff != "" {
		t.Errorf("the binding (-want +got):\n%s", diff)
	}
}
