// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pintle-dev/pintle/api/v1alpha1"
	"github.com/pintle-dev/pintle/reconcile"
	"github.com/pintle-dev/pintle/registry/events"
)

// hints bring forward the looks that events ask for. A hint that concerns no policy
// costs no more than to see that.
type hints struct {
	inbox  *events.Inbox
	client client.Client
	agenda *agenda
	wake   *wake
	now    func() time.Time
}

// Start implements manager.Runnable; it runs where the reconcilers do.
func (h *hints) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.inbox.Ready():
			if err := h.follow(ctx, h.inbox.Take()); err != nil && ctx.Err() == nil {
				log.FromContext(ctx).Error(err, "events are left to the schedules")
			}
		}
	}
}

func (h *hints) follow(ctx context.Context, taken []events.Hint) error {
	var list v1alpha1.ImagePolicyList
	if err := h.client.List(ctx, &list); err != nil {
		return fmt.Errorf("cannot list policies: %w", err)
	}
	find := events.Find(taken)
	for i := range list.Items {
		p := &list.Items[i]
		hint, found := find(p.Spec.Image)
		if found && h.agenda.hint(key(p), reconcile.ByEvent(string(hint.Source)), h.now()) {
			h.wake.policy(ctx, key(p))
		}
	}
	return nil
}
