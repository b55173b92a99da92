// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// told is an outcome whose cause is a word.
func told(cause string) outcome { return outcome{cause: &fault{Unavailable, cause}} }

// crowd asks at a gate for repositories, and keeps in which order they get in.
type crowd struct {
	t    *testing.T
	gate *gate

	mu      sync.Mutex
	order   []string
	at      []time.Duration
	running map[string]int
	most    map[string]int // that ran at the same time, by repository; "" is all
	begun   time.Time
}

func newCrowd(t *testing.T, perSecond float64) *crowd {
	return &crowd{t: t, gate: NewLimits(perSecond).gate("registry.example", time.Second), running: map[string]int{}, most: map[string]int{}, begun: time.Now()}
}

// ask makes n requests side by side, in the order of their numbers.
func (c *crowd) ask(group *sync.WaitGroup, repository string, n int, takes time.Duration) {
	for range n {
		group.Go(func() {
			turn, err := c.gate.enter(c.t.Context(), repository)
			if err != nil {
				c.t.Error(err)
				return
			}
			c.count(repository, 1)
			time.Sleep(takes)
			c.count(repository, -1)
			if err := turn.leave(outcome{answered: true}); err != nil {
				c.t.Error(err)
			}
		})
	}
	synctest.Wait()
}

func (c *crowd) count(repository string, by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if by > 0 {
		c.order = append(c.order, repository)
		c.at = append(c.at, time.Since(c.begun))
	}
	for _, of := range []string{repository, ""} {
		c.running[of] += by
		c.most[of] = max(c.most[of], c.running[of])
	}
}

// seen is the order so far.
func (c *crowd) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.order)
}

// One repository with 50,000 requests holds up no other: each of these waits for one
// of the many, however many there are.
func TestRepositoriesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 10)
		ctx, stop := context.WithCancel(t.Context())
		var large, small sync.WaitGroup
		for range 50_000 {
			large.Go(func() {
				if turn, err := c.gate.enter(ctx, "large"); err == nil {
					c.count("large", 1)
					c.count("large", -1)
					_ = turn.leave(outcome{answered: true})
				}
			})
		}
		synctest.Wait()
		if got := len(c.seen()); got != 50 {
			t.Errorf("%d were let in at once, want the burst of 50", got)
		}
		c.mu.Lock()
		c.order, c.at, c.begun = nil, nil, time.Now()
		c.mu.Unlock()
		c.ask(&small, "one", 3, 0)
		c.ask(&small, "two", 2, 0)
		c.ask(&small, "three", 1, 0)
		small.Wait()
		stop()
		large.Wait()
		want := strings.Fields("large one two three large one two large one")
		if diff := cmp.Diff(want, c.order[:len(want)]); diff != "" {
			t.Errorf("the order (-want +got):\n%s", diff)
		}
		for i, at := range c.at[:len(want)] {
			if late := at - time.Duration(i+1)*100*time.Millisecond; late < -time.Millisecond || late > time.Millisecond {
				t.Errorf("request %d went at %v, want one each 100ms", i+1, at)
			}
		}
		if len(c.gate.lines) != 0 || len(c.gate.ring) != 0 || c.gate.running != 0 {
			t.Errorf("the gate still keeps %d repositories, %d in the ring, %d running", len(c.gate.lines), len(c.gate.ring), c.gate.running)
		}
	})
}

func TestSlotsOfARegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, -1)
		var group sync.WaitGroup
		c.ask(&group, "slow", 20, time.Minute)
		c.ask(&group, "a", 3, time.Second)
		c.ask(&group, "b", 3, 2*time.Second)
		if diff := cmp.Diff(strings.Fields("slow slow slow slow a a a b"), c.seen()); diff != "" {
			t.Errorf("let in at once (-want +got):\n%s", diff)
		}
		group.Wait()
		if diff := cmp.Diff(map[string]int{"": 8, "slow": 4, "a": 3, "b": 3}, c.most); diff != "" {
			t.Errorf("at the same time (-want +got):\n%s", diff)
		}
		if got := time.Since(c.begun); got != 5*time.Minute {
			t.Errorf("it took %v, want 5m0s", got)
		}
	})
}

// Five faults in a row close a repository, for longer each time; one probe after
// each wait, and an answer opens it.
func TestTheCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewLimits(-1).gate("registry.example", time.Second)
		own := func() circuit { return g.lines["a"].circuit }
		ask := func(repository string, o outcome) error {
			turn, err := g.enter(t.Context(), repository)
			if err != nil {
				return err
			}
			return turn.leave(o)
		}
		for i := range faultsInARow {
			if err := ask("a", told("is on fire")); err != nil {
				t.Errorf("fault %d: %v", i+1, err) // the first wait is too short to be told
			}
		}
		for n := 1; n <= 12; n++ {
			full := min(time.Second<<n, 300*time.Second)
			begun := time.Now()
			time.Sleep(own().until.Sub(begun)) // as a policy does that comes later
			err := ask("a", told("is on fire"))
			wait := time.Until(own().until)
			if wait < full/2 || wait > full {
				t.Errorf("wait %d is %v, want at most %v and at least half of it", n, wait, full)
			}
			if long := wait > 2*time.Second; (err != nil) != long {
				t.Errorf("a wait of %v: %v", wait, err)
			}
			if err == nil {
				continue
			}
			want := "is on fire; it is not asked again before " + own().until.Add(time.Second-1).UTC().Format("2006-01-02T15:04:05Z")
			if wait > 4*time.Second {
				time.Sleep(wait / 3)
			}
			for _, err := range []error{err, ask("a", outcome{answered: true})} { // the second one is not let in
				if err == nil || err.Error() != want {
					t.Errorf("wait %d: the message is %v, want %s", n, err, want)
				}
			}
		}
		time.Sleep(time.Until(own().until))
		if err := ask("a", outcome{answered: true}); err != nil {
			t.Error(err)
		}
		for i := range faultsInARow - 1 {
			if err := ask("a", told("is on fire")); err != nil || own().closings != 0 {
				t.Errorf("fault %d after an answer: %v, %d closings", i+1, err, own().closings)
			}
		}
	})
}

// While the registry is probed everybody waits for what comes of it; what was
// under way before says nothing new.
func TestOneProbe(t *testing.T) {
	for _, well := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			g := NewLimits(-1).gate("registry.example", time.Second)
			late, err := g.enter(t.Context(), "late")
			if err != nil {
				t.Fatal(err)
			}
			for range 4 { // the fourth wait is of 4 s at least
				turn, err := g.enter(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				o := told("is away")
				o.absent = true
				_ = turn.leave(o)
				time.Sleep(time.Until(g.circuit.until))
			}
			probe, err := g.enter(t.Context(), "a")
			if err != nil || !probe.probesAll {
				t.Fatalf("no probe: %v", err)
			}
			if err := late.leave(told("is away")); err != nil || g.circuit.closings != 4 {
				t.Errorf("a late fault: %v, %d closings", err, g.circuit.closings)
			}
			var in, sent atomic.Int32
			var group sync.WaitGroup
			for i := range 6 {
				group.Go(func() {
					turn, err := g.enter(t.Context(), fmt.Sprint(i))
					if err != nil {
						sent.Add(1)
						return
					}
					in.Add(1)
					_ = turn.leave(outcome{answered: true})
				})
				synctest.Wait()
			}
			if in.Load()+sent.Load() != 0 {
				t.Errorf("%d let in and %d sent away beside the probe", in.Load(), sent.Load())
			}
			o := outcome{answered: well}
			if !well {
				o = told("is away")
			}
			_ = probe.leave(o)
			group.Wait()
			if want := map[bool][2]int32{true: {6, 0}, false: {0, 6}}[well]; want != [2]int32{in.Load(), sent.Load()} {
				t.Errorf("%d let in and %d sent away, want %v", in.Load(), sent.Load(), want)
			}
		})
	}
}

// asks sends a request of a repository to a gate, and tells what became of it.
func asks(t *testing.T, g *gate, repository string, o outcome) (in bool, err error) {
	t.Helper()
	turn, err := g.enter(t.Context(), repository)
	if err != nil {
		return false, err
	}
	return true, turn.leave(o)
}

// A repository that fails by itself keeps no other one away, and stays closed while
// others are answered; so do some, until so many fail that it is the registry.
func TestBrokenRepositories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewLimits(-1).gate("registry.example", time.Second)
		sent := map[string]int{}
		for range 600 {
			for _, broken := range []string{"broken", "broken too"} {
				if in, _ := asks(t, g, broken, told("is broken")); in {
					sent[broken]++
				}
			}
			begun := time.Now()
			if in, err := asks(t, g, "well", outcome{answered: true}); !in || err != nil || time.Since(begun) != 0 {
				t.Fatalf("another one: %v, %v, after %v", in, err, time.Since(begun))
			}
			time.Sleep(time.Second)
		}
		for broken, n := range sent {
			if n > 20 {
				t.Errorf("%s was asked %d times in ten minutes, although each answer was a fault", broken, n)
			}
		}
		for i := range faultsInARow - 1 {
			if in, err := asks(t, g, fmt.Sprint(i), told("is away")); !in || err != nil {
				t.Errorf("fault %d: %v, %v", i+1, in, err)
			}
		}
		if in, err := asks(t, g, "well", outcome{}); !in || err != nil {
			t.Errorf("before many fail: %v, %v", in, err)
		}
		for i := range 4 { // the fourth wait is of 4 s at least
			if in, _ := asks(t, g, "last", told("is away")); !in || g.circuit.closings != i+1 {
				t.Errorf("%d closings, want %d", g.circuit.closings, i+1)
			}
			if i < 3 {
				time.Sleep(time.Until(g.circuit.until))
			}
		}
		if in, err := asks(t, g, "well", outcome{answered: true}); in || err == nil || err.Error() != "is away; "+notBefore(g.circuit.until) {
			t.Errorf("when many failed: %v, %v", in, err)
		}
		time.Sleep(time.Until(g.circuit.until))
		for _, all := range []string{"well", "last", "0"} {
			if in, err := asks(t, g, all, outcome{answered: true}); !in || err != nil {
				t.Errorf("%s, after the probe was answered: %v, %v", all, in, err)
			}
		}
	})
}

// A registry that is dead for all but one repository, which a cache answers for, is not
// asked again and again by the others.
func TestOneAnswerHoldsNothingOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewLimits(-1).gate("registry.example", time.Second)
		sent := 0
		for range 600 {
			for i := range 20 {
				if in, _ := asks(t, g, fmt.Sprint(i), told("is away")); in {
					sent++
				}
				_, _ = asks(t, g, "cached", outcome{answered: true})
			}
			time.Sleep(time.Second)
		}
		if sent > 20*20 {
			t.Errorf("%d requests of 20 repositories in ten minutes, want at most 20 of each", sent)
		}
	})
}

// Who gives up leaves no place behind, and no slot.
func TestWhoGivesUpLeavesTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, 1)
		var group sync.WaitGroup
		c.ask(&group, "a", 5, 0) // the burst
		ctx, giveUp := context.WithCancel(t.Context())
		for range 3 {
			group.Go(func() {
				if _, err := c.gate.enter(ctx, "b"); err == nil {
					t.Error("let in without a token")
				}
			})
		}
		synctest.Wait()
		giveUp()
		group.Wait()
		if len(c.gate.lines) != 0 || len(c.gate.ring) != 0 || c.gate.running != 0 {
			t.Errorf("the gate still keeps %d repositories, %d in the ring, %d running", len(c.gate.lines), len(c.gate.ring), c.gate.running)
		}
		begun := time.Now()
		c.ask(&group, "a", 1, 0)
		group.Wait()
		if got := time.Since(begun); got != time.Second {
			t.Errorf("the next one waited %v, want 1s", got)
		}
	})
}

func TestClientsShareLimits(t *testing.T) {
	limits := NewLimits(0)
	one, two, other := New(Options{Limits: limits}), New(Options{Limits: limits}), New(Options{})
	gates := map[*gate]bool{}
	for _, c := range []*Client{one, two, other} {
		h, err := c.host("registry.example")
		if err != nil {
			t.Fatal(err)
		}
		g := h.limits.gate("registry.example", time.Second)
		gates[g] = true
		if rate, burst := g.rate.Limit(), g.rate.Burst(); rate != 20 || burst != 100 {
			t.Errorf("%v a second and a burst of %d, want 20 and 100", rate, burst)
		}
	}
	if len(gates) != 2 {
		t.Errorf("%d gates, want one that is shared and one that is not", len(gates))
	}
}
