// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// timeToRead bounds a read of the API server that something waits for.
const timeToRead = 5 * time.Second

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
	fresh := reflect.New(reflect.TypeOf(object).Elem())
	read, ok := reflect.TypeAssert[client.Object](fresh)
	if !ok {
		return fmt.Errorf("%T is no object of the API", object)
	}
	ctx, cancel := context.WithTimeout(ctx, timeToRead)
	defer cancel()
	if err := live.Get(ctx, name, read); apierrors.IsNotFound(err) {
		return err
	} else if err != nil {
		return nil // Without an API server, registries and Git are looked after all the same.
	}
	reflect.ValueOf(object).Elem().Set(fresh.Elem())
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
