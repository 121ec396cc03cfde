package router

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"time"
)

// writeGrace is how long an instance that has answered may go on reading its request
// before the connection counts as lost.
const writeGrace = 50 * time.Millisecond

// roundTrip sends a request and returns the answer, whose body is still to be read.
// sent is set before the first byte is on its way.
func (s *conns) roundTrip(req *http.Request, sent *atomic.Bool) (*http.Response, error) {
	for {
		c, err := s.get(req.Context())
		if err != nil {
			return nil, err
		}
		sent.Store(true)
		response, err := s.exchange(c, req)
		if err == nil {
			return response, nil
		}
		_ = c.Close()
		// The instance may just have closed a connection because nothing came for a while.
		if !repeatable(req) || !c.again || c.answered() || req.Context().Err() != nil {
			return nil, err
		}
	}
}

// repeatable reports whether a request may be sent again on another connection, by the
// same rule as http.Transport's.
func repeatable(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return req.Body == nil || req.Body == http.NoBody
	}
	return false
}

func (s *conns) exchange(c *conn, req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	c.expectHeader()
	a := &received{conn: c, pool: s, request: req}
	a.stop = context.AfterFunc(ctx, c.interrupt)
	var response *http.Response
	err := a.send()
	if err == nil {
		response, err = c.receive(req)
	}
	if err == nil {
		c.expectBody()
		a.take(response)
		return response, nil
	}
	a.stop()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if own := a.broken.Load(); own != nil {
		err = *own
	}
	return nil, err
}

// interrupt ends all reading and writing, now and later.
func (c *conn) interrupt() { _ = c.SetDeadline(time.Unix(1, 0)) }

// receive reads the head of the answer, and passes on those of 1xx before it.
func (c *conn) receive(req *http.Request) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(c.in, req)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= http.StatusOK || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
		if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(response.StatusCode, textproto.MIMEHeader(response.Header)); err != nil {
				return nil, err
			}
		}
	}
}

// received is the body of an answer. Once it is read to its end, the next request may
// have the connection.
type received struct {
	body    io.ReadCloser
	conn    *conn
	pool    *conns
	request *http.Request
	stop    func() bool           // of the watch over the request's context
	written chan struct{}         // closed when the request is; nil: it was before the answer
	broken  atomic.Pointer[error] // why not all of it was
	last    bool                  // the instance wants no further request on this connection
	over    bool
}

// send writes the request: beside the reading of the answer if it has a body.
func (a *received) send() error {
	if a.request.Body == nil || a.request.Body == http.NoBody {
		return a.write()
	}
	a.written = make(chan struct{})
	go func() {
		defer close(a.written)
		if err := a.write(); err != nil {
			a.broken.Store(&err)
			// An instance may answer before it has read everything, and close: that
			// answer counts. There is none to a request that ends in the middle.
			if failed, ok := errors.AsType[*net.OpError](err); !ok || failed.Op != "write" {
				a.conn.interrupt()
			}
		}
	}()
	return nil
}

func (a *received) write() error {
	if err := a.request.Write(a.conn.out); err != nil {
		return err
	}
	return a.conn.out.Flush()
}

// take takes over the body of the response.
func (a *received) take(response *http.Response) {
	a.body, response.Body = response.Body, a
	a.last = response.Close || a.request.Close || response.StatusCode == http.StatusSwitchingProtocols
	if response.ContentLength > int64(a.conn.in.Buffered()) {
		// The rest may take its time: the proxy is to pass on each part at once, as it
		// does with answers of unknown length. The header keeps the length.
		response.ContentLength = -1
	}
}

func (a *received) Read(p []byte) (int, error) {
	if a.over {
		return 0, io.EOF
	}
	n, err := a.body.Read(p)
	if err != nil {
		a.end(errors.Is(err, io.EOF))
	}
	if ctx := a.request.Context(); err != nil && !errors.Is(err, io.EOF) && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return n, err
}

func (a *received) Close() error {
	a.end(false)
	return nil
}

// end gives the connection to the next request, if nothing of this one is left on it.
func (a *received) end(complete bool) {
	if a.over {
		return
	}
	a.over = true
	untouched := a.stop()
	if complete && untouched && !a.last && a.sent() && a.conn.in.Buffered() == 0 {
		a.pool.put(a.conn)
		return
	}
	_ = a.conn.Close()
}

// sent reports whether all of the request was written, and waits a moment for it.
func (a *received) sent() bool {
	if a.written == nil {
		return true
	}
	timer := time.NewTimer(writeGrace)
	defer timer.Stop()
	select {
	case <-a.written:
		return a.broken.Load() == nil
	case <-timer.C:
		return false
	}
}
