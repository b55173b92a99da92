// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/fixtures/faults"
	"github.com/pintle-dev/pintle/fixtures/images"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry"
)

// While a registry, or a login, is missing, what was selected last is kept beside the
// cause, and so is when its digest was first seen. Another rule knows nothing of it.
func TestResolutionsKeepTheLastSelection(t *testing.T) {
	r := faults.New(t, faults.Options{})
	digest := images.Push(t, r.Calm, "app", "1.0.0", "one")
	account := reconcile.NewAccount(registry.Options{PlainHTTP: []string{r.Host}})
	resolutions := reconcile.NewResolutions()
	p := &v1alpha1.ImagePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "app"}}
	p.Spec.Image, p.Spec.Select.Semver = r.Host+"/app", &v1alpha1.Semver{Range: ">=1"}
	look := func() reconcile.Resolution {
		t.Helper()
		if err := resolutions.Look(t.Context(), account, []*v1alpha1.ImagePolicy{p}, time.Now(), reconcile.BySchedule); err != nil {
			t.Fatal(err)
		}
		found, ok := resolutions.Of(p)
		if !ok {
			t.Fatal("no resolution")
		}
		return found
	}
	selected := &reconcile.TagDigest{Tag: "1.0.0", Digest: digest}
	first := look()
	if diff := cmp.Diff(reconcile.Resolution{Selected: selected, FirstSeen: first.FirstSeen}, first); diff != "" {
		t.Fatalf("the first one (-want +got):\n%s", diff)
	}

	r.Inject(1, faults.ServerError)
	for range 2 {
		got := look()
		if !strings.HasPrefix(got.Message, "cannot list tags of "+p.Spec.Image+": the registry answers 50") || strings.Count(got.Message, "; the last selection was 1.0.0") != 1 {
			t.Errorf("the message is %s", got.Message)
		}
		got.Message = ""
		if diff := cmp.Diff(reconcile.Resolution{Last: selected, FirstSeen: first.FirstSeen, Reason: reconcile.Failed}, got); diff != "" {
			t.Errorf("while it is away (-want +got):\n%s", diff)
		}
	}
	resolutions.Fail(p, "there is no Secret")
	got, _ := resolutions.Of(p)
	if diff := cmp.Diff(reconcile.Resolution{Last: selected, FirstSeen: first.FirstSeen, Reason: reconcile.Failed, Message: "there is no Secret; the last selection was 1.0.0"}, got); diff != "" {
		t.Errorf("without a login (-want +got):\n%s", diff)
	}

	r.Inject(0)
	if diff := cmp.Diff(first, look()); diff != "" {
		t.Errorf("when it is back (-want +got):\n%s", diff)
	}
	p.Spec.Select.Semver.Range = ">=2"
	if got := look(); got.Reason != reconcile.NoMatch || got.Last != nil {
		t.Errorf("another rule: %+v", got)
	}
	r.Inject(1, faults.ServerError)
	if got := look(); got.Last != nil || strings.Contains(got.Message, "last selection") {
		t.Errorf("another rule, without an answer: %+v", got)
	}
}
