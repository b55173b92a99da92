// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Who names another registry each minute, or another repository, fills no memory; what
// is being waited for stays.
func TestWhatIsIdleIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := NewLimits(-1)
		c := New(Options{Limits: limits})
		ask := func(name, repository string, o outcome) {
			h, err := c.host(name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = asks(t, limits.gate(h.wire.host, time.Minute), repository, o)
			_, _ = h.grants.get(t.Context(), repository, func() (*grant, error) { return &grant{}, nil })
		}
		// A wait of hours, as a long timeout gives.
		for range 9 {
			g := limits.gate("dead.example", time.Minute)
			time.Sleep(time.Until(g.circuit.until))
			absent := told("is away")
			absent.absent = true
			ask("dead.example", "a", absent)
		}
		until := limits.gate("dead.example", time.Minute).circuit.until
		if time.Until(until) < 2*time.Hour {
			t.Fatalf("the wait is until %v, too short for this test", until)
		}
		limited, err := c.host("limited.example")
		if err != nil {
			t.Fatal(err)
		}
		limited.wire.pauses.until = until
		used := limits.gate("used.example", time.Minute)
		for i := range 100 {
			ask(fmt.Sprintf("%d.example", i), "a", told("is broken"))
			ask("used.example", fmt.Sprint(i), told("is broken"))
			ask("used.example", "always", outcome{answered: true})
			time.Sleep(time.Minute)
		}
		const most = 20 + 5 + 3 // minutes, those between two sweeps, and those that stay
		if n := len(limits.gates); n > most {
			t.Errorf("%d gates are kept", n)
		}
		if n := len(c.hosts); n > most {
			t.Errorf("%d hosts are kept", n)
		}
		if n := len(used.lines); n > 2*20+3 {
			t.Errorf("%d repositories are kept that failed", n)
		}
		if n := len(c.hosts["used.example"].grants.answers); n > most {
			t.Errorf("%d logins are kept", n)
		}
		if limits.gates["dead.example"] == nil || !limits.gates["dead.example"].circuit.until.Equal(until) {
			t.Error("a wait was cut short")
		}
		if c.hosts["limited.example"] != limited {
			t.Error("a pause was cut short")
		}
		if limits.gates["used.example"] != used {
			t.Error("a registry in use was forgotten")
		}
		time.Sleep(time.Until(until) + keepIdle)
		ask("new.example", "a", outcome{answered: true})
		if len(limits.gates) != 1 || len(c.hosts) != 1 {
			t.Errorf("%d gates and %d hosts are left when all waits are over", len(limits.gates), len(c.hosts))
		}
	})
}

// A request that waits for its turn keeps the gate.
func TestAGateInUseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := NewLimits(-1)
		turn, err := limits.gate("slow.example", time.Second).enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * keepIdle)
		limits.gate("new.example", time.Second)
		if limits.gates["slow.example"] == nil {
			t.Error("the gate was forgotten while a request was on its way")
		}
		if err := turn.leave(outcome{answered: true}); err != nil {
			t.Error(err)
		}
	})
}

// A token that was given says nothing of the registry behind the token service.
func TestATokenIsNoAnswerOfTheRegistry(t *testing.T) {
	h := &host{wire: &wire{host: "registry.example"}, timeout: time.Second}
	if o := h.outcomeOf(t.Context(), 0, nil, false); o != (outcome{}) {
		t.Errorf("without a status, the outcome is %+v", o)
	}
	if o := h.outcomeOf(t.Context(), 0, &transport.Error{StatusCode: http.StatusUnauthorized}, false); o != (outcome{}) {
		t.Errorf("of a login that is refused, the outcome is %+v", o)
	}
	if o := h.outcomeOf(t.Context(), http.StatusOK, nil, false); !o.answered {
		t.Error("an answer is none")
	}
}
