package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// signalError is the cause of a context that a signal has ended.
type signalError struct{ signal syscall.Signal }

// Error implements error.
func (e *signalError) Error() string { return e.signal.String() }

// withSignals returns a context that the first interrupt or request to terminate
// cancels, with a signalError as its cause. The second kills the process at once.
func withSignals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			received, ok := s.(syscall.Signal)
			if !ok {
				received = syscall.SIGINT
			}
			cancel(&signalError{received})
		case <-ctx.Done():
			signal.Stop(signals)
		}
	}()
	return ctx, func() { cancel(nil) }
}

// signalCode is 128 plus the number of the signal that cancelled ctx, or 0.
func signalCode(ctx context.Context) int {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return 0
	}
	if e, ok := errors.AsType[*signalError](context.Cause(ctx)); ok {
		return 128 + int(e.signal)
	}
	return 128 + int(syscall.SIGINT)
}

// secondSignal is a context that ends with the second signal, of which ctx ends with
// the first.
func secondSignal(ctx context.Context) (force context.Context, stop func()) {
	force, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unset := context.AfterFunc(ctx, func() {
		again, release := signal.NotifyContext(force, os.Interrupt, syscall.SIGTERM, hangup())
		defer release()
		<-again.Done()
		cancel()
	})
	return force, func() {
		unset()
		cancel()
	}
}
