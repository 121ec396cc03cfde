// Package buffered holds answers of HTTP handlers in memory, for who looks at them, or
// changes them, before a client does.
package buffered

import (
	"bytes"
	"net/http"
)

// Response is a whole answer.
type Response struct {
	// Status is 0 for an answer without any.
	Status int
	Body   bytes.Buffer
	header http.Header
}

var _ http.ResponseWriter = (*Response)(nil)

// Serve returns what a handler answers.
func Serve(h http.Handler, r *http.Request) *Response {
	out := &Response{header: http.Header{}}
	h.ServeHTTP(out, r)
	return out
}

// Header implements http.ResponseWriter.
func (r *Response) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter: the first one counts.
func (r *Response) WriteHeader(status int) {
	if r.Status == 0 {
		r.Status = status
	}
}

// Write implements http.ResponseWriter.
func (r *Response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.Body.Write(p)
}

// CopyTo sends the answer on.
func (r *Response) CopyTo(w http.ResponseWriter) {
	r.CopyHeader(w)
	_, _ = w.Write(r.Body.Bytes()) // whoever has gone does not read it
}

// CopyHeader sends the answer on but for its body.
func (r *Response) CopyHeader(w http.ResponseWriter) {
	for name, values := range r.header {
		w.Header()[name] = values
	}
	r.WriteHeader(http.StatusOK)
	w.WriteHeader(r.Status)
}
