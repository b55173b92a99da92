// SPDX-License-Identifier: Apache-2.0

package registry

import "time"

// keepIdle is how long what is known of a registry is kept that nobody asks: who names
// another one each minute fills no memory.
const keepIdle = 20 * time.Minute

// dropIdle forgets registries that nobody asked for long, and that are not waited for.
func (l *Limits) dropIdle(now time.Time) {
	if now.Sub(l.swept) < keepIdle/4 {
		return
	}
	l.swept = now
	for host, g := range l.gates {
		if now.Sub(g.used) > keepIdle && g.idle(now) {
			delete(l.gates, host)
		}
	}
}

// idle tells whether nobody waits or is on the way, and no wait would be cut short by
// forgetting the gate.
func (g *gate) idle(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	waits := g.running > 0 || len(g.ring) > 0 || now.Before(g.circuit.until)
	for _, l := range g.lines {
		waits = waits || now.Before(l.circuit.until)
	}
	return !waits
}

// dropIdle forgets registries and logins that nobody used for long.
func (c *Client) dropIdle(now time.Time) {
	if now.Sub(c.swept) < keepIdle/4 {
		return
	}
	c.swept = now
	for name, h := range c.hosts {
		h.grants.sweep(now.Add(-keepIdle))
		h.opened.Range(func(repository, _ any) bool {
			if name, _ := repository.(string); !h.grants.has(name) {
				h.opened.Delete(repository)
			}
			return true
		})
		if now.Sub(h.used) > keepIdle && h.wire.pauses.over(now) {
			delete(c.hosts, name)
			h.wire.base.CloseIdleConnections()
		}
	}
}

// over tells whether no pause is under way.
func (p *pauses) over(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.until) && !now.Before(p.pulls)
}

func (m *memo[V]) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, found := m.answers[key]
	return found
}

// sweep drops the answers that nobody asked for since.
func (m *memo[V]) sweep(since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, a := range m.answers {
		select {
		case <-a.done:
			if a.used.Before(since) {
				delete(m.answers, key)
			}
		default: // being fetched
		}
	}
}
