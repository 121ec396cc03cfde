package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/parallel"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// How the API server is looked after while something waits for it. A watch that
// says nothing is no sign of life: it says as little when the server is gone
// and nobody has told this end.
const (
	probeEvery   = 3 * time.Second // while nothing is heard of it
	probeAgain   = time.Second     // while it does not answer
	probeTimeout = 3 * time.Second
	// An API server that restarts is away for moments, of which nobody needs to hear.
	reportAfter = 2 * time.Second
	// A connection to a server that is gone may stay open for long; what is read over it is
	// given this much time before it is asked for anew.
	listTimeout = 30 * time.Second
)

// reach knows whether the API server answers, for as long as anybody waits.
type reach struct {
	server string
	report progress.Reporter
	probe  func(context.Context) error // nil: it answers
	renew  func()                      // gives up connections that nothing is sent over

	mu      sync.Mutex
	users   int
	stop    context.CancelFunc
	kick    chan struct{}
	heard   time.Time     // when it answered last
	down    time.Time     // since when it does not answer; zero: it does
	cause   error         // of that
	told    bool          // it has been reported
	renewed chan struct{} // closed when it answers again
}

func newReach(t target, client *http.Client, report progress.Reporter) *reach {
	if report == nil {
		report = progress.Nop()
	}
	return &reach{
		server: t.config.Host, report: report, probe: prober(t.config),
		renew: func() { utilnet.CloseIdleConnectionsFor(client.Transport) },
		kick:  make(chan struct{}, 1), renewed: make(chan struct{}),
	}
}

// prober returns what asks the API server for a sign of life, over a connection of
// its own. Credentials are not needed: a refusal is an answer.
func prober(config *rest.Config) func(context.Context) error {
	open := sync.OnceValues(func() (*http.Client, error) {
		anonymous := rest.AnonymousClientConfig(config)
		if anonymous.Dial == nil {
			// Transports with another dialer are not shared, and neither are their connections.
			anonymous.Dial = (&net.Dialer{Timeout: probeTimeout}).DialContext
		}
		return rest.HTTPClientFor(anonymous)
	})
	return func(ctx context.Context) error {
		client, err := open()
		if err != nil {
			return nil // it is not for want of an answer
		}
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		base, _, err := rest.DefaultServerUrlFor(config)
		if err != nil {
			return nil
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("version").String(), nil)
		if err != nil {
			return nil
		}
		request.Close = true
		response, err := client.Do(request)
		if err != nil {
			var op *net.OpError
			if errors.As(err, &op) && op.Op == "remote error" {
				return nil // it refuses the connection's terms, by TLS
			}
			return rootCause(err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
		switch response.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return errors.New(response.Status) // whatever stands before it
		}
		return nil
	}
}

// enter has the API server looked after until the returned function is called.
func (r *reach) enter(ctx context.Context) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users++; r.users == 1 {
		r.heard, r.down, r.cause, r.told = time.Now(), time.Time{}, nil, false
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		r.stop = stop
		go func() { _ = parallel.Guard(func() error { r.look(ctx); return nil })() }()
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.users--; r.users == 0 {
			r.stop()
		}
	}
}

// look probes the API server whenever it has not been heard of for a while.
func (r *reach) look(ctx context.Context) {
	timer := time.NewTimer(probeEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.kick:
		case <-timer.C:
		}
		began := time.Now()
		if r.isDue(began) {
			err := r.probe(ctx)
			if ctx.Err() != nil {
				return
			}
			r.note(began, err)
		}
		next := probeEvery
		if r.Down() > 0 {
			next = probeAgain
		}
		timer.Reset(next)
	}
}

func (r *reach) isDue(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.Sub(r.heard) >= probeEvery || !r.down.IsZero()
}

// answered is called when the API server has been heard of.
func (r *reach) answered() { r.note(time.Now(), nil) }

// failed is called when a request has had no answer.
func (r *reach) failed() {
	r.mu.Lock()
	r.heard = time.Time{}
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// note takes in whether the API server answered what was asked at began.
func (r *reach) note(began time.Time, err error) {
	r.mu.Lock()
	var warn, again string
	switch {
	case err == nil && r.down.IsZero():
		r.heard = time.Now()
	case err == nil:
		if r.told {
			again = "the API server " + r.server + " answers again"
		}
		r.heard, r.down, r.cause, r.told = time.Now(), time.Time{}, nil, false
		close(r.renewed)
		r.renewed = make(chan struct{})
	default:
		if r.down.IsZero() {
			r.down = began
		}
		r.cause = err
		if !r.told && time.Since(r.down) >= reportAfter {
			r.told = true
			warn = fmt.Sprintf("the API server %s does not answer (%v); waiting for it", r.server, err)
		}
	}
	r.mu.Unlock()
	if warn != "" {
		r.report.Warn(warn)
	}
	if again != "" {
		r.report.Note(again)
	}
}

// Down returns for how long the API server has not answered; 0 when it does.
func (r *reach) Down() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down.IsZero() {
		return 0
	}
	return max(time.Since(r.down), 1)
}

// attempt returns a context for one request: it ends when the API server answers
// again after it was away, since what was asked of it before may hang for ever.
func (r *reach) attempt(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	r.mu.Lock()
	renewed := r.renewed
	r.mu.Unlock()
	cancel := func() {}
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	ctx, cut := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-renewed:
			cut(errRenewed)
		case <-done:
		}
	}()
	return ctx, sync.OnceFunc(func() {
		close(done)
		cut(nil)
		cancel()
	})
}

// errRenewed ends what was asked of a server that has been away.
var errRenewed = errors.New("the API server has been away")

// Attend has the API server looked after until the returned function is called:
// Options.Progress hears when it stops answering and when it does again. Whoever
// watches need not call it.
func (c *Client) Attend(ctx context.Context) (leave func()) { return c.reach.enter(ctx) }

// Unreachable returns the error that the API server did not answer when it was
// looked after last; nil when it did.
func (c *Client) Unreachable() error {
	c.reach.mu.Lock()
	defer c.reach.mu.Unlock()
	if c.reach.down.IsZero() {
		return nil
	}
	since := max(time.Since(c.reach.down).Round(time.Second), time.Second)
	return c.unreachable("the API server has not answered for %s: %w", since, c.reach.cause)
}

func (c *Client) unreachable(format string, args ...any) *fault.Error {
	return fault.New(fault.Transient, "cluster.reach", c.server, format, args...).
		WithHint("is the cluster running? context %s", quoted(c.context))
}
