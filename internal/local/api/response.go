package api

import (
	"io"
	"net/http"
	"time"
)

// response notes whether an answer has begun: an error after that can only break
// it off. Who does not read it, or does not send a body to its end, is let go.
type response struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	begun    bool
}

func newResponse(w http.ResponseWriter, patience time.Duration) *response {
	out := &response{ResponseWriter: w, control: http.NewResponseController(w), patience: patience}
	_ = out.control.SetWriteDeadline(time.Now().Add(patience))
	return out
}

func (w *response) WriteHeader(code int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(code)
}

func (w *response) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// send writes a part of an answer that may go on for hours. No deadline is left
// behind: HTTP/2 ends a stream at its deadline, also when nothing is to be written.
func (w *response) send(part []byte) error {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience))
	_, err := w.Write(part)
	if err == nil {
		err = w.control.Flush()
	}
	_ = w.control.SetWriteDeadline(time.Time{})
	return err
}

// readAll reads a body of at most limit bytes, and one more of a larger one. The
// deadline stays where a rest is left, which the server would wait for.
func (w *response) readAll(r *http.Request, limit int64) ([]byte, error) {
	_ = w.control.SetReadDeadline(time.Now().Add(w.patience))
	raw, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience))
	if err == nil && int64(len(raw)) <= limit {
		_ = w.control.SetReadDeadline(time.Time{})
	}
	return raw, err
}
