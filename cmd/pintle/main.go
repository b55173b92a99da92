// SPDX-License-Identifier: Apache-2.0

// Command pintle keeps the manifests of a Git repository pinned to the right
// container images.
//
// Its commands are thin: they read flags, call the engine in reconcile, and
// print the report. They decide nothing.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and a static image has no table of them
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends a command that is slow to stop.
	context.AfterFunc(ctx, stop)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
