// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/reconcile"
)

// outcome is what a pass over one repository found of one policy.
type outcome struct {
	reconcile.Policy
	reconcile.Memory
}

// board is where passes leave what they found, for the status of policies.
type board struct {
	mu sync.Mutex
	// outcomes are by repository and policy; a repository is there once it was
	// looked at, or could not be.
	outcomes map[types.NamespacedName]map[types.NamespacedName]outcome
	failed   map[types.NamespacedName]bool // repositories, by their last pass
}

func newBoard() *board {
	return &board{outcomes: map[types.NamespacedName]map[types.NamespacedName]outcome{}, failed: map[types.NamespacedName]bool{}}
}

// post replaces what is known of a repository, and returns the policies about which
// there is news.
func (b *board) post(repository types.NamespacedName, found map[types.NamespacedName]outcome) []types.NamespacedName {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, known := b.outcomes[repository]
	b.outcomes[repository] = found
	delete(b.failed, repository)
	news := map[types.NamespacedName]bool{}
	for policy, is := range found {
		if was, ok := before[policy]; !known || !ok || !reflect.DeepEqual(was, is) {
			news[policy] = true
		}
	}
	for policy := range before {
		if _, ok := found[policy]; !ok {
			news[policy] = true
		}
	}
	return slices.Collect(maps.Keys(news))
}

// fail notes that a repository could not be looked at: what was known of it stays. It
// tells whether that is new.
func (b *board) fail(repository types.NamespacedName) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outcomes[repository] == nil {
		b.outcomes[repository] = map[types.NamespacedName]outcome{}
	}
	before := b.failed[repository]
	b.failed[repository] = true
	return !before
}

func (b *board) failing(repository types.NamespacedName) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed[repository]
}

// drop forgets a repository, and returns the policies that had fields there.
func (b *board) drop(repository types.NamespacedName) []types.NamespacedName {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.outcomes[repository]
	delete(b.outcomes, repository)
	delete(b.failed, repository)
	return slices.Collect(maps.Keys(before))
}

// of is what passes over a repository found of a policy. looked is false until there
// was one.
func (b *board) of(repository, policy types.NamespacedName) (found outcome, has, looked bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	outcomes, looked := b.outcomes[repository]
	found, has = outcomes[policy]
	return found, has, looked
}

// all are the outcomes of a repository.
func (b *board) all(repository types.NamespacedName) map[types.NamespacedName]outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.outcomes[repository])
}
