package router

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

var errTimeout = errors.New("request timeout")

// response notes when an instance answers, and for how long it has been silent.
type response struct {
	http.ResponseWriter
	status int

	mu   sync.Mutex
	last time.Time // of the last byte; zero before the first
}

// Unwrap lets http.ResponseController reach what the server's writer can.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the status that counts: the last, after those of 1xx.
func (w *response) WriteHeader(status int) {
	w.status = status
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		w.touch()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	w.touch()
	return w.ResponseWriter.Write(b)
}

// Hijack is for WebSocket and the like: what their connection sends counts too.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return &hijacked{conn, w}, buffered, nil
}

type hijacked struct {
	net.Conn
	response *response
}

func (c *hijacked) Write(b []byte) (int, error) {
	c.response.touch()
	return c.Conn.Write(b)
}

func (w *response) touch() {
	now := time.Now()
	w.mu.Lock()
	w.last = now
	w.mu.Unlock()
}

func (w *response) started() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.last.IsZero()
}

// limit cancels a request that takes longer than its revision allows: in all,
// until the answer begins, or between two parts of the answer. Queue-proxy
// measures the same three.
func (w *response) limit(l *limits, cancel context.CancelCauseFunc) (stop func()) {
	start := time.Now()
	due := func() time.Time {
		w.mu.Lock()
		last := w.last
		w.mu.Unlock()
		next := start.Add(l.timeout)
		if l.startTimeout > 0 && last.IsZero() {
			next = earlier(next, start.Add(l.startTimeout))
		}
		if l.silent > 0 {
			if last.IsZero() {
				last = start
			}
			next = earlier(next, last.Add(l.silent))
		}
		return next
	}
	var mu sync.Mutex
	var timer *time.Timer
	over := false
	check := func() {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		if left := time.Until(due()); left > 0 {
			timer.Reset(left)
			return
		}
		cancel(errTimeout)
		// Neither a client that does not read nor one that does not send keeps the place.
		control := http.NewResponseController(w.ResponseWriter)
		now := time.Now()
		_ = control.SetReadDeadline(now)
		_ = control.SetWriteDeadline(now.Add(graceToAnswer))
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(time.Until(due()), check)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		timer.Stop()
	}
}

// graceToAnswer is how long a client may take to read the end of an answer to a
// request that timed out.
const graceToAnswer = 5 * time.Second

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
