// Package backoff has the pauses between the tries of something that may succeed
// later: they grow up to a bound, chance spreads them, and the end of a context ends
// them.
package backoff

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// Policy says how long pauses are. It is a value: what counts the tries is a Backoff.
type Policy struct {
	First  time.Duration // the first pause
	Max    time.Duration // no pause is longer; less than First means First
	Factor float64       // of a pause to the one before; 0 is 2, 1 keeps them equal
	// Jitter is the share of a pause, from 0 to 1, that chance may take away, so that
	// many who failed together do not come back together.
	Jitter float64
}

// Delay returns the pause after the failed try n, counted from 0.
func (p Policy) Delay(n int) time.Duration {
	factor := p.Factor
	if factor == 0 {
		factor = 2
	}
	bound := max(p.Max, p.First)
	d := bound
	// A float64 of nanoseconds is exact for three months, and infinite where an integer
	// would have become negative.
	if grown := float64(p.First) * math.Pow(factor, float64(max(n, 0))); grown < float64(bound) {
		d = time.Duration(grown)
	}
	if spread := int64(float64(d) * p.Jitter); spread > 0 {
		d -= time.Duration(rand.Int64N(spread + 1))
	}
	return d
}

// Wait waits as long as Delay says, or until ctx ends: that is its error.
func (p Policy) Wait(ctx context.Context, n int) error { return Sleep(ctx, p.Delay(n)) }

// Poll calls done until that reports true or an error, with pauses in between, or
// until ctx ends.
func (p Policy) Poll(ctx context.Context, done func() (bool, error)) error {
	for b := New(p); ; {
		if finished, err := done(); finished || err != nil {
			return err
		}
		if err := b.Wait(ctx); err != nil {
			return err
		}
	}
}

// Backoff counts tries.
type Backoff struct {
	policy Policy
	n      int
}

// New returns a Backoff that has seen no try.
func New(p Policy) *Backoff { return &Backoff{policy: p} }

// Next returns the pause after one more failed try.
func (b *Backoff) Next() time.Duration {
	d := b.policy.Delay(b.n)
	b.n++
	return d
}

// Wait waits after one more failed try, or until ctx ends.
func (b *Backoff) Wait(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Reset begins again with the first pause, after a success.
func (b *Backoff) Reset() { b.n = 0 }

// Sleep waits for d, or until ctx ends: that is its error.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
