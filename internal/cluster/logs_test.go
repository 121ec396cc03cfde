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
			if query.Has("sinceTime") || query.Has("tailLines") {
				t.Errorf("a restarted container is read with %s", r.URL.RawQuery)
			}
			fmt.Fprint(w, stamp(4, "again"))
			flush(w)
			server.events <- `{"type":"ADDED","object":` + podJSON("b", 0, "running") + `}`
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
	if pods != 3 {
		t.Errorf("%d logs, want 3", pods)
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
