package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// watchServer serves one service whose resource version counts up.
type watchServer struct {
	mu      sync.Mutex
	lists   int
	watches []string // the versions that watches began at
	// script answers the nth watch, counted from 0.
	script func(n int, send func(watch.EventType, any), r *http.Request, w http.ResponseWriter)
}

func service(version int) *servingv1.Service {
	return &servingv1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "serving.knative.dev/v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: "fn", Namespace: "ns", ResourceVersion: strconv.Itoa(version)},
	}
}

func (s *watchServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/version" {
		answer(w, 200, map[string]string{})
		return
	}
	s.mu.Lock()
	if r.URL.Query().Get("watch") == "" {
		s.lists++
		version := 10 * s.lists
		s.mu.Unlock()
		list := servingv1.ServiceList{
			TypeMeta: metav1.TypeMeta{APIVersion: "serving.knative.dev/v1", Kind: "ServiceList"},
			ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(version)}, Items: []servingv1.Service{*service(version)},
		}
		answer(w, 200, list)
		return
	}
	n := len(s.watches)
	s.watches = append(s.watches, r.URL.Query().Get("resourceVersion"))
	s.mu.Unlock()
	s.script(n, func(kind watch.EventType, object any) {
		w.Header().Set("Content-Type", "application/json")
		raw, _ := json.Marshal(object)
		_ = json.NewEncoder(w).Encode(metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: raw}})
		w.(http.Flusher).Flush()
	}, r, w)
}

// seen follows fn until it has the version, and returns all that it saw.
func seen(t *testing.T, s *watchServer, until string) ([]string, error) {
	t.Helper()
	c := stub(t, s.ServeHTTP)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var versions []string
	err := c.WatchService(ctx, "fn", func(svc *servingv1.Service) error {
		if svc == nil {
			versions = append(versions, "gone")
		} else {
			versions = append(versions, svc.ResourceVersion)
		}
		if versions[len(versions)-1] == until {
			return ErrStop
		}
		return nil
	})
	return versions, err
}

func TestWatchSurvives(t *testing.T) {
	gone := status(410, metav1.StatusReasonExpired, "too old resource version", nil)
	tests := []struct {
		name    string
		script  func(n int, send func(watch.EventType, any), r *http.Request, w http.ResponseWriter)
		until   string
		want    []string
		watches []string
	}{
		{
			"a watch that is closed after each event goes on from there",
			func(n int, send func(watch.EventType, any), _ *http.Request, _ http.ResponseWriter) {
				send(watch.Modified, service(11+n))
			},
			"13",
			[]string{"10", "11", "12", "13"},
			[]string{"10", "11", "12"},
		},
		{
			"an expired version lists again",
			func(n int, send func(watch.EventType, any), _ *http.Request, _ http.ResponseWriter) {
				if n == 0 {
					send(watch.Error, gone)
					return
				}
				send(watch.Modified, service(21))
			},
			"21",
			[]string{"10", "20", "21"},
			[]string{"10", "20"},
		},
		{
			"410 to the request itself, likewise",
			func(n int, send func(watch.EventType, any), _ *http.Request, w http.ResponseWriter) {
				if n == 0 {
					answer(w, 410, gone)
					return
				}
				send(watch.Modified, service(21))
			},
			"21",
			[]string{"10", "20", "21"},
			[]string{"10", "20"},
		},
		{
			"a bookmark moves on and is no event",
			func(n int, send func(watch.EventType, any), _ *http.Request, _ http.ResponseWriter) {
				if n == 0 {
					send(watch.Bookmark, service(15))
					return
				}
				send(watch.Modified, service(16))
			},
			"16",
			[]string{"10", "16"},
			[]string{"10", "15"},
		},
		{
			"an API server that restarts",
			func(n int, send func(watch.EventType, any), _ *http.Request, w http.ResponseWriter) {
				switch n {
				case 0:
					panic(http.ErrAbortHandler)
				case 1:
					answer(w, 503, status(503, metav1.StatusReasonServiceUnavailable, "starting", nil))
				default:
					send(watch.Modified, service(11))
				}
			},
			"11",
			[]string{"10", "11"},
			[]string{"10", "10", "10"},
		},
		{
			"a deletion",
			func(_ int, send func(watch.EventType, any), _ *http.Request, _ http.ResponseWriter) {
				send(watch.Deleted, service(12))
			},
			"gone",
			[]string{"10", "gone"},
			[]string{"10"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &watchServer{script: tt.script}
			got, err := seen(t, s, tt.until)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("saw %v (%v), want %v", got, err, tt.want)
			}
			if !slices.Equal(s.watches, tt.watches) {
				t.Errorf("watched from %v, want %v", s.watches, tt.watches)
			}
		})
	}
}

// TestWatchRefused: what will not pass ends the wait at once, with its reason.
func TestWatchRefused(t *testing.T) {
	s := &watchServer{script: func(_ int, _ func(watch.EventType, any), _ *http.Request, w http.ResponseWriter) {
		answer(w, 401, status(401, metav1.StatusReasonUnauthorized, "no", &metav1.StatusDetails{Kind: "services", Group: "serving.knative.dev"}))
	}}
	_, err := seen(t, s, "never")
	check(t, err, fault.Auth, []string{"does not accept these credentials"})
}

// TestWatchStorm: a server that closes every watch at once is not flooded.
func TestWatchStorm(t *testing.T) {
	s := &watchServer{script: func(_ int, _ func(watch.EventType, any), _ *http.Request, w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
	}}
	c := stub(t, s.ServeHTTP)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	err := c.WatchService(ctx, "fn", func(*servingv1.Service) error { return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	// At 0, 0.5, 1.5 s; the next would be at 3.5 s.
	if n := len(s.watches); n < 2 || n > 4 {
		t.Errorf("%d watches in 3 s", n)
	}
}

// TestWatchCallbackError passes through as it is.
func TestWatchCallbackError(t *testing.T) {
	s := &watchServer{script: func(_ int, send func(watch.EventType, any), _ *http.Request, _ http.ResponseWriter) {
		send(watch.Modified, service(11))
	}}
	c := stub(t, s.ServeHTTP)
	mine := fmt.Errorf("mine")
	if err := c.WatchService(t.Context(), "fn", func(*servingv1.Service) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("error %v", err)
	}
}

// TestPollsWhereWatchingIsForbidden: whoever may list and not watch waits all the same.
func TestPollsWhereWatchingIsForbidden(t *testing.T) {
	s := &watchServer{script: func(_ int, _ func(watch.EventType, any), _ *http.Request, w http.ResponseWriter) {
		answer(w, http.StatusForbidden, status(http.StatusForbidden, metav1.StatusReasonForbidden, "cannot watch", &metav1.StatusDetails{Kind: "services"}))
	}}
	versions, err := seen(t, s, "30")
	if err != nil || !slices.Equal(versions, []string{"10", "20", "30"}) {
		t.Errorf("saw %v, %v", versions, err)
	}
}
