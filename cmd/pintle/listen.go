// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/pintle-dev/pintle/reconcile/controller"
	"github.com/pintle-dev/pintle/registry/events"
)

// listening is the flags of commands that receive events.
type listening struct{ address, file string }

func (l *listening) bind(flags *pflag.FlagSet) {
	flags.StringVar(&l.address, "listen", "", "`HOST:PORT` or :PORT to receive events of registries at, over plain HTTP (with --events)")
	flags.StringVar(&l.file, "events", "", "`file` with the endpoints for events (with --listen)")
}

// watch is watch with an inbox that events come to, if the flags say so. Where no
// more events can be received, it ends with the error.
func (l *listening) watch(ctx context.Context, engine watched, p *program, told *journal) error {
	inbox := events.NewInbox()
	receiver, listener, err := l.open(ctx, inbox)
	if err != nil {
		return err
	}
	if listener == nil {
		return watch(ctx, engine, inbox, told)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go receiver.Follow(ctx, l.file, func(err error) { complain(p.stderr, "", err) })
	go func() {
		defer cancel()
		served <- events.Serve(ctx, listener, receiver)
	}()
	_, err = fmt.Fprintf(p.stderr, "Listening for events at %s\n", listener.Addr())
	if err == nil {
		err = watch(ctx, engine, inbox, told)
	}
	cancel()
	return errors.Join(err, <-served)
}

// add lets a manager receive events, where it leads: others have nobody who looks.
func (l *listening) add(mgr manager.Manager, o *controller.Options) error {
	if l.address == "" {
		return nil
	}
	o.Hints = events.NewInbox()
	receiver, err := l.receiver(o.Hints)
	if err != nil {
		return err
	}
	o.Receiver = receiver
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		if err != nil {
			return fmt.Errorf("cannot receive events: %w", err)
		}
		go receiver.Follow(ctx, l.file, func(err error) {
			log.FromContext(ctx).Error(err, "events are received as before")
		})
		return events.Serve(ctx, listener, receiver)
	}))
}

func (l *listening) receiver(inbox *events.Inbox) (*events.Receiver, error) {
	endpoints, err := events.Load(l.file)
	if err != nil {
		return nil, err
	}
	return events.New(endpoints, inbox.Put)
}

// open gives no listener without the flags.
func (l *listening) open(ctx context.Context, inbox *events.Inbox) (*events.Receiver, net.Listener, error) {
	if l.address == "" {
		return nil, nil, nil
	}
	receiver, err := l.receiver(inbox)
	if err != nil {
		return nil, nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot receive events: %w", err)
	}
	return receiver, listener, nil
}

// check is for wrong usage.
func (l *listening) check(keepOn bool) error {
	switch {
	case (l.address == "") != (l.file == ""):
		return usageError{errors.New("--listen and --events go together: one says where to listen, the other for what")}
	case l.address != "" && !keepOn:
		return usageError{errors.New("--listen needs --watch: without it there is nobody left when an event comes")}
	}
	return nil
}
