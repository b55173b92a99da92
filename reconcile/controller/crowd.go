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

// roomAfter is when one that found no room tries again, should nobody call it.
const roomAfter = time.Minute

// crowds bound how many ask one host at once, and how many of one namespace ask at all:
// a host that does not answer is not to hold up the others, nor a namespace that names
// many such hosts. Who finds no room waits, and is called in the order of arrival.
type crowds struct {
	perHost, perNamespace int

	mu      sync.Mutex
	inside  map[spot]int // with those that were called
	waiting []visit      // none of whom has room
	called  map[types.NamespacedName]visit
}

// spot is what has room for so many: a host, or else a namespace.
type spot struct{ host, namespace string }

// visit is what an object wants to do.
type visit struct {
	name types.NamespacedName
	host string
}

func (v visit) spots() (host, namespace spot) {
	return spot{host: v.host}, spot{namespace: v.name.Namespace}
}

func newCrowds(perHost, perNamespace int) *crowds {
	return &crowds{perHost: perHost, perNamespace: perNamespace, inside: map[spot]int{}, called: map[types.NamespacedName]visit{}}
}

// enter tells whether there is room for an object at a host, and takes it. Where there
// is none, the object waits. called are those who may
// try now, since the object no longer wants to elsewhere.
func (c *crowds) enter(name types.NamespacedName, host string) (in bool, called []types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := visit{name, host}
	if c.called[name] == v {
		delete(c.called, name)
		return true, nil
	}
	if slices.Contains(c.waiting, v) {
		return false, nil
	}
	called = c.withdraw(name)
	if c.hasRoom(v) {
		c.count(v, 1)
		return true, called
	}
	c.waiting = append(c.waiting, v)
	return false, called
}

// leave is the end of what enter began. It returns who is to try now.
func (c *crowds) leave(name types.NamespacedName, host string) (called []types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.free(visit{name, host})
}

// stayAway is for an object that has nothing to do at any host. It returns who is to
// try now.
func (c *crowds) stayAway(name types.NamespacedName) (called []types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.withdraw(name)
}

func (c *crowds) withdraw(name types.NamespacedName) []types.NamespacedName {
	c.waiting = slices.DeleteFunc(c.waiting, func(v visit) bool { return v.name == name })
	v, has := c.called[name]
	if !has {
		return nil
	}
	delete(c.called, name)
	return c.free(v)
}

// free gives the places of a visit to those who waited for them.
func (c *crowds) free(v visit) (called []types.NamespacedName) {
	host, namespace := v.spots()
	hostWasFull, namespaceWasFull := c.inside[host] >= c.perHost, c.inside[namespace] >= c.perNamespace
	c.count(v, -1)
	hasNews := func() bool {
		return hostWasFull && c.inside[host] < c.perHost || namespaceWasFull && c.inside[namespace] < c.perNamespace
	}
	for i := 0; i < len(c.waiting) && hasNews(); {
		next := c.waiting[i]
		if !c.hasRoom(next) {
			i++
			continue
		}
		c.count(next, 1)
		c.called[next.name] = next
		c.waiting = slices.Delete(c.waiting, i, i+1)
		called = append(called, next.name)
	}
	return called
}

func (c *crowds) hasRoom(v visit) bool {
	host, namespace := v.spots()
	return c.inside[host] < c.perHost && c.inside[namespace] < c.perNamespace
}

func (c *crowds) count(v visit, by int) {
	host, namespace := v.spots()
	for _, s := range []spot{host, namespace} {
		if c.inside[s] += by; c.inside[s] == 0 {
			delete(c.inside, s)
		}
	}
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
