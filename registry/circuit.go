// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	// faultsInARow close a registry for a while; so does one that shows that
	// nothing is there at all.
	faultsInARow = 5
	// The waits, in units. A unit is a second at the default timeout; see unitOf.
	patience    = 2   // shorter ones are waited for, longer ones are an error at once
	longestWait = 300 // of those that grow
)

// unitOf is the first wait: short against what a request may take.
func unitOf(timeout time.Duration) time.Duration { return timeout / 30 }

// backoff is the nth wait in a row: twice the one before, by chance up to a half
// shorter, so that not all who wait come back at the same time.
func backoff(unit time.Duration, n int) time.Duration {
	wait := longestWait * unit
	if n < 16 {
		wait = min(wait, unit<<(n-1))
	}
	return wait/2 + rand.N(wait/2+1) //nolint:gosec // no secret
}

// notBefore says in a message when a registry is asked next. It names a date, so
// that the message stays the same while the wait lasts.
func notBefore(until time.Time) string {
	return "it is not asked again before " + until.Add(time.Second-1).UTC().Truncate(time.Second).Format(time.RFC3339)
}

// outcome is what became of a request, as far as it says something about the
// registry; the zero value says nothing.
type outcome struct {
	answered bool
	cause    *fault // what is wrong with the registry, or nil
	absent   bool   // nothing is there at all
}

// circuit keeps a process from asking what is out of order: a registry, or one
// repository of it. After a wait one request, the probe, finds out whether that has
// passed; the wait grows until one is answered.
type circuit struct {
	unit     time.Duration
	faults   int       // in a row
	last     time.Time // of them
	closings int       // in a row; above 0 it is closed, or being probed
	until    time.Time
	cause    *fault
	probing  bool
}

// open forgets all faults.
func (c *circuit) open() { *c = circuit{unit: c.unit} }

// close begins the next wait.
func (c *circuit) close(cause *fault, now time.Time) {
	c.closings++
	c.until, c.cause, c.last = now.Add(backoff(c.unit, c.closings)), cause, now
}

// probe lets a request in; it is the probe if it has to be.
func (c *circuit) probe() bool {
	c.probing = c.probing || c.closings > 0
	return c.closings > 0
}

// probed is the end of probe. It is false where somebody was answered meanwhile.
func (c *circuit) probed(probe bool) bool {
	probe = probe && c.closings > 0
	if probe {
		c.probing = false
	}
	return probe
}

// refusal is the error for who would have to wait long.
func (c *circuit) refusal(now time.Time) error {
	if c.closings == 0 || c.until.Sub(now) <= patience*c.unit {
		return nil
	}
	return faultf(c.cause.kind, "%s; %s", c.cause.text, notBefore(c.until))
}

// wait is how long one has to, and false where one has to wait for the probe.
func (c *circuit) wait(now time.Time) (time.Duration, bool) {
	if c.closings == 0 {
		return 0, true
	}
	return max(0, c.until.Sub(now)), !c.probing
}

// take learns from an outcome; the error is that of refusal. What is answered about a
// repository says that the registry is there, and nothing of other repositories: a
// broken one stays closed while others are answered, and one whose answers come out of
// a cache holds nobody else's open. Many that fail in a row say that it is the registry.
func (g *gate) take(t *turn, o outcome, now time.Time) error {
	all, own := &g.circuit, &t.line.circuit
	probesAll, probesOwn := all.probed(t.probesAll), own.probed(t.probesOwn)
	if o.answered {
		all.open()
		own.open()
		clear(g.failed)
	}
	if o.cause == nil {
		return nil
	}
	if all.closings > 0 { // It is not the repository's fault, nor news where it was under way.
		if probesAll {
			all.close(o.cause, now)
		}
		return g.refusal(t.line, now)
	}
	if g.failed[t.line.repository] = true; o.absent || len(g.failed) >= faultsInARow {
		clear(g.failed)
		all.close(o.cause, now)
		return g.refusal(t.line, now)
	}
	if own.closings == 0 || probesOwn {
		own.last = now
		if own.faults++; probesOwn || own.faults >= faultsInARow {
			own.close(o.cause, now)
		}
	}
	return g.refusal(t.line, now)
}

// refusal is the error for a repository that would have to wait long.
func (g *gate) refusal(l *line, now time.Time) error {
	if err := g.circuit.refusal(now); err != nil {
		return err
	}
	return l.circuit.refusal(now)
}

// wait is how long a repository has to, and false where it has to wait for a probe.
func (g *gate) wait(l *line, now time.Time) (time.Duration, bool) {
	all, allKnown := g.circuit.wait(now)
	own, ownKnown := l.circuit.wait(now)
	return max(all, own), allKnown && ownKnown
}

// outcomeOf reads what a request came to: an error, or else a status. A ping is
// answered by any registry that is there. Without a status, it was not the registry
// that answered.
func (h *host) outcomeOf(ctx context.Context, status int, err error, ping bool) outcome {
	own := status != 0
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		status, err = answer.StatusCode, nil
	}
	switch {
	case err == nil && status < 500 && status != http.StatusRequestTimeout:
		return outcome{answered: own}
	case err == nil:
		kind, cause := explainStatus(status, h.wire.host, "")
		return outcome{cause: &fault{kind, cause.Error()}, absent: ping}
	case ctx.Err() != nil || !isTimeout(err) && !isBroken(err):
		return outcome{}
	}
	kind, cause := explain(err, h.wire, h.timeout)
	operation, ok := errors.AsType[*net.OpError](err)
	return outcome{cause: &fault{kind, cause.Error()}, absent: ping || ok && operation.Op == "dial"}
}

// isBroken says whether the way to a registry is, and not merely one of its
// certificates, or forbidden by this package.
func isBroken(err error) bool {
	network, ok := errors.AsType[*networkError](err)
	if !ok {
		return false
	}
	_, refused := errors.AsType[*fault](network.err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](network.err)
	_, record := errors.AsType[tls.RecordHeaderError](network.err)
	return !refused && !certificate && !record
}
