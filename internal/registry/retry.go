package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retry runs op until it succeeds, fails for good, or has been tried often
// enough. It is the only loop of its kind: what op calls must not repeat
// anything itself, so that attempts never multiply.
func (c *Client) retry(ctx context.Context, attempts int, op func(ctx context.Context) error) error {
	policy := c.opts.Policy
	for attempt := 1; ; attempt++ {
		err := op(ctx)
		if err == nil || !retryable(err) || ctx.Err() != nil {
			return err
		}
		if attempt >= attempts || refused(err) && attempt >= policy.Refused {
			return err
		}
		if waitErr := sleep(ctx, policy.pause(attempt, err)); waitErr != nil {
			return fmt.Errorf("%w, last: %w", waitErr, plainCause(err))
		}
	}
}

// pause is how long to wait after the nth failed attempt: what the server
// asked for, else twice as long each time, with up to a quarter of jitter so
// that parallel transfers do not come back all at once.
func (p Policy) pause(attempt int, err error) time.Duration {
	var status *StatusError
	if errors.As(err, &status) && status.hasWait {
		return min(status.after, p.AfterMax)
	}
	d := p.Max
	if shift := attempt - 1; shift < 16 {
		d = min(p.Base<<shift, p.Max)
	}
	return d - time.Duration(rand.Int64N(int64(d)/4+1))
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// parseRetryAfter reads both forms of RFC 9110 10.2.3: seconds and a date.
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
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
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}
