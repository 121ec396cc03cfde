package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/ptr"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/api"
	"github.com/kn-lite/kn-lite/internal/local/dashboard"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/internal/local/view"
)

const token = "of-the-platform"

// bench is a dashboard over the real API server.
type bench struct {
	t      *testing.T
	store  *store.Store
	server *httptest.Server
	logs   logs

	mu      sync.Mutex
	figures map[string]view.Requests
	asked   int // how often figures were
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, store: s, figures: map[string]view.Requests{}, logs: logs{}}
	b.server = httptest.NewServer(dashboard.New(dashboard.Options{
		Store: s, Token: token, API: api.New(api.Options{Store: s, Token: token}), Logs: b.logs,
		Figures: func(_, revision string) view.Requests {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked++
			return b.figures[revision]
		},
	}))
	t.Cleanup(b.server.Close)
	return b
}

func (b *bench) count(revision string, r view.Requests) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.figures[revision] = r
}

func (b *bench) create(object store.Object) store.Object {
	b.t.Helper()
	made, err := b.store.Create(object)
	if err != nil {
		b.t.Fatal(err)
	}
	return made
}

// deploy makes a service with two revisions that are ready.
func (b *bench) deploy(name string, traffic ...servingv1.TrafficTarget) *servingv1.Service {
	b.t.Helper()
	ready := []apis.Condition{{Type: apis.ConditionReady, Status: corev1.ConditionTrue}}
	for _, revision := range []string{name + "-v1", name + "-v2"} {
		rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: revision, Labels: map[string]string{serving.ServiceLabelKey: name}}}
		rev.Status.Conditions = ready
		b.create(rev)
	}
	svc := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	svc.Spec.Template.Spec.Containers = []corev1.Container{{Image: "registry.example/" + name}}
	svc.Spec.Traffic = traffic
	svc.SetDefaults(b.t.Context())
	svc.Status.Conditions = ready
	svc.Status.LatestReadyRevisionName = name + "-v2"
	svc.Status.Traffic = traffic
	made, ok := b.create(svc).(*servingv1.Service)
	if !ok {
		b.t.Fatal("another kind")
	}
	return made
}

func (b *bench) service(name string) *servingv1.Service {
	b.t.Helper()
	svc, ok := store.Get[*servingv1.Service](b.store, "default", name)
	if !ok {
		b.t.Fatal("no service " + name)
	}
	return svc
}

func to(revision string, percent int64) servingv1.TrafficTarget {
	return servingv1.TrafficTarget{RevisionName: revision, Percent: &percent, LatestRevision: ptr.Bool(false)}
}

func pod(name, revision string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{
		serving.ServiceLabelKey: strings.TrimSuffix(revision, revision[len(revision)-3:]), serving.RevisionLabelKey: revision,
	}}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "user-container", ContainerID: "id-of-" + name}}
	return p
}

// ask sends a request with headers as NAME: VALUE.
func (b *bench) ask(method, path, body string, headers ...string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, string(raw), answer.Header
}

const bearer = "Authorization: Bearer " + token

// event is one of a stream.
type event struct {
	name string
	data json.RawMessage
}

// stream opens a stream of events; it ends with the test.
func (b *bench) stream(path string) (events <-chan event, stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.server.URL+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if kind := answer.Header.Get("Content-Type"); kind != "text/event-stream" {
		b.t.Fatalf("Content-Type is %q", kind)
	}
	out := make(chan event, 100)
	go func() {
		defer close(out)
		defer answer.Body.Close()
		var e event
		for lines := bufio.NewReader(answer.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch field {
			case "event":
				e.name = value
			case "data":
				e.data = json.RawMessage(value)
			case "":
				out <- e
				e = event{}
			}
		}
	}()
	b.t.Cleanup(cancel)
	return out, cancel
}

// next is the next event of a name that want accepts.
func next[T any](t *testing.T, events <-chan event, name string, want func(T) bool) T {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatal("the stream has ended")
			}
			var body T
			if err := json.Unmarshal(e.data, &body); err != nil {
				t.Fatal(err)
			}
			if e.name == name && want(body) {
				return body
			}
		case <-late:
			t.Fatalf("no such event %q", name)
		}
	}
}

// logs are those of pods, which go on until the reader has gone.
type logs map[string]string

// Logs implements dashboard.Logs.
func (l logs) Logs(ctx context.Context, _, pod string, _ *corev1.PodLogOptions) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, l[pod])
		<-ctx.Done()
		w.CloseWithError(ctx.Err())
	}()
	return r, nil
}
