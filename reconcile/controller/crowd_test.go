// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

// crowdStep is something that an object does in a crowd.
type crowdStep struct {
	does string // enter, leave or stay away
	who  types.NamespacedName
	host string
	in   bool
	// called are those who are to try now.
	called []types.NamespacedName
}

func TestCrowds(t *testing.T) {
	a1, a2, a3, a4 := named("a", "1"), named("a", "2"), named("a", "3"), named("a", "4")
	b1, b2, c1 := named("b", "1"), named("b", "2"), named("c", "1")
	only := func(names ...types.NamespacedName) []types.NamespacedName { return names }
	for title, steps := range map[string][]crowdStep{
		"a host is full": {
			{"enter", a1, "x", true, nil}, {"enter", b1, "x", true, nil}, {"enter", c1, "x", false, nil}, {"enter", c1, "x", false, nil},
			{"enter", b2, "y", true, nil}, {"leave", a1, "x", false, only(c1)}, {"enter", a1, "x", false, nil}, {"enter", c1, "x", true, nil},
			{"leave", c1, "x", false, only(a1)},
		},
		"a namespace is full, whatever hosts it names": {
			{"enter", a1, "x", true, nil}, {"enter", a2, "y", true, nil}, {"enter", a3, "z", true, nil}, {"enter", a4, "q", false, nil},
			{"enter", b1, "q", true, nil}, {"leave", a2, "y", false, only(a4)}, {"enter", a4, "q", true, nil},
		},
		"one who waits for its namespace keeps nobody from the host": {
			{"enter", a1, "x", true, nil}, {"enter", a2, "y", true, nil}, {"enter", a3, "y", true, nil}, {"enter", a4, "x", false, nil},
			{"enter", b1, "x", true, nil}, {"enter", b2, "x", false, nil}, {"leave", b1, "x", false, only(b2)},
			{"leave", a2, "y", false, nil}, {"stay away", b2, "", false, only(a4)},
		},
		"one who was called has nothing to do any more": {
			{"enter", a1, "x", true, nil}, {"enter", b1, "x", true, nil}, {"enter", b2, "x", false, nil}, {"enter", c1, "x", false, nil},
			{"leave", a1, "x", false, only(b2)}, {"stay away", b2, "", false, only(c1)}, {"enter", b2, "x", false, nil},
		},
		"one who was called goes elsewhere": {
			{"enter", a1, "x", true, nil}, {"enter", b1, "x", true, nil}, {"enter", b2, "x", false, nil}, {"enter", c1, "x", false, nil},
			{"leave", a1, "x", false, only(b2)}, {"enter", b2, "y", true, only(c1)}, {"enter", c1, "x", true, nil},
		},
		"one who waits is deleted": {
			{"enter", a1, "x", true, nil}, {"enter", b1, "x", true, nil}, {"enter", b2, "x", false, nil}, {"enter", c1, "x", false, nil},
			{"stay away", b2, "", false, nil}, {"leave", a1, "x", false, only(c1)},
		},
	} {
		t.Run(title, func(t *testing.T) {
			c := newCrowds(2, 3)
			for i, s := range steps {
				var in bool
				var called []types.NamespacedName
				switch s.does {
				case "enter":
					in, called = c.enter(s.who, s.host)
				case "leave":
					called = c.leave(s.who, s.host)
				default:
					called = c.stayAway(s.who)
				}
				if in != s.in || cmp.Diff(s.called, called) != "" {
					t.Errorf("crowdStep %d, %s %s %s: in %v, called %v, want %v and %v", i+1, s.who, s.does, s.host, in, called, s.in, s.called)
				}
			}
		})
	}
}

// Whatever happens, nobody is forgotten, and nothing is left of those who went.
func TestCrowdsServeEverybody(t *testing.T) {
	c := newCrowds(2, 3)
	inside := map[types.NamespacedName]string{}
	waiting := map[types.NamespacedName]string{}
	var order []types.NamespacedName
	try := func(name types.NamespacedName, host string) {
		in, called := c.enter(name, host)
		if len(called) > 0 {
			t.Errorf("%v are called although nobody left", called)
		}
		if in {
			delete(waiting, name)
			inside[name] = host
			order = append(order, name)
		} else {
			waiting[name] = host
		}
	}
	for i := range 200 {
		try(named(fmt.Sprint("n", i%7), fmt.Sprint(i)), fmt.Sprint("host", i%5))
	}
	for served := 0; len(inside) > 0; served++ {
		name := order[served]
		called := c.leave(name, inside[name])
		delete(inside, name)
		for _, next := range called {
			try(next, waiting[next])
		}
	}
	if len(order) != 200 || len(waiting) != 0 || len(c.inside) != 0 || len(c.waiting) != 0 || len(c.called) != 0 {
		t.Errorf("%d were served, %d wait, and the crowds keep %v %v %v", len(order), len(waiting), c.inside, c.waiting, c.called)
	}
}
