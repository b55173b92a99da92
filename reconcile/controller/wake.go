// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// wake puts objects into the queues of the reconcilers.
type wake struct {
	policies, repositories chan event.TypedGenericEvent[types.NamespacedName]
	gates                  *gates
	now                    func() time.Time
}

func newWake(gates *gates, now func() time.Time) *wake {
	// The reader only moves names to a queue that drops doubles, so a full channel
	// empties at once.
	const waiting = 1024
	return &wake{make(chan event.TypedGenericEvent[types.NamespacedName], waiting), make(chan event.TypedGenericEvent[types.NamespacedName], waiting), gates, now}
}

func (w *wake) policy(ctx context.Context, name types.NamespacedName) {
	send(ctx, w.policies, name)
}

// repository says that there may be something to write.
func (w *wake) repository(ctx context.Context, name types.NamespacedName) {
	w.gates.of(name).arrive(w.now())
	send(ctx, w.repositories, name)
}

// send gives up when the process ends, as nobody reads any more then.
func send(ctx context.Context, to chan<- event.TypedGenericEvent[types.NamespacedName], name types.NamespacedName) {
	select {
	case to <- event.TypedGenericEvent[types.NamespacedName]{Object: name}:
	case <-ctx.Done():
	}
}
