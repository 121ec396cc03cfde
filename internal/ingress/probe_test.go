package ingress

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestKnows(t *testing.T) {
	tests := []struct {
		name     string
		statuses []int // the last one stays
		want     bool
		asked    int // at least
	}{
		{"at once", []int{200}, true, 1},
		{"the activator refuses the probe: the request has passed the ingress", []int{400}, true, 1},
		{"after the ingress has loaded the route", []int{404, 404, 200}, true, 3},
		{"never", []int{404}, false, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Host != "hello.example" || r.Header.Get("K-Network-Probe") == "" {
					t.Errorf("asked for %s with %v", r.Host, r.Header)
				}
				w.WriteHeader(tt.statuses[min(asked, len(tt.statuses)-1)])
				asked++
			}))
			defer server.Close()
			dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*ingressEvery)
			defer cancel()
			if got := knows(ctx, dial, "http://hello.example"); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if asked < tt.asked {
				t.Errorf("asked %d times, want at least %d", asked, tt.asked)
			}
		})
	}
}

func TestIngressOutOfReachIsNotWaitedFor(t *testing.T) {
	refused := func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := time.Now()
	if !knows(ctx, refused, "http://hello.example") {
		t.Error("an ingress that cannot be reached was said not to know the host")
	}
	if waited := time.Since(start); waited > 10*time.Second {
		t.Errorf("waited %v", waited)
	}
}
