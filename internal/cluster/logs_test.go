package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// podServer serves one service's pods: a list, a watch that the test feeds,
// and logs.
type podServer struct {
	mu     sync.Mutex
	list   []string // JSON of pods
	events chan string
	log    func(w http.ResponseWriter, r *http.Request, pod string, call int)
	calls  map[string]int
}

func (s *podServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/demo/pods/"); ok {
		pod := strings.TrimSuffix(rest, "/log")
		s.mu.Lock()
		s.calls[pod]++
		call := s.calls[pod]
		s.mu.Unlock()
		s.log(w, r, pod, call)
		return
	}
	if r.URL.Query().Get("watch") == "" {
		fmt.Fprintf(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[%s]}`, strings.Join(s.list, ","))
		return
	}
	flush(w)
	for {
		select {
		case <-r.Context().Done():
			return
		case event := <-s.events:
			fmt.Fprintln(w, event)
			flush(w)
		}
	}
}

func flush(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }

func podJSON(name string, restarts int, state string) string {
	raw, _ := json.Marshal(map[string]any{
		"kind": "Pod", "apiVersion": "v1",
		"metadata": map[string]any{
			"name": name, "namespace": "demo", "uid": "uid-" + name, "resourceVersion": "2",
			"labels": map[string]string{"serving.knative.dev/revision": "hello-v1"},
		},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "queue-proxy"}, map[string]any{"name": "user-container"}}},
		"status": map[string]any{"containerStatuses": []any{map[string]any{
			"name": "user-container", "restartCount": restarts, "state": map[string]any{state: map[string]any{}},
		}}},
	})
	return string(raw)
}

func clientFor(t *testing.T, handler http.Handler) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q}}],
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u","namespace":"demo"}}],"users":[{"name":"u","user":{}}]}`, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := New(Options{Kubeconfig: file, Env: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func stamp(second int, text string) string {
	return fmt.Sprintf("2026-03-01T12:00:%02d.5Z %s\n", second, text)
}

// A connection that breaks off costs no line and repeats none, a restarted
// container and a new pod are taken in, and a pod that has not started is not
// asked.
func TestLogsFollow(t *testing.T) {
	server := &podServer{
		list:   []string{podJSON("a", 0, "running"), podJSON("waiting", 0, "waiting")},
		events: make(chan string, 8), calls: make(map[string]int),
	}
	server.log = func(w http.ResponseWriter, r *http.Request, pod string, call int) {
		query := r.URL.Query()
		switch {
		case pod == "a" && call == 1:
			if query.Get("tailLines") != "5" {
				t.Errorf("the first read of a running pod asks for %s", r.URL.RawQuery)
			}
			fmt.Fprint(w, stamp(1, "one"), stamp(2, "two"))
			flush(w)
			panic(http.ErrAbortHandler)
		case pod == "a" && call == 2:
			if query.Get("sinceTime") != "2026-03-01T12:00:02Z" || query.Has("tailLines") {
				t.Errorf("after a cut it asks for %s", r.URL.RawQuery)
			}
			fmt.Fprint(w, stamp(2, "two"), stamp(3, "three"))
		case pod == "a" && call == 3:
			if query.Get("sinceTime") != "2026-03-01T12:00:03Z" || query.Has("tailLines") {
				t.Errorf("a restarted container is read with %s", r.URL.RawQuery)
			}
			fmt.Fprint(w, stamp(4, "again"))
			flush(w)
			<-r.Context().Done()
		case pod == "b":
			fmt.Fprint(w, stamp(5, "hello from b"))
			flush(w)
			<-r.Context().Done()
		default:
			t.Errorf("read %s, call %d", pod, call)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	enough := errors.New("enough")
	var got []string
	pods, err := clientFor(t, server).Logs(ctx, LogOptions{Service: "hello", Follow: true, Tail: 5}, func(line LogLine) error {
		got = append(got, line.Revision+" "+line.Pod+" "+line.Text)
		switch line.Text {
		case "three":
			server.events <- `{"type":"MODIFIED","object":` + podJSON("a", 1, "running") + `}`
		case "again":
			server.events <- `{"type":"ADDED","object":` + podJSON("b", 0, "running") + `}`
		case "hello from b":
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("ended with %v", err)
	}
	want := []string{"hello-v1 a one", "hello-v1 a two", "hello-v1 a three", "hello-v1 a again", "hello-v1 b hello from b"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if pods != 2 {
		t.Errorf("%d logs, want 2", pods)
	}
}

func TestLogsOnce(t *testing.T) {
	server := &podServer{list: []string{podJSON("a", 0, "terminated"), podJSON("gone", 0, "running"), podJSON("z", 2, "waiting")}, calls: make(map[string]int)}
	server.log = func(w http.ResponseWriter, r *http.Request, pod string, _ int) {
		if pod == "gone" { // deleted between the list and the read
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"details":{"name":"gone","kind":"pods"}}`)
			return
		}
		if got := r.URL.Query().Get("sinceSeconds"); got != "90" {
			t.Errorf("asked for sinceSeconds=%s", got)
		}
		fmt.Fprint(w, stamp(1, "from "+pod), "no time: the kubelet's own words\n", stamp(2, "last, without an end")[:len(stamp(2, "last, without an end"))-1])
	}
	var got []string
	pods, err := clientFor(t, server).Logs(t.Context(), LogOptions{Service: "hello", Since: 90 * time.Second, Tail: -1}, func(line LogLine) error {
		got = append(got, line.Text)
		return nil
	})
	if err != nil || pods != 2 {
		t.Errorf("%d pods, %v", pods, err)
	}
	want := []string{
		"from a", "no time: the kubelet's own words", "last, without an end",
		"from z", "no time: the kubelet's own words", "last, without an end",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The log of a restarted container may be there before the watch shows the
// restart: it is read once, not by an old and a new reader.
func TestLogsFollowShowsEachLineOnceOverARestart(t *testing.T) {
	server := &podServer{list: []string{podJSON("a", 0, "running")}, events: make(chan string, 8), calls: make(map[string]int)}
	server.log = func(w http.ResponseWriter, r *http.Request, _ string, call int) {
		switch call {
		case 1:
			fmt.Fprint(w, stamp(1, "first run"))
		case 2:
			fmt.Fprint(w, stamp(3, "second run"))
			flush(w)
			server.events <- `{"type":"MODIFIED","object":` + podJSON("a", 1, "running") + `}`
			time.Sleep(300 * time.Millisecond) // time for a second reader, if there were one
			fmt.Fprint(w, stamp(4, "last"))
			flush(w)
			<-r.Context().Done()
		default:
			fmt.Fprint(w, stamp(3, "second run"), stamp(4, "last"))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	enough := errors.New("enough")
	var got []string
	_, err := clientFor(t, server).Logs(ctx, LogOptions{Service: "hello", Follow: true, Tail: -1}, func(line LogLine) error {
		got = append(got, line.Text)
		if line.Text == "last" {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("ended with %v", err)
	}
	if diff := cmp.Diff([]string{"first run", "second run", "last"}, got); diff != "" {
		t.Error(diff)
	}
}

// A container that waits to be started again is not asked for its log over and over.
func TestLogsFollowWaitsForACrashedContainer(t *testing.T) {
	server := &podServer{list: []string{podJSON("a", 1, "waiting")}, events: make(chan string, 8), calls: make(map[string]int)}
	server.log = func(w http.ResponseWriter, r *http.Request, _ string, call int) {
		switch call {
		case 1:
			fmt.Fprint(w, stamp(1, "crashed"))
			time.AfterFunc(500*time.Millisecond, func() { server.events <- `{"type":"MODIFIED","object":` + podJSON("a", 2, "running") + `}` })
		case 2:
			fmt.Fprint(w, stamp(1, "crashed"), stamp(2, "works"))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	enough := errors.New("enough")
	var got []string
	_, err := clientFor(t, server).Logs(ctx, LogOptions{Service: "hello", Follow: true, Tail: -1}, func(line LogLine) error {
		got = append(got, line.Text)
		if line.Text == "works" {
			return enough
		}
		return nil
	})
	if diff := cmp.Diff([]string{"crashed", "works"}, got); !errors.Is(err, enough) || diff != "" {
		t.Error(err, diff)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	if server.calls["a"] != 2 {
		t.Errorf("asked %d times, want 2", server.calls["a"])
	}
}

func TestLogsOfContainers(t *testing.T) {
	pod := `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"demo","uid":"u","labels":{"serving.knative.dev/revision":"hello-v1"}},
		"spec":{"containers":[{"name":"envoy"},{"name":"app","ports":[{"containerPort":8080}]},{"name":"queue-proxy","ports":[{"containerPort":8112}]}]},
		"status":{"containerStatuses":[{"name":"envoy","restartCount":1,"state":{"running":{}}},{"name":"app","state":{"running":{}}},{"name":"queue-proxy","state":{"running":{}}}]}}`
	for _, tt := range []struct {
		name string
		o    LogOptions
		want []string
		kind fault.Kind
	}{
		{"the one with the port", LogOptions{}, []string{"app false"}, 0},
		{"by name", LogOptions{Container: "envoy"}, []string{"envoy false"}, 0},
		{"all", LogOptions{AllContainers: true}, []string{"envoy false", "app false", "queue-proxy false"}, 0},
		{"what has not been restarted has no previous run", LogOptions{AllContainers: true, Previous: true}, []string{"envoy true"}, 0},
		{"no such", LogOptions{Container: "nosuch"}, nil, fault.NotFound},
		{"no such, to follow", LogOptions{Container: "nosuch", Follow: true}, nil, fault.NotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := &podServer{list: []string{pod}, calls: make(map[string]int)}
			server.log = func(w http.ResponseWriter, r *http.Request, _ string, _ int) {
				q := r.URL.Query()
				fmt.Fprint(w, stamp(1, fmt.Sprintf("%s %t", q.Get("container"), q.Get("previous") == "true")))
			}
			tt.o.Service, tt.o.Tail = "hello", -1
			var got []string
			_, err := clientFor(t, server).Logs(t.Context(), tt.o, func(line LogLine) error {
				got = append(got, line.Text)
				return nil
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (tt.kind != 0) || err != nil && fault.KindOf(err) != tt.kind {
				t.Errorf("error %v", err)
			}
			if err != nil && !strings.Contains(fault.HintOf(err), "app, envoy, queue-proxy") {
				t.Errorf("the hint %q does not list the containers", fault.HintOf(err))
			}
		})
	}
}
