// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// LongestWait bounds how long a change waits for others.
const LongestWait = 30 * time.Second

// gate lets a lone change of a repository through at once, and gathers what comes
// soon after into one push.
type gate struct {
	quiet time.Duration

	mu            sync.Mutex
	opened        time.Time // when something was let through last
	oldest, young time.Time // of the changes that wait; zero where none does
}

// arrive takes note of a change.
func (g *gate) arrive(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.oldest.IsZero() {
		g.oldest = now
	}
	g.young = now
}

// wait is how long the changes still have to wait; zero or less lets them through.
func (g *gate) wait(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.oldest.IsZero() || g.oldest.Sub(g.opened) >= g.quiet {
		return 0
	}
	quiet, bound := g.young.Add(g.quiet), g.oldest.Add(LongestWait)
	if bound.Before(quiet) {
		quiet = bound
	}
	return quiet.Sub(now)
}

// waits tells whether a change does.
func (g *gate) waits() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.oldest.IsZero()
}

// pass lets through all that waits. It tells whether anything did.
func (g *gate) pass(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	waited := !g.oldest.IsZero()
	if waited {
		g.opened = now
	}
	g.oldest, g.young = time.Time{}, time.Time{}
	return waited
}

// gates has one gate for each repository.
type gates struct {
	quiet time.Duration

	mu    sync.Mutex
	known map[types.NamespacedName]*gate
}

func newGates(quiet time.Duration) *gates {
	return &gates{quiet: quiet, known: map[types.NamespacedName]*gate{}}
}

func (g *gates) of(repository types.NamespacedName) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known[repository] == nil {
		g.known[repository] = &gate{quiet: g.quiet}
	}
	return g.known[repository]
}

func (g *gates) forget(repository types.NamespacedName) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.known, repository)
}
