// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/api/v1alpha1"
)

// longestLook bounds a look that goes on and on. What counts is that it goes on: to date
// 100,000 tags takes some hours at the usual 20 requests a second.
const longestLook = 12 * time.Hour

// endlessError says that a look was given up.
type endlessError struct{ after time.Duration }

func (e *endlessError) Error() string {
	return fmt.Sprintf("the registry was asked for %s, and there was no end to it", e.after)
}

// errChanged says that what was asked was called off, since the policy changed.
var errChanged = errors.New("the policy changed while its registry was asked")

// turns are those of policies that ask a registry now.
type turns struct {
	crowds  *crowds
	longest time.Duration

	mu      sync.Mutex
	running map[types.NamespacedName]context.CancelFunc
}

func newTurns(longest time.Duration) *turns {
	return &turns{crowds: newCrowds(perRegistry, policiesOfNamespace), longest: longest, running: map[types.NamespacedName]context.CancelFunc{}}
}

// stop ends what is asked for a policy: it is not the same any more.
func (t *turns) stop(policy types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if cancel := t.running[policy]; cancel != nil {
		cancel()
	}
}

// begin gives the context of a turn.
func (t *turns) begin(ctx context.Context, policy types.NamespacedName) (_ context.Context, end func()) {
	ctx, cancelTime := context.WithTimeoutCause(ctx, t.longest, &endlessError{t.longest})
	ctx, cancel := context.WithCancel(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running[policy] = cancel
	return ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.running, policy)
		cancel()
		cancelTime()
	}
}

// inTurn asks something of a policy's registry, if it is the policy's turn. Else the
// policy waits, and is woken when it is. The error is errChanged where a change of the
// policy called it off.
func (r *policyReconciler) inTurn(ctx context.Context, policy *v1alpha1.ImagePolicy, ask func(turn context.Context) error) (waits bool, err error) {
	host := registryOf(policy.Spec.Image)
	in, called := r.turns.crowds.enter(key(policy), host)
	r.call(ctx, called)
	if !in {
		return true, nil
	}
	turn, end := r.turns.begin(ctx, key(policy))
	defer func() {
		end()
		r.call(ctx, r.turns.crowds.leave(key(policy), host))
	}()
	err = ask(turn)
	if ctx.Err() == nil && errors.Is(context.Cause(turn), context.Canceled) {
		return false, errChanged
	}
	return false, err
}

// stayAway gives up the turn that a policy may have waited for.
func (r *policyReconciler) stayAway(ctx context.Context, policy types.NamespacedName) {
	r.call(ctx, r.turns.crowds.stayAway(policy))
}

// call wakes those whose turn it is.
func (r *policyReconciler) call(ctx context.Context, policies []types.NamespacedName) {
	for _, p := range policies {
		r.wake.policy(ctx, p)
	}
}
