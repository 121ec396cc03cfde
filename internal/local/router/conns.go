package router

import (
	"bufio"
	"context"
	"errors"
	"math"
	"net"
	"sync"
	"time"
)

const (
	// idleConnTime is less than servers wait before they close an idle connection
	// (gunicorn 2 s, Node.js 5 s): a request must not meet that moment. It also is how
	// long a server of one thread may be held up by an idle connection.
	idleConnTime = 1500 * time.Millisecond
	// maxIdleConns is how many stay open between bursts of requests.
	maxIdleConns = 1024
	// maxAnswerHeader is what http.Transport takes.
	maxAnswerHeader = 10 << 20
	connBuffer      = 4 << 10
)

var errAnswerHeader = errors.New("the header of the answer is larger than 10 MB")

// conns are the HTTP/1.1 connections to one instance. A request has one of its own
// from its first byte to the last of its answer. Unlike http.Transport, they have no
// goroutines: passing each request to one and its answer back is a third of what a
// short request costs.
type conns struct {
	dial func(context.Context) (net.Conn, error)

	mu     sync.Mutex
	idle   []*conn // in the order in which they became so
	reaper *time.Timer
	closed bool
}

// conn is one connection. At most one request uses it at a time.
type conn struct {
	net.Conn
	in    *bufio.Reader
	out   *bufio.Writer
	left  int64 // what may still come; a header has a limit
	since time.Time
	again bool // it has answered a request before
}

func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errAnswerHeader
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// expectHeader begins the reading of an answer.
func (c *conn) expectHeader() { c.left = maxAnswerHeader }

func (c *conn) expectBody() { c.left = math.MaxInt64 }

// answered reports whether anything has come since expectHeader.
func (c *conn) answered() bool { return c.left < maxAnswerHeader }

// get returns the connection that was in use last, or a new one.
func (s *conns) get(ctx context.Context) (*conn, error) {
	for c := s.pop(); c != nil; c = s.pop() {
		if c.open() {
			return c, nil
		}
		_ = c.Close()
	}
	made, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: made}
	c.in, c.out = bufio.NewReaderSize(c, connBuffer), bufio.NewWriterSize(made, connBuffer)
	return c, nil
}

func (s *conns) pop() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	c := s.idle[last]
	s.idle[last], s.idle = nil, s.idle[:last]
	return c
}

// put takes a connection back whose answer is read to its end.
func (s *conns) put(c *conn) {
	c.since, c.again = time.Now(), true
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxIdleConns {
		_ = c.Close()
		return
	}
	s.idle = append(s.idle, c)
	if s.reaper == nil {
		s.reaper = time.AfterFunc(idleConnTime, s.reap)
	}
}

// reap closes what was idle for long.
func (s *conns) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, now := 0, time.Now()
	for old < len(s.idle) && now.Sub(s.idle[old].since) >= idleConnTime {
		_ = s.idle[old].Close()
		old++
	}
	s.idle = append(s.idle[:0:0], s.idle[old:]...)
	if len(s.idle) == 0 {
		s.reaper = nil
		return
	}
	s.reaper.Reset(idleConnTime - now.Sub(s.idle[0].since))
}

// close closes all that are idle, and the others when their requests are over.
func (s *conns) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.idle {
		_ = c.Close()
	}
	s.idle = nil
}
