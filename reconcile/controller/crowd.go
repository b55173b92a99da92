// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-dev/pintle/gitwriter/mirror"
	"github.com/pintle-dev/pintle/registry"
)

// roomAfter is when one that found no room tries again, at the latest.
const roomAfter = time.Second

// crowds bound how many ask one host at once: a host that does not answer is not to hold
// up the others.
type crowds struct {
	most int

	mu      sync.Mutex
	inside  map[string]int
	waiting map[string][]types.NamespacedName // who came first is first
}

func newCrowds(most int) *crowds {
	return &crowds{most: most, inside: map[string]int{}, waiting: map[string][]types.NamespacedName{}}
}

// enter tells whether there is room at a host.
func (c *crowds) enter(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside[host] >= c.most {
		return false
	}
	c.inside[host]++
	return true
}

// enterOrWait is enter for one that is named by next when there is room.
func (c *crowds) enterOrWait(host string, name types.NamespacedName) bool {
	if c.enter(host) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.waiting[host], name) {
		c.waiting[host] = append(c.waiting[host], name)
	}
	return false
}

func (c *crowds) leave(host string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inside[host]--; c.inside[host] == 0 {
		delete(c.inside, host)
	}
}

// next takes out who is to try now, if there is room and somebody waits.
func (c *crowds) next(host string) (name types.NamespacedName, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.waiting[host]
	if c.inside[host] >= c.most || len(waiting) == 0 {
		return types.NamespacedName{}, false
	}
	if c.waiting[host] = waiting[1:]; len(waiting) == 1 {
		delete(c.waiting, host)
	}
	return waiting[0], true
}

// registryOf is the host that an image is at.
func registryOf(image string) string {
	name, err := registry.Canonical(image)
	if err != nil {
		return image
	}
	host, _, _ := strings.Cut(name, "/")
	return host
}

// serverOf is the host of a URL.
func serverOf(text string) string {
	u, err := mirror.URL(text)
	if err != nil {
		return text
	}
	return strings.ToLower(u.Host)
}
