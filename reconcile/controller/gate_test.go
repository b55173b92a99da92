// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// noon is when tests begin.
var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// through gives the seconds at which a gate lets changes through that arrive at these
// seconds, driven as the reconciler drives it: it asks when something arrives, and when
// the wait that it was told is over.
func through(quiet time.Duration, arrivals ...float64) []float64 {
	g := &gate{quiet: quiet}
	var passes []float64
	at := func(s float64) time.Time { return noon.Add(time.Duration(s * float64(time.Second))) }
	asks := slices.Clone(arrivals)
	for len(asks) > 0 {
		slices.Sort(asks)
		now := asks[0]
		asks = asks[1:]
		for len(arrivals) > 0 && arrivals[0] == now {
			g.arrive(at(now))
			arrivals = arrivals[1:]
		}
		if wait := g.wait(at(now)); wait > 0 {
			asks = append(asks, now+wait.Seconds())
		} else if g.pass(at(now)) {
			passes = append(passes, now)
		}
	}
	return passes
}

func TestGate(t *testing.T) {
	every := func(seconds, until float64) []float64 {
		var all []float64
		for s := 0.0; s <= until; s += seconds {
			all = append(all, s)
		}
		return all
	}
	for title, test := range map[string]struct {
		arrivals, want []float64
	}{
		"nothing":                             {nil, nil},
		"a lone change is instant":            {[]float64{3}, []float64{3}},
		"so is the next one after the quiet":  {[]float64{3, 8, 13}, []float64{3, 8, 13}},
		"one soon after waits to be alone":    {[]float64{3, 4}, []float64{3, 9}},
		"a storm is the first and the rest":   {[]float64{0, 1, 2, 3, 4, 5, 6}, []float64{0, 11}},
		"at once is once":                     {[]float64{2, 2, 2}, []float64{2}},
		"what does not end waits half a min":  {every(0.5, 70), []float64{0, 30.5, 61, 75}},
		"two storms":                          {[]float64{0, 1, 2, 20, 21, 22}, []float64{0, 7, 20, 27}},
		"the last of a storm sets the moment": {[]float64{0, 4, 8, 12}, []float64{0, 17}},
	} {
		if diff := cmp.Diff(test.want, through(5*time.Second, test.arrivals...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", title, diff)
		}
	}
	if diff := cmp.Diff([]float64{0, 1, 1.5}, through(0, 0, 1, 1.5)); diff != "" {
		t.Errorf("without a quiet period (-want +got):\n%s", diff)
	}
}

// Whatever arrives: nothing is lost or waits for more than 30 s, what comes alone does not
// wait, and two passes are a quiet period apart.
func TestGateHolds(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		quiet := time.Duration(1+random.IntN(30)) * time.Second
		var arrivals []float64
		for now, n := 0.0, random.IntN(60); n > 0; n-- {
			now += []float64{0, 0.25, 1, 7, 31, 100}[random.IntN(6)]
			arrivals = append(arrivals, now)
		}
		passes := through(quiet, arrivals...)
		for i, a := range arrivals {
			n, _ := slices.BinarySearch(passes, a)
			if n == len(passes) || passes[n]-a > LongestWait.Seconds() {
				t.Fatalf("seed %d, quiet %v: the change at %v is not let through in time\narrivals %v\npasses %v", seed, quiet, a, arrivals, passes)
			}
			first := i == 0 || arrivals[i-1] < a
			idle := n == 0 || a-passes[n-1] >= quiet.Seconds()
			if waits := slices.ContainsFunc(arrivals[:i], func(b float64) bool { return b < a && (n == 0 || b > passes[n-1]) }); first && idle && !waits && passes[n] != a {
				t.Fatalf("seed %d, quiet %v: the lone change at %v waits until %v\narrivals %v\npasses %v", seed, quiet, a, passes[n], arrivals, passes)
			}
		}
		for i := range passes[:max(0, len(passes)-1)] {
			if passes[i+1]-passes[i] < quiet.Seconds() {
				t.Fatalf("seed %d, quiet %v: passes at %v and %v\narrivals %v", seed, quiet, passes[i], passes[i+1], arrivals)
			}
		}
	}
}

// Each repository has a gate of its own, until it is forgotten.
func TestGatesAreApart(t *testing.T) {
	g := newGates(5 * time.Second)
	one, other := named("a", "fleet"), named("b", "fleet")
	g.of(one).arrive(noon)
	g.of(one).pass(noon)
	g.of(one).arrive(noon.Add(time.Second))
	g.of(other).arrive(noon.Add(time.Second))
	if got := g.of(one).wait(noon.Add(time.Second)); got != 5*time.Second {
		t.Errorf("the second change of one waits %v, want 5s", got)
	}
	if got := g.of(other).wait(noon.Add(time.Second)); got != 0 {
		t.Errorf("the first change of the other waits %v", got)
	}
	g.forget(one)
	if g.of(one).pass(noon) {
		t.Error("a forgotten gate has changes that wait")
	}
}
