package router

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// kill ends a pod's process: connections break, new ones are refused. The pod's
// status stays as it was; somebody has to notice first.
func (p *platform) kill(pod *corev1.Pod) {
	p.t.Helper()
	p.mu.Lock()
	server := p.servers[pod.Name]
	delete(p.servers, pod.Name)
	p.mu.Unlock()
	_ = server.Listener.Close()
	server.CloseClientConnections()
	p.t.Cleanup(server.Close)
}

func TestKilledUnderLoad(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	work := func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * time.Millisecond)
		fmt.Fprint(w, "done")
	}
	pods := []*corev1.Pod{p.pod("v1", work), p.pod("v1", work)}
	p.route("hello", "v1=100")
	ctx, stop := context.WithCancel(t.Context())
	var served atomic.Int64
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for ctx.Err() == nil {
				if got := p.get(hello); got.body != "done" {
					t.Errorf("%+v", got)
				}
				served.Add(1)
			}
		})
	}
	for range 10 {
		before := served.Load()
		p.eventually("there is load", func() bool { return served.Load() > before+20 })
		p.kill(pods[0])
		time.Sleep(20 * time.Millisecond) // until the kubelet notices
		p.setReady(pods[0], false)
		pods = append(pods[1:], p.pod("v1", work))
	}
	stop()
	load.Wait()
	// And with the last one, those who come wait for the next.
	for _, pod := range pods {
		p.kill(pod)
	}
	time.Sleep(20 * time.Millisecond) // until idle connections are known to be broken
	time.AfterFunc(50*time.Millisecond, func() { p.pod("v1", work) })
	if got := p.get(hello); got.body != "done" {
		t.Errorf("with no process left: %+v", got)
	}
}

// What may have had an effect is not done twice.
func TestBrokenOffIsNotRepeated(t *testing.T) {
	p := newPlatform(t)
	var requests atomic.Int64
	breakOff := func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.URL.Path == "/late" {
			fmt.Fprint(w, "part")
			w.(http.Flusher).Flush()
		}
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	p.one(breakOff)
	p.pod("v1", breakOff)
	for _, test := range []struct {
		method, path, body string
		status             int
		times              int64
	}{
		{http.MethodPost, "/", "", http.StatusBadGateway, 1},
		{http.MethodPost, "/", "data", http.StatusBadGateway, 1},
		{http.MethodPut, "/", "data", http.StatusBadGateway, 1},
		{http.MethodGet, "/", "", http.StatusBadGateway, 2}, // once for each
		{http.MethodGet, "/late", "", http.StatusOK, 1},
	} {
		requests.Store(0)
		got, err := p.do(p.request(test.method, hello, test.path, strings.NewReader(test.body)))
		if got.status != test.status || requests.Load() != test.times {
			t.Errorf("%s %s %q: %+v, %v after %d requests", test.method, test.path, test.body, got, err, requests.Load())
		}
		if test.path == "/late" && err == nil {
			t.Error("an answer that broke off looks complete")
		}
		if test.status == http.StatusBadGateway && !strings.Contains(got.body, "v1 closed the connection without an answer") {
			t.Errorf("%q", got.body)
		}
	}
}

// A request that ends the only instance does not wait for the next one, to end that
// too: not even over a connection that has idled, where net/http would repeat it.
func TestPoisonEndsOneInstance(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	var poisoned atomic.Int64
	var pod *corev1.Pod
	handler := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/poison" {
			fmt.Fprint(w, "fine")
			return
		}
		poisoned.Add(1)
		p.kill(pod)
		panic(http.ErrAbortHandler)
	}
	pod = p.pod("v1", handler)
	p.route("hello", "v1=100")
	if got := p.get(hello); got.body != "fine" {
		t.Fatalf("before: %+v", got)
	}
	time.AfterFunc(50*time.Millisecond, func() {
		p.setReady(pod, false)
		p.pod("v1", handler)
	})
	got, err := p.do(p.request(http.MethodGet, hello, "/poison", nil))
	if err != nil || got.status != http.StatusBadGateway || poisoned.Load() != 1 {
		t.Errorf("%+v, %v after %d instances", got, err, poisoned.Load())
	}
	if got := p.get(hello); got.body != "fine" {
		t.Errorf("afterwards: %+v", got)
	}
}

// A refused connection costs nothing of a request: it is whole elsewhere.
func TestRefusedConnection(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}
	dead := p.pod("v1", echo)
	p.route("hello", "v1=100")
	p.kill(dead)
	p.pod("v1", echo)
	body := strings.Repeat("body ", 50000)
	for range 10 {
		got, err := p.do(p.request(http.MethodPost, hello, "/", strings.NewReader(body)))
		if err != nil || got.body != strings.TrimSpace(body) {
			t.Errorf("%d, %d bytes, %v", got.status, len(got.body), err)
		}
	}
}

// While all instances of a revision are at work elsewhere or gone, deleting and
// making it again under the same name leads to the new one.
func TestRevisionMadeAgain(t *testing.T) {
	p := newPlatform(t)
	p.one(says("first"))
	if got := p.get(hello); got.body != "first" {
		t.Fatalf("%+v", got)
	}
	for _, pod := range store.List[*corev1.Pod](p.store, "default") {
		p.store.Remove(pod)
	}
	p.delete("Revision", "v1")
	if got := p.get(hello); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "does not exist") {
		t.Errorf("of a deleted revision: %+v", got)
	}
	p.revision("v1")
	p.pod("v1", says("second"))
	if got := p.get(hello); got.body != "second" {
		t.Errorf("%+v", got)
	}
	p.delete("Route", "hello")
	p.delete("Revision", "v1")
	for _, pod := range store.List[*corev1.Pod](p.store, "default") {
		p.store.Remove(pod)
	}
	p.router.catchUp()
	if n := len(p.router.revisions) + len(p.router.pods) + len(p.router.routes); n != 0 {
		t.Errorf("%d things are remembered for ever", n)
	}
}

// A router that fell behind reads everything again.
func TestFarBehind(t *testing.T) {
	objects, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{Store: objects, Domain: domain})
	create := func(object store.Object) {
		if _, err := objects.Create(object); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		labels := map[string]string{serving.RevisionLabelKey: fmt.Sprint("v", i)}
		create(&servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("v", i)}})
		create(&servingv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("hello", i)}})
		create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("pod", i), Labels: labels}})
	}
	r.catchUp()
	for i := range 3 {
		for _, kind := range objects.Kinds() {
			for _, name := range []string{fmt.Sprint("v", i), fmt.Sprint("hello", i), fmt.Sprint("pod", i)} {
				_, _ = objects.Delete(kind, "default", name, 0, nil)
			}
		}
	}
	for i := range 20000 {
		create(&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprint("event", i)}})
	}
	r.catchUp()
	if len(r.routes) != 1 || len(r.revisions) != 1 || len(r.pods) != 1 || r.applied.Load() != objects.Version() {
		t.Errorf("%d routes, %d revisions, %d pods at %d of %d", len(r.routes), len(r.revisions), len(r.pods), r.applied.Load(), objects.Version())
	}
	if _, ok := r.lookup("hello3.default.localhost"); !ok {
		t.Error("what is there is not known")
	}
	if _, ok := r.lookup("hello1.default.localhost"); ok {
		t.Error("what is gone is known")
	}
}

func TestMetrics(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	p.pod("v1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusNotFound)
		}
	})
	p.route("hello", "v1=100", "next:v1=0")
	for range 3 {
		p.get(hello)
	}
	p.get("next-hello.default.localhost")
	if _, err := p.do(p.request(http.MethodGet, hello, "/no", nil)); err != nil {
		t.Fatal(err)
	}
	p.eventually("all are counted", func() bool { return p.router.Stats("default", "v1").Total == 5 })
	page := httptest.NewRecorder()
	p.router.Metrics().ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	labels := `namespace_name="default",service_name="hello",configuration_name="hello",revision_name="v1"`
	for _, want := range []string{
		"# TYPE revision_app_request_count counter\n",
		`revision_app_request_count{` + labels + `,response_code="200",response_code_class="2xx",route_tag=""} 3` + "\n",
		`revision_app_request_count{` + labels + `,response_code="200",response_code_class="2xx",route_tag="next"} 1` + "\n",
		`revision_app_request_count{` + labels + `,response_code="404",response_code_class="4xx",route_tag=""} 1` + "\n",
		`revision_app_request_latencies_bucket{` + labels + `,response_code="200",response_code_class="2xx",route_tag="",le="+Inf"} 3` + "\n",
		`revision_app_request_latencies_count{` + labels + `,response_code="404",response_code_class="4xx",route_tag=""} 1` + "\n",
		`revision_queue_depth{` + labels + `} 0` + "\n",
	} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("there is no %q in\n%s", want, page.Body)
		}
	}
	// Figures for the autoscaler: half a second with two requests at a time is one on average.
	v := p.known("v1")
	begin := time.Now()
	p.router.Collect(begin, func(string, string, float64, float64) {})
	v.enter(begin)
	v.enter(begin)
	half := begin.Add(500 * time.Millisecond)
	for range 2 {
		v.leave(&exchange{revision: v, response: &response{}}, begin, half)
	}
	for i, want := range [][2]float64{{1, 2}, {0, 0}} {
		calls := 0
		p.router.Collect(begin.Add(time.Duration(i+1)*time.Second), func(namespace, revision string, concurrency, requests float64) {
			calls++
			if got := [2]float64{concurrency, requests}; namespace != "default" || revision != "v1" || got != want {
				t.Errorf("report %d: %s/%s %v, want %v", i, namespace, revision, got, want)
			}
		})
		if calls != 1 {
			t.Errorf("report %d: %d revisions", i, calls)
		}
	}
	p.router.Collect(begin.Add(3*time.Second), func(_, revision string, _, _ float64) { t.Errorf("%s is quiet and reported", revision) })
}

func TestNobodyListens(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1", timeouts(1, 0, 0))
	dead := p.pod("v1", says("never"))
	p.route("hello", "v1=100")
	p.kill(dead)
	if got := p.get(hello); got.status != http.StatusGatewayTimeout && got.status != http.StatusBadGateway {
		t.Errorf("%+v", got)
	}
	if _, err := p.DialPod(t.Context(), "", dead.Name, 80); err == nil {
		t.Error("it listened after all")
	}
}

func TestStats(t *testing.T) {
	p := newPlatform(t)
	p.one(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	p.get(hello)
	if _, err := p.do(p.request(http.MethodGet, hello, "/fails", nil)); err != nil {
		t.Fatal(err)
	}
	p.eventually("both are counted", func() bool { return p.router.Stats("default", "v1").Total == 2 })
	if got := p.router.Stats("default", "v1"); got.Failed != 1 || got.InFlight != 0 || got.P95 <= 0 || got.P95 < got.Median {
		t.Errorf("%+v", got)
	}
	if got := p.router.Stats("default", "never"); got != (Stats{}) {
		t.Errorf("%+v", got)
	}
	var h histogram
	for range 90 {
		h.buckets[3]++ // 5 to 10 ms
	}
	for range 10 {
		h.buckets[8]++ // 200 to 500 ms
	}
	h.count = 100
	for q, want := range map[float64]time.Duration{0.45: 7500 * time.Microsecond, 0.9: 10 * time.Millisecond, 0.95: 350 * time.Millisecond} {
		if got := h.quantile(q); got != want {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if got := (&histogram{}).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
