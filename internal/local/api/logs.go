package api

import (
	"io"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (s *Server) podLog(w *response, r *request) error {
	if _, err := s.current(r); err != nil {
		return err
	}
	options, err := r.logOptions()
	if err != nil {
		return err
	}
	if s.logs == nil {
		return apierrors.NewServiceUnavailable("nothing runs containers here")
	}
	log, err := s.logs.Logs(r.Context(), r.namespace, r.name, options)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	// A client that follows wants to know that it may wait.
	if w.send(nil) != nil {
		return nil
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := log.Read(buffer)
		if n > 0 {
			if w.send(buffer[:n]) != nil {
				return nil
			}
		}
		if err != nil {
			if err == io.EOF || r.Context().Err() != nil {
				return nil
			}
			return err
		}
	}
}

func (r *request) logOptions() (*corev1.PodLogOptions, error) {
	q := r.query
	o := &corev1.PodLogOptions{
		Container: q.Get("container"), Follow: isTrue(q.Get("follow")), Previous: isTrue(q.Get("previous")), Timestamps: isTrue(q.Get("timestamps")),
	}
	for name, to := range map[string]**int64{"tailLines": &o.TailLines, "limitBytes": &o.LimitBytes, "sinceSeconds": &o.SinceSeconds} {
		if !q.Has(name) {
			continue
		}
		n, err := strconv.ParseInt(q.Get(name), 10, 64)
		if err != nil || n < 0 || n == 0 && name != "tailLines" {
			return nil, badRequest("%s: Invalid value: %q: must be a positive number", name, q.Get(name))
		}
		*to = &n
	}
	if text := q.Get("sinceTime"); text != "" {
		since, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, badRequest("sinceTime: Invalid value: %q: must be a time as of RFC 3339", text)
		}
		at := metav1.NewTime(since)
		o.SinceTime = &at
	}
	if o.SinceTime != nil && o.SinceSeconds != nil {
		return nil, badRequest("at most one of `sinceTime` or `sinceSeconds` may be specified")
	}
	return o, nil
}
