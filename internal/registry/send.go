package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// commitRate is how fast a registry is expected to hash and store at least
// what it was sent, before it answers the commit of a large blob: 10 MB/s.
const commitRate = 10 << 20

// expectedWork is set on requests whose answer takes the server real work.
type expectedWork struct{}

// withWork tells send that the server must digest size bytes before it answers.
func withWork(ctx context.Context, size int64) context.Context {
	return context.WithValue(ctx, expectedWork{}, size)
}

// stallFor is the patience for one request.
func (c *Client) stallFor(req *http.Request) time.Duration {
	stall := c.opts.Policy.Stall
	if size, ok := req.Context().Value(expectedWork{}).(int64); ok {
		stall += time.Duration(size/commitRate) * time.Second
	}
	return stall
}

// send does one request, once. When neither side moves a byte for stall the
// request ends with errStalled. The caller closes the body.
func (c *Client) send(req *http.Request, stall time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	dog := &watchdog{stall: stall, cancel: cancel}
	req = req.WithContext(ctx)
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if req.Body != nil && req.Body != http.NoBody {
		req.Body = &watchedBody{ReadCloser: req.Body, dog: dog, outgoing: true}
		if again := req.GetBody; again != nil {
			req.GetBody = func() (io.ReadCloser, error) {
				body, err := again()
				if err != nil {
					return nil, err
				}
				return &watchedBody{ReadCloser: body, dog: dog, outgoing: true}, nil
			}
		}
	}
	dog.start()
	resp, err := c.http.Do(req)
	dog.stop()
	if err != nil {
		err = stalledOr(ctx, err)
		cancel(nil)
		return nil, err
	}
	resp.Body = &watchedBody{ReadCloser: resp.Body, dog: dog, ctx: ctx, done: func() { cancel(nil) }}
	return resp, nil
}

// finish lets go of a reply. What closing it says cannot change what was read.
func finish(resp *http.Response) { _ = resp.Body.Close() }

// stalledOr finds out whether it was the watchdog that ended a request.
func stalledOr(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if stalled, ok := errors.AsType[errStalled](context.Cause(ctx)); ok {
		// The %v keeps the cancellation that the watchdog caused out of the chain.
		return fmt.Errorf("%w", stalled)
	}
	return err
}

// watchdog cancels a request when it was not stopped or restarted in time.
type watchdog struct {
	stall  time.Duration
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
}

func (d *watchdog) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil {
		d.timer = time.AfterFunc(d.stall, func() { d.cancel(errStalled{d.stall}) })
		return
	}
	d.timer.Reset(d.stall)
}

func (d *watchdog) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// watchedBody runs the watchdog while the network is waited for, and only then:
// for an incoming body during Read, for an outgoing one between the reads. A
// slow disk or a slow consumer is not the registry's fault.
type watchedBody struct {
	io.ReadCloser
	dog      *watchdog
	outgoing bool
	ctx      context.Context // nil when outgoing
	done     func()          // nil when outgoing
}

func (b *watchedBody) Read(p []byte) (int, error) {
	if b.outgoing {
		b.dog.stop()
		defer b.dog.start()
		return b.ReadCloser.Read(p)
	}
	b.dog.start()
	defer b.dog.stop()
	n, err := b.ReadCloser.Read(p)
	return n, stalledOr(b.ctx, err)
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	if b.done != nil {
		b.dog.stop()
		b.done()
	}
	return err
}
