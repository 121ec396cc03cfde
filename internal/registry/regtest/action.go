package regtest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/buffered"
)

// Action is what a fault does in place of, or to, the right answer.
type Action struct {
	Name  string
	serve func(s *Server, w http.ResponseWriter, r *http.Request, next http.Handler)
}

// Status answers with an error of this status and, as registries do, a code.
func Status(code int) Action { return StatusAfter(code, "") }

// StatusAfter is Status with a Retry-After header.
func StatusAfter(code int, retryAfter string) Action {
	name := strconv.Itoa(code)
	if retryAfter != "" {
		name += " Retry-After " + retryAfter
	}
	return Action{name, func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		codes := map[int]string{401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 416: "RANGE_INVALID", 429: "TOOMANYREQUESTS"}
		errorCode, ok := codes[code]
		if !ok {
			errorCode = "UNKNOWN"
		}
		writeError(w, code, errorCode, "injected")
	}}
}

// Reset breaks the connection before anything is answered.
func Reset() Action {
	return Action{"reset", func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.Handler) { reset(w) }}
}

// ResetAfterReading breaks it when n bytes of the request's body have come.
func ResetAfterReading(n int64) Action {
	return Action{"reset after reading", func(s *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		got, _ := io.ReadAll(io.LimitReader(r.Body, n)) // how far it gets does not matter
		if s.KeepsParts && len(got) > 0 {
			r.Body = io.NopCloser(bytes.NewReader(got))
			buffered.Serve(next, r)
		}
		reset(w)
	}}
}

// ResetAfterWriting breaks it when the answer's header and n bytes are out.
func ResetAfterWriting(n int) Action {
	return Action{"reset after writing", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		sendPart(buffered.Serve(next, r), w, n)
		reset(w)
	}}
}

// DropReply does what was asked and then breaks the connection: the client
// cannot know.
func DropReply() Action {
	return Action{"reply dropped", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		buffered.Serve(next, r)
		reset(w)
	}}
}

// Stall answers nothing until the client or the server gives up.
func Stall() Action {
	return Action{"stall", func(s *Server, _ http.ResponseWriter, r *http.Request, _ http.Handler) { s.stall(r) }}
}

// StallAfterWriting sends the answer's header and n bytes, and no more.
func StallAfterWriting(n int) Action {
	return Action{"stall after writing", func(s *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		sendPart(buffered.Serve(next, r), w, n)
		s.stall(r)
		reset(w)
	}}
}

func (s *Server) stall(r *http.Request) {
	// Reading on tells when the client has hung up; net/http notices that only
	// while nobody reads the body.
	_, _ = io.Copy(io.Discard, r.Body)
	select {
	case <-r.Context().Done():
	case <-s.closed:
	}
	panic(http.ErrAbortHandler)
}

// Truncate sends the whole header, the body without its last n bytes, and closes.
func Truncate(n int) Action {
	return Action{"truncated", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		reply := buffered.Serve(next, r)
		sendPart(reply, w, max(0, reply.Body.Len()-n))
		panic(http.ErrAbortHandler)
	}}
}

// Slow sends the body in pieces of n bytes, a second apart.
func Slow(n int) Action {
	return Action{"slow", func(s *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		reply := buffered.Serve(next, r)
		sendPart(reply, w, 0)
		for piece := reply.Body.Next(n); len(piece) > 0; piece = reply.Body.Next(n) {
			select {
			case <-time.After(time.Second):
			case <-s.closed:
				return
			}
			if _, err := w.Write(piece); err != nil {
				return
			}
			flush(w)
		}
	}}
}

// FlipReply damages one bit in the middle of the answer's body.
func FlipReply() Action {
	return Action{"bit flip in the reply", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		reply := buffered.Serve(next, r)
		flip(reply.Body.Bytes())
		reply.CopyTo(w)
	}}
}

// FlipRequest damages one bit in the middle of the request's body.
func FlipRequest() Action {
	return Action{"bit flip in the request", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		flip(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	}}
}

// WrongDigest answers rightly but for the Docker-Content-Digest header.
func WrongDigest() Action {
	return Action{"wrong digest header", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		reply := buffered.Serve(next, r)
		reply.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		reply.CopyTo(w)
	}}
}

// Redirect sends the client elsewhere with a 307.
func Redirect(location string) Action {
	return Action{"redirect to " + location, func(_ *Server, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}}
}

// BigError is a 500 whose body is n bytes of nothing.
func BigError(n int64) Action {
	return Action{"big error body", func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.CopyN(w, zeros{}, n) // the client is right to hang up
	}}
}

// HTML is a web page where an answer of a registry should be.
func HTML(code int) Action {
	return Action{fmt.Sprintf("web page with %d", code), func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><head><title>Sign in to the Wi-Fi</title></head><body><script>x()</script></body></html>")
	}}
}

// MalformedJSON is a 200 with half an object.
func MalformedJSON() Action {
	return Action{"malformed JSON", func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"token": "abc`)
	}}
}

// ExpireTokens makes every token that is out there worthless, then answers.
func ExpireTokens() Action {
	return Action{"tokens expired", func(s *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		s.mu.Lock()
		clear(s.tokens)
		s.mu.Unlock()
		next.ServeHTTP(w, r)
	}}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func flip(body []byte) {
	if len(body) > 0 {
		body[len(body)/2] ^= 0x10
	}
}

// reset closes the connection so that the client sees a reset rather than an end.
func reset(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok { // HTTP/2 has no connection of its own per request
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = wrapped.NetConn()
	}
	switch c := raw.(type) {
	case interface{ Reset() }:
		c.Reset()
	case *net.TCPConn:
		_ = c.SetLinger(0) // an ordinary close is the next best fault
	}
	_ = conn.Close()
}

func flush(w http.ResponseWriter) {
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// sendPart announces the whole body and sends n bytes of it.
func sendPart(reply *buffered.Response, w http.ResponseWriter, n int) {
	reply.Header().Set("Content-Length", strconv.Itoa(max(reply.Body.Len(), n+1)))
	reply.CopyHeader(w)
	_, _ = w.Write(reply.Body.Next(n)) // a client that is gone needs no answer
	flush(w)
}
