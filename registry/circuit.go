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

// circuit keeps a process from asking a registry that is out of order. After a
// wait one request, the probe, finds out whether that has passed; the wait grows
// until one is answered. Where all faults in a row are about one repository, it is
// for that one alone.
type circuit struct {
	unit     time.Duration
	faults   int // in a row
	closings int // in a row; above 0 it is closed, or being probed
	until    time.Time
	cause    *fault
	probing  bool
	// alone is the repository of the faults, unless several have some or nothing is
	// there at all.
	alone   string
	several bool
}

// take learns from an outcome; the error is that of refusal.
func (c *circuit) take(t *turn, o outcome, now time.Time) error {
	probe := t.probe && c.closings > 0 // or else somebody was answered meanwhile
	if probe {
		c.probing = false
	}
	if o.answered {
		*c = circuit{unit: c.unit}
	}
	if o.cause == nil {
		return nil
	}
	repository := t.line.repository
	if c.faults == 0 {
		c.alone = repository
	}
	c.several = c.several || o.absent || repository != c.alone
	if c.closings > 0 && !probe {
		return c.refusal(repository, now) // one that was under way
	}
	if c.faults++; probe || o.absent || c.faults >= faultsInARow {
		c.closings++
		c.until, c.cause = now.Add(backoff(c.unit, c.closings)), o.cause
	}
	return c.refusal(repository, now)
}

// concerns says whether a repository has to wait, or to probe.
func (c *circuit) concerns(repository string) bool {
	return c.closings > 0 && (c.several || repository == c.alone)
}

// refusal is the error for who would have to wait long.
func (c *circuit) refusal(repository string, now time.Time) error {
	if !c.concerns(repository) || c.until.Sub(now) <= patience*c.unit {
		return nil
	}
	return faultf(c.cause.kind, "%s; %s", c.cause.text, notBefore(c.until))
}

// wait is how long a repository has to, and false where it has to wait for the
// probe.
func (c *circuit) wait(repository string, now time.Time) (time.Duration, bool) {
	if !c.concerns(repository) {
		return 0, true
	}
	return max(0, c.until.Sub(now)), !c.probing
}

// outcomeOf reads what a request came to: an error, or else a status. A ping is
// answered by any registry that is there.
func (h *host) outcomeOf(ctx context.Context, status int, err error, ping bool) outcome {
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		status, err = answer.StatusCode, nil
	}
	switch {
	case err == nil && status < 500 && status != http.StatusRequestTimeout:
		return outcome{answered: true}
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
