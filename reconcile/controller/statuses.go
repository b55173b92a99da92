// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// statuses remembers those that were written last. A cache lags behind: what is
// reckoned from an older status, and compared with it, would stand until something
// else happens. The zero value is ready.
type statuses[S any] struct {
	mu   sync.Mutex
	last map[types.NamespacedName]S
}

// get reads an object, whose status is status, from a cache; and live where the cache
// has not seen yet what was written.
func (s *statuses[S]) get(ctx context.Context, cache, live client.Reader, name types.NamespacedName, object client.Object, status *S) error {
	if err := cache.Get(ctx, name, object); err != nil {
		return err
	}
	s.mu.Lock()
	last, known := s.last[name]
	s.mu.Unlock()
	if !known || sameStatus(last, *status) {
		return nil
	}
	reflect.ValueOf(object).Elem().SetZero() // or what is no more would stay
	if err := live.Get(ctx, name, object); err != nil {
		return err
	}
	s.note(name, *status)
	return nil
}

// note takes down what was written, or may have been.
func (s *statuses[S]) note(name types.NamespacedName, status S) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[types.NamespacedName]S{}
	}
	s.last[name] = status
}

func (s *statuses[S]) forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, name)
}
