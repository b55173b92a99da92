// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// What a signal calls off is no error that a log should tell of; what goes wrong before is.
func TestWhatIsCalledOffIsNoError(t *testing.T) {
	broken := errors.New("the API server is away")
	away := interceptor.NewClient(objects(t), interceptor.Funcs{Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
		return errors.Join(broken, ctx.Err())
	}})
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for title, reconcile := range map[string]func(context.Context, ctrl.Request) (ctrl.Result, error){
		"policy":     (&policyReconciler{client: away, metrics: m, recorder: events.NewFakeRecorder(1)}).Reconcile,
		"repository": (&repositoryReconciler{client: away, crowds: newCrowds(1, 1), metrics: m, recorder: events.NewFakeRecorder(1)}).Reconcile,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := reconcile(ctx, ctrl.Request{NamespacedName: named("prod", "app")}); !errors.Is(err, broken) {
			t.Errorf("%s: %v, want %v", title, err, broken)
		}
		cancel()
		if _, err := reconcile(ctx, ctrl.Request{NamespacedName: named("prod", "app")}); err != nil {
			t.Errorf("%s, when the process ends: %v", title, err)
		}
	}
}
