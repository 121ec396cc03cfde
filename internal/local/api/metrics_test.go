package api_test

import (
	"net/http"
	"testing"

	"github.com/kn-lite/kn-lite/internal/local/api"
)

// The metrics of functions are for who has the token, as all else.
func TestMetrics(t *testing.T) {
	p := start(t, func(o *api.Options) {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"requests": 1}`)) })
	})
	if got := p.must(200, "GET", "/metrics", ""); got.body != `{"requests": 1}` {
		t.Errorf("%s", got.body)
	}
	p.must(401, "GET", "/metrics", "", "Authorization: none")
	start(t).must(404, "GET", "/metrics", "")
}
