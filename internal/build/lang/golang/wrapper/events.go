// Functions of CloudEvents. The file is in images of such functions only.

package wrapper

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// message is a CloudEvent as HTTP carries it, in either mode of the HTTP
// binding (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md).
// The user's own CloudEvents module makes its event of it: this file knows none,
// so a function without events needs none.
type message struct {
	attributes map[string]string // by lower-case name; datacontenttype is one
	data       []byte            // nil when there is none
}

// statusError is an error that says what the answer's status shall be.
type statusError struct {
	code int
	err  error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func refuse(code int, format string, args ...any) error {
	return &statusError{code, fmt.Errorf(format, args...)}
}

// eventHandler serves a function of events. What call returns is the answer,
// in binary mode; without one the answer is empty, with the status that the
// specification of webhooks wants for that.
func eventHandler(call func(context.Context, message) (*message, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := readEvent(r)
		var out *message
		if err == nil {
			out, err = call(r.Context(), in)
		}
		code := http.StatusOK
		if err != nil {
			code = statusOf(err)
		}
		switch {
		case out != nil:
			writeEvent(w, code, out)
		case err != nil:
			http.Error(w, err.Error(), code)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
}

// readEvent takes the event out of a request.
func readEvent(r *http.Request) (message, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return message{}, refuse(http.StatusBadRequest, "reading the event: %w", err)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var m message
	switch {
	case kind == "application/cloudevents+json":
		m, err = structured(body)
	case strings.HasPrefix(kind, "application/cloudevents"):
		return m, refuse(http.StatusUnsupportedMediaType, "events come one at a time, in binary mode or as application/cloudevents+json, not as %s", kind)
	case r.Header.Get("Ce-Specversion") == "":
		return m, refuse(http.StatusBadRequest, "this function takes CloudEvents, and the request has neither ce- headers nor the type application/cloudevents+json")
	default:
		m, err = binary(r.Header, body)
	}
	if err != nil {
		return m, refuse(http.StatusBadRequest, "not a CloudEvent: %w", err)
	}
	return m, m.check()
}

func (m message) check() error {
	if v := m.attributes["specversion"]; v != "1.0" && v != "0.3" {
		return refuse(http.StatusBadRequest, "not a CloudEvent of version 1.0 or 0.3: specversion %q", v)
	}
	for _, name := range []string{"id", "source", "type"} {
		if m.attributes[name] == "" {
			return refuse(http.StatusBadRequest, "not a CloudEvent: it has no %s", name)
		}
	}
	return nil
}

func binary(header http.Header, body []byte) (message, error) {
	m := message{attributes: map[string]string{}}
	for name, values := range header {
		name, ok := strings.CutPrefix(strings.ToLower(name), "ce-")
		if !ok || len(values) == 0 {
			continue
		}
		value, err := url.PathUnescape(values[0])
		if err != nil {
			value = values[0] // a lone % of a sender that does not encode
		}
		m.attributes[name] = value
	}
	if kind := header.Get("Content-Type"); kind != "" {
		m.attributes["datacontenttype"] = kind
	}
	if len(body) > 0 {
		m.data = body
	}
	return m, nil
}

func structured(body []byte) (message, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return message{}, err
	}
	m := message{attributes: map[string]string{}}
	for name, raw := range fields {
		if name == "data" || name == "data_base64" || string(raw) == "null" {
			continue
		}
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return m, err
		}
		switch value := value.(type) {
		case string:
			m.attributes[name] = value
		case bool, float64:
			m.attributes[name] = string(raw)
		default:
			return m, fmt.Errorf("the attribute %s is neither text, number nor truth value", name)
		}
	}
	if raw, ok := fields["data_base64"]; ok {
		return m, json.Unmarshal(raw, &m.data)
	}
	raw, ok := fields["data"]
	if !ok {
		return m, nil
	}
	kind := m.attributes["datacontenttype"]
	if kind == "" {
		kind = "application/json"
		m.attributes["datacontenttype"] = kind
	}
	m.data = raw
	// Only JSON stands for itself; other text is a JSON string.
	var text string
	if isJSON(kind) || json.Unmarshal(raw, &text) != nil {
		return m, nil
	}
	m.data = []byte(text)
	if m.attributes["datacontentencoding"] == "base64" { // of version 0.3
		delete(m.attributes, "datacontentencoding")
		decoded, err := base64.StdEncoding.DecodeString(text)
		m.data = decoded
		return m, err
	}
	return m, nil
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json"))
}

func writeEvent(w http.ResponseWriter, code int, m *message) {
	for name, value := range m.attributes {
		if name == "datacontenttype" {
			w.Header().Set("Content-Type", value)
		} else {
			w.Header().Set("Ce-"+name, escape(value))
		}
	}
	w.WriteHeader(code)
	// The peer may be gone; there is nobody else to tell.
	_, _ = w.Write(m.data)
}

// escape writes what a header cannot hold as the HTTP binding says (3.1.3.2).
func escape(value string) string {
	var out strings.Builder
	for _, b := range []byte(value) {
		if b <= ' ' || b >= 0x7f || b == '"' || b == '%' {
			fmt.Fprintf(&out, "%%%02X", b)
		} else {
			out.WriteByte(b)
		}
	}
	return out.String()
}

// statusOf is the status for an error: what a statusError says, or an error with
// a field StatusCode, as the results of the CloudEvents SDK have it. It is found
// by its name because its package would bring modules that the user's may lack.
func statusOf(err error) int {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if s, ok := e.(*statusError); ok {
			return s.code
		}
		value := reflect.Indirect(reflect.ValueOf(e))
		if value.Kind() != reflect.Struct {
			continue
		}
		if code := value.FieldByName("StatusCode"); code.IsValid() && code.CanInt() && code.Int() >= 200 && code.Int() < 600 {
			return int(code.Int())
		}
	}
	return http.StatusInternalServerError
}
