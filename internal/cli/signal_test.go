//go:build unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
)

// The exit code is the signal's own, whatever an error says in words.
func TestSignalCode(t *testing.T) {
	for sent, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		ctx, stop := withSignals(t.Context())
		if got := signalCode(ctx); got != 0 {
			t.Errorf("before: %d", got)
		}
		if err := syscall.Kill(syscall.Getpid(), sent); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
		stop()
		if got := signalCode(ctx); got != want {
			t.Errorf("%s: %d, want %d", sent, got, want)
		}
		sys, _, _ := testSystem(t)
		if got := newFactory(sys).report(ctx, fmt.Errorf("pushing: %w", context.Canceled)); got != want {
			t.Errorf("%s: exit %d, want %d", sent, got, want)
		}
	}
	told, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("terminated signal received"))
	if got := signalCode(told); got != 130 {
		t.Errorf("a cause that only says so: %d", got)
	}
	late, done := context.WithTimeout(t.Context(), 0)
	defer done()
	if got := signalCode(late); got != 0 {
		t.Errorf("a deadline is no signal: %d", got)
	}
}

// A command that ends by itself leaves no handler behind.
func TestNoSignal(t *testing.T) {
	ctx, stop := withSignals(t.Context())
	stop()
	<-ctx.Done()
	if context.Cause(ctx) == nil || signalCode(ctx) != 130 {
		t.Errorf("%v, %d", context.Cause(ctx), signalCode(ctx))
	}
}
