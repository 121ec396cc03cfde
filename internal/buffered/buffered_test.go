package buffered_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/kn-lite/kn-lite/internal/buffered"
)

func TestResponse(t *testing.T) {
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		status  int
		body    string
	}{
		"nothing": {func(http.ResponseWriter, *http.Request) {}, 200, ""},
		"a body":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, 200, "hello"},
		"a status": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			w.WriteHeader(http.StatusBadGateway)
		}, 404, ""},
		"a status late": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.WriteHeader(http.StatusBadGateway)
		}, 200, "x"},
		"a header, and status": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("A", "b")
			w.WriteHeader(http.StatusCreated)
		}, 201, ""},
	} {
		want, got := httptest.NewRecorder(), httptest.NewRecorder()
		c.handler(want, request)
		buffered.Serve(c.handler, request).CopyTo(got)
		if got.Code != c.status || got.Code != want.Code || got.Body.String() != c.body || got.Header().Get("A") != want.Header().Get("A") {
			t.Errorf("%s: %d %q %v", name, got.Code, got.Body, got.Header())
		}
	}
}
