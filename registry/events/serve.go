// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// maxConnections bounds the connections at one time.
	maxConnections = 256
	// headerTimeout, answerTimeout and idleTimeout bound what a connection waits.
	headerTimeout, answerTimeout, idleTimeout = 10 * time.Second, 30 * time.Second, time.Minute
	// maxHeader bounds the headers: a token has a kilobyte.
	maxHeader = 32 << 10
	// endTimeout bounds the wait for requests under way at the end.
	endTimeout = 5 * time.Second
)

// Serve answers requests until the context ends, with limits for hostile ones. It
// closes the listener.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       answerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // strangers may not write to the log
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	err := server.Shutdown(ending)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}
