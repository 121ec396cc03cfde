package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/backoff"
)

// retry runs op until it succeeds, fails for good, or has been tried often
// enough. It and retrySteps are the only loops of their kind: what op calls must
// not repeat anything itself, so that attempts never multiply.
func (c *Client) retry(ctx context.Context, attempts int, op func(ctx context.Context) error) error {
	return c.retrySteps(ctx, attempts, func(ctx context.Context) (string, error) { return "", op(ctx) })
}

// retrySteps is retry for an op of several requests that starts over when one
// of them fails. It says which step failed, and each step may fail attempts
// times: a registry that is shaky everywhere must not use up one common number.
func (c *Client) retrySteps(ctx context.Context, attempts int, op func(ctx context.Context) (step string, err error)) error {
	policy := c.opts.Policy
	failures := map[string]int{}
	for {
		step, err := op(ctx)
		if err == nil || !retryable(err) || ctx.Err() != nil {
			return err
		}
		failures[step]++
		if failures[step] >= attempts || isRefused(err) && failures[step] >= policy.Refused {
			return err
		}
		if waitErr := backoff.Sleep(ctx, policy.pause(failures[step], err)); waitErr != nil {
			return fmt.Errorf("%w, last: %w", waitErr, plainCause(err))
		}
	}
}

// pause is how long to wait after the nth failed attempt: what the server
// asked for, else twice as long each time, less up to a quarter of jitter so
// that parallel transfers do not come back all at once.
func (p Policy) pause(attempt int, err error) time.Duration {
	var status *StatusError
	if errors.As(err, &status) && status.hasWait {
		return min(status.after, p.AfterMax)
	}
	return backoff.Policy{First: p.Base, Max: p.Max, Jitter: 0.25}.Delay(attempt - 1)
}

// parseRetryAfter reads both forms of RFC 9110 10.2.3: seconds, and a date. The
// latter counts from the reply's own Date, since our clock may be another.
func parseRetryAfter(value, date string) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds < 0 {
			return 0, false
		}
		// A day is longer than anybody waits, and cannot overflow.
		return time.Duration(min(seconds, 86400)) * time.Second, true
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	sent, err := http.ParseTime(date)
	if err != nil {
		return 0, false
	}
	return max(0, at.Sub(sent)), true
}
