// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"context"
	"net"
	"time"
)

const (
	connectTimeout = 10 * time.Second
	// idleTimeout bounds how long the far end of a connection may stay silent.
	idleTimeout = 2 * time.Minute
)

// dialer connects to Git servers, for each transport.
type dialer struct{ idle time.Duration }

// DialContext connects, and gives the connection up when nothing goes either way.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second, Control: refuseAddress}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: conn, idle: d.idle}, nil
}

// watchedConn ends what waits on it when the connection is idle for too long.
type watchedConn struct {
	net.Conn

	idle time.Duration
}

// extend counts for reads that wait already, too: what is sent wants an answer.
func (c *watchedConn) extend() error { return c.SetDeadline(time.Now().Add(c.idle)) }

func (c *watchedConn) Read(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
