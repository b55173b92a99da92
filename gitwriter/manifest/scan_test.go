// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMarkerAndEdit(t *testing.T) {
	content := "kind: Pod\nspec:\n  containers:\n  - name: app\n    image: ghcr.io/acme/podinfo:6.1.0 # {\"$imagepolicy\": \"prod:podinfo\"}\n"
	fields, problems := Scan("pod.yaml", []byte(content), nil)
	if len(problems) > 0 || len(fields) != 1 {
		t.Fatalf("got fields %+v, problems %v", fields, problems)
	}
	if got, want := fields[0].Key, "Pod: spec.containers[name=app].image"; got != want {
		t.Errorf("got key %q, want %q", got, want)
	}
	edited, err := Edit([]byte(content), []Change{{Field: fields[0], New: "ghcr.io/acme/podinfo:6.2.0"}})
	if err != nil {
		t.Fatal(err)
	}
	want := "kind: Pod\nspec:\n  containers:\n  - name: app\n    image: ghcr.io/acme/podinfo:6.2.0 # {\"$imagepolicy\": \"prod:podinfo\"}\n"
	if diff := cmp.Diff(want, string(edited)); diff != "" {
		t.Error(diff)
	}
}
