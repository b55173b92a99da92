// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// DefaultPerSecond stays below what registries document. Docker Hub: some
	// thousands of requests a minute for one address (docs.docker.com/docker-hub/usage).
	// Amazon ECR: logins 20 a second with a burst of 200, all else more
	// (docs.aws.amazon.com/AmazonECR, "Troubleshooting error messages"). Quay.io:
	// "tens of requests per second from the same IP address"
	// (access.redhat.com/node/5531191). GHCR documents none; its answers name
	// 44,000 a minute.
	DefaultPerSecond = 20
	// burstSeconds of the rate may be asked at once, after a time of silence.
	burstSeconds = 5
	// slots are the requests on their way to one registry at the same time.
	slots = 8
	// slotsEach of them may be for the same repository, so that a slow one leaves
	// room for others.
	slotsEach = slots / 2
)

// Limits paces what is asked of each registry: so many requests a second, so many
// at once, each repository in its turn, and none for a while to a registry that is
// out of order. Clients that share one keep to it together. It is safe for
// concurrent use.
type Limits struct {
	perSecond float64

	mu    sync.Mutex
	gates map[string]*gate // by HOST[:PORT]
	swept time.Time
}

// NewLimits allows so many requests a second to each registry; 0 is 20, and
// below 0 is without this limit.
func NewLimits(perSecond float64) *Limits {
	if perSecond == 0 {
		perSecond = DefaultPerSecond
	}
	return &Limits{perSecond: perSecond, gates: map[string]*gate{}}
}

// gate is that of a registry; unit is the first wait when it is out of order.
func (l *Limits) gate(host string, unit time.Duration) *gate {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, found := l.gates[host]
	if !found {
		g = &gate{rate: rate.NewLimiter(rate.Inf, 0), lines: map[string]*line{}, failed: map[string]bool{}, circuit: circuit{unit: unit}}
		if l.perSecond > 0 {
			g.rate = rate.NewLimiter(rate.Limit(l.perSecond), max(1, int(burstSeconds*l.perSecond)))
		}
		l.dropIdle(time.Now())
		l.gates[host] = g
	}
	g.used = time.Now()
	return g
}

// gate lets requests through to one registry. Repositories that wait stand in a
// ring: each gets one request through, and then the next one has its turn,
// however many requests the first one has.
type gate struct {
	rate *rate.Limiter
	used time.Time // the last time; Limits guards it

	mu      sync.Mutex
	lines   map[string]*line // by repository; those that wait, are asked about or failed
	ring    []*line          // those that wait, the next one in front
	running int
	alarm   *time.Timer // of the next dispatch, where only time has to pass
	circuit circuit
	failed  map[string]bool // repositories, since the last answer
	swept   time.Time
}

// line is the requests for one repository.
type line struct {
	repository string
	waiting    []chan admission
	running    int
	circuit    circuit
}

// admission is the answer to a request that waits.
type admission struct {
	turn *turn
	err  error
}

// turn is the right to send one request; it is handed back by leave.
type turn struct {
	gate *gate
	line *line
	// Whether it is the one that finds out whether the registry, or the repository, is
	// well again.
	probesAll, probesOwn bool
}

// enter waits for a turn.
func (g *gate) enter(ctx context.Context, repository string) (*turn, error) {
	g.mu.Lock()
	l := g.line(repository, time.Now())
	if err := g.refusal(l, time.Now()); err != nil {
		g.drop(l)
		g.mu.Unlock()
		return nil, err
	}
	ready := make(chan admission, 1)
	if len(l.waiting) == 0 {
		g.ring = append(g.ring, l)
	}
	l.waiting = append(l.waiting, ready)
	g.dispatch()
	g.mu.Unlock()

	select {
	case a := <-ready:
		return a.turn, a.err
	case <-ctx.Done():
		g.mu.Lock()
		g.withdraw(l, ready)
		g.mu.Unlock()
		select {
		case a := <-ready: // it came at the same moment
			if a.turn != nil {
				_ = a.turn.leave(outcome{})
			}
		default:
		}
		return nil, ctx.Err()
	}
}

// leave hands the turn back. The error says that the registry is not asked for a
// while because of this outcome.
func (t *turn) leave(o outcome) error {
	g := t.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	t.line.running--
	err := g.take(t, o, time.Now())
	g.drop(t.line)
	g.dispatch()
	return err
}

// dispatch gives turns to those that wait, as far as they go.
func (g *gate) dispatch() {
	now := time.Now()
	g.refuse(now)
	for len(g.ring) > 0 && g.running < slots {
		l, wait := g.next(now)
		if l != nil {
			wait = g.token(now)
		}
		if l == nil || wait > 0 {
			g.wake(wait)
			return
		}
		g.admit(l)
	}
}

// next is the repository whose turn it is. Where there is none, it is how long to
// wait for one, or 0 for until a turn is handed back.
func (g *gate) next(now time.Time) (*line, time.Duration) {
	var soonest time.Duration
	for _, l := range g.ring {
		wait, known := g.wait(l, now)
		switch {
		case l.running >= slotsEach || !known:
		case wait == 0:
			return l, 0
		case soonest == 0 || wait < soonest:
			soonest = wait
		}
	}
	return nil, soonest
}

// wake dispatches again after a while.
func (g *gate) wake(after time.Duration) {
	if g.alarm != nil {
		g.alarm.Stop()
		g.alarm = nil
	}
	if after <= 0 {
		return
	}
	g.alarm = time.AfterFunc(after, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.dispatch()
	})
}

// token takes one request of the rate, or says how long to wait for it.
func (g *gate) token(now time.Time) time.Duration {
	r := g.rate.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// admit lets the first request of a line in and puts the line last.
func (g *gate) admit(l *line) {
	ready := l.waiting[0]
	l.waiting = l.waiting[1:]
	g.ring = slices.DeleteFunc(g.ring, func(other *line) bool { return other == l })
	if len(l.waiting) > 0 {
		g.ring = append(g.ring, l)
	}
	g.running++
	l.running++
	ready <- admission{turn: &turn{gate: g, line: l, probesAll: g.circuit.probe(), probesOwn: l.circuit.probe()}}
}

// refuse sends those away who would have to wait long.
func (g *gate) refuse(now time.Time) {
	g.ring = slices.DeleteFunc(g.ring, func(l *line) bool {
		err := g.refusal(l, now)
		if err == nil {
			return false
		}
		for _, ready := range l.waiting {
			ready <- admission{err: err}
		}
		l.waiting = nil
		g.drop(l)
		return true
	})
}

func (g *gate) line(repository string, now time.Time) *line {
	l, found := g.lines[repository]
	if !found {
		g.sweep(now)
		l = &line{repository: repository, circuit: circuit{unit: g.circuit.unit}}
		g.lines[repository] = l
	}
	return l
}

// sweep forgets repositories that failed long ago.
func (g *gate) sweep(now time.Time) {
	if now.Sub(g.swept) < keepIdle {
		return
	}
	g.swept = now
	for _, l := range g.lines {
		if now.Sub(l.circuit.last) > keepIdle {
			l.circuit.open()
			g.drop(l)
		}
	}
}

// withdraw takes back a request that waits.
func (g *gate) withdraw(l *line, ready chan admission) {
	l.waiting = slices.DeleteFunc(l.waiting, func(c chan admission) bool { return c == ready })
	if len(l.waiting) == 0 {
		g.ring = slices.DeleteFunc(g.ring, func(other *line) bool { return other == l })
		g.drop(l)
	}
}

// drop forgets a line without requests and faults.
func (g *gate) drop(l *line) {
	if l.running == 0 && len(l.waiting) == 0 && l.circuit.last.IsZero() && g.lines[l.repository] == l { // not a later one of that name
		delete(g.lines, l.repository)
	}
}
