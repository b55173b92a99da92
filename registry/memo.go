// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"sync"
	"time"
)

// memo answers each key once: callers that ask while the answer is being
// fetched wait for it, later ones get what was answered. The zero value is
// ready; it must not be copied.
type memo[V any] struct {
	mu      sync.Mutex
	answers map[string]*answer[V]
	// keepFaults remembers errors too. Without it, the next caller tries again.
	keepFaults bool
}

type answer[V any] struct {
	done  chan struct{} // closed when the fields below are set
	value V
	err   error
	// abandoned: it failed because its caller gave up, which says nothing to
	// those who still want to know.
	abandoned bool
	used      time.Time // the last time; the memo guards it
}

func (a *answer[V]) settled() bool {
	select {
	case <-a.done:
		return true
	default: // being fetched
		return false
	}
}

// get gives the remembered answer or fetches it. ctx is that of fetch too.
func (m *memo[V]) get(ctx context.Context, key string, fetch func() (V, error)) (V, error) {
	return m.getUnless(ctx, key, func(V) bool { return false }, fetch)
}

// getUnless is get where an answer that is stale counts for nothing.
func (m *memo[V]) getUnless(ctx context.Context, key string, stale func(V) bool, fetch func() (V, error)) (V, error) {
	for {
		m.mu.Lock()
		a, found := m.answers[key]
		if !found || a.settled() && stale(a.value) {
			a = &answer[V]{done: make(chan struct{})}
			if m.answers == nil {
				m.answers = make(map[string]*answer[V])
			}
			m.answers[key] = a
			a.used = time.Now()
			m.mu.Unlock()
			m.settle(ctx, key, a, fetch)
			return a.value, a.err
		}
		a.used = time.Now()
		m.mu.Unlock()

		select {
		case <-a.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		if !a.abandoned {
			return a.value, a.err
		}
	}
}

func (m *memo[V]) settle(ctx context.Context, key string, a *answer[V], fetch func() (V, error)) {
	a.abandoned = true // stays so if fetch panics
	defer func() {
		if a.abandoned || a.err != nil && !m.keepFaults {
			m.mu.Lock()
			delete(m.answers, key)
			m.mu.Unlock()
		}
		close(a.done)
	}()
	a.value, a.err = fetch()
	a.abandoned = a.err != nil && ctx.Err() != nil
}

// forget drops the answer of a key if it is settled and stale says so.
func (m *memo[V]) forget(key string, stale func(V) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, found := m.answers[key]; found && a.settled() && stale(a.value) {
		delete(m.answers, key)
	}
}
