package router

import (
	"net/http"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/local/view"
)

func TestRequests(t *testing.T) {
	p := newPlatform(t)
	arrived, release := make(chan struct{}), make(chan struct{})
	p.revision("hello-v1")
	p.pod("hello-v1", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fail":
			w.WriteHeader(http.StatusBadGateway)
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/wait":
			close(arrived)
			<-release
		}
	})
	p.route("hello", "hello-v1=100")
	if got := p.router.Requests("default", "none"); got != (view.Requests{}) {
		t.Errorf("%+v", got)
	}
	for _, path := range []string{"/", "/fail", "/missing"} {
		if _, err := p.do(p.request(http.MethodGet, "hello.default.localhost", path, nil)); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := p.do(p.request(http.MethodGet, "hello.default.localhost", "/wait", nil))
		ended <- err
	}()
	select {
	case <-arrived:
	case err := <-ended:
		t.Fatalf("the request did not get there: %v", err)
	}
	got := p.router.Requests("default", "hello-v1")
	if got.Total != 3 || got.Failed != 1 || got.InFlight != 1 || got.Median <= 0 || got.P95 < got.Median {
		t.Errorf("%+v", got)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What is long ago does not tell how long requests take now.
func TestRecentLatencies(t *testing.T) {
	var l recent
	if median, p95 := l.quantiles(0); median != 0 || p95 != 0 {
		t.Errorf("of nothing: %v, %v", median, p95)
	}
	for range 1000 {
		l.add(time.Hour)
	}
	for i := range recentRequests {
		l.add(time.Duration(i+1) * time.Millisecond)
	}
	if median, p95 := l.quantiles(1); median != 257*time.Millisecond || p95 != 487*time.Millisecond {
		t.Errorf("%v, %v", median, p95)
	}
}
