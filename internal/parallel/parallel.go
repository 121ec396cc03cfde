// Package parallel runs functions at the same time, as errgroup does. A panic in one
// of them is its error: in a goroutine of its own it would end the process with a
// stack trace, and nothing would be cleaned up.
package parallel

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// Group is a group of functions that run at the same time.
type Group struct{ group *errgroup.Group }

// WithContext returns a group and a context that ends with the group's first error,
// or with Wait.
func WithContext(ctx context.Context) (*Group, context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	return &Group{group}, ctx
}

// SetLimit bounds how many functions run at the same time.
func (g *Group) SetLimit(n int) { g.group.SetLimit(n) }

// Go runs f in a goroutine of its own.
func (g *Group) Go(f func() error) { g.group.Go(Guard(f)) }

// Wait waits for all functions and returns the first error.
func (g *Group) Wait() error { return g.group.Wait() }

// Guard is f, with a panic as its error.
func Guard(f func() error) func() error {
	return func() (err error) {
		defer fault.Catch(&err)
		return f()
	}
}

// Watched is f for a goroutine that has no error to return: a panic in it is the
// cause with which stop ends a context.
func Watched(stop context.CancelCauseFunc, f func()) func() {
	return func() {
		err := Guard(func() error {
			f()
			return nil
		})()
		if err != nil {
			stop(err)
		}
	}
}
