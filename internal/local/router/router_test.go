package router

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/networking/pkg/apis/networking"
	"knative.dev/pkg/apis"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const domain = "127.0.0.1.sslip.io:7080"

// platform is a router in front of real servers: each pod is one of its own.
type platform struct {
	t      *testing.T
	store  *store.Store
	router *Router
	front  *httptest.Server
	client *http.Client

	mu        sync.Mutex
	servers   map[string]*httptest.Server // by pod
	activated map[string]int              // by revision
	activate  func(revision string)
	serial    int
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	objects, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, store: objects, servers: map[string]*httptest.Server{}, activated: map[string]int{}}
	p.router = New(Options{Store: objects, Domain: domain, Dial: p, Activate: p.onActivate})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = p.router.Run(ctx) })
	p.front = httptest.NewUnstartedServer(p.router)
	p.front.Config = NewServer(p.router)
	p.front.Start()
	p.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}}
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		p.front.CloseClientConnections()
		p.front.Close()
		cancel()
		running.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, s := range p.servers {
			s.CloseClientConnections()
			s.Close()
		}
	})
	return p
}

func (p *platform) onActivate(_, revision string) {
	p.mu.Lock()
	p.activated[revision]++
	activate := p.activate
	p.mu.Unlock()
	if activate != nil {
		activate(revision)
	}
}

func (p *platform) activations(revision string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.activated[revision]
}

// DialPod connects to the server of a pod.
func (p *platform) DialPod(ctx context.Context, _, pod string, _ int32) (net.Conn, error) {
	p.mu.Lock()
	s := p.servers[pod]
	p.mu.Unlock()
	if s == nil {
		return nil, errors.New("connect: connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", s.Listener.Addr().String())
}

func (p *platform) create(object store.Object) {
	p.t.Helper()
	if _, err := p.store.Create(object); err != nil {
		p.t.Fatal(err)
	}
}

// revision makes a Revision object.
func (p *platform) revision(name string, change ...func(*servingv1.Revision)) {
	p.t.Helper()
	r := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{
		serving.ServiceLabelKey: "hello", serving.ConfigurationLabelKey: "hello",
	}}}
	r.Spec.Containers = []corev1.Container{{Name: "user-container", Image: "hello"}}
	for _, c := range change {
		c(r)
	}
	p.create(r)
}

func concurrency(n int64) func(*servingv1.Revision) {
	return func(r *servingv1.Revision) { r.Spec.ContainerConcurrency = &n }
}

func h2c(r *servingv1.Revision) {
	r.Spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "h2c", ContainerPort: 8080}}
}

func timeouts(total, start, idle int64) func(*servingv1.Revision) {
	return func(r *servingv1.Revision) {
		r.Spec.TimeoutSeconds, r.Spec.ResponseStartTimeoutSeconds, r.Spec.IdleTimeoutSeconds = &total, &start, &idle
	}
}

// known is what the router has of a revision.
func (p *platform) known(name string) *revision {
	p.t.Helper()
	p.router.catchUp()
	p.router.mu.Lock()
	defer p.router.mu.Unlock()
	v := p.router.revisions[key{"default", name}]
	if v == nil {
		p.t.Fatalf("the router does not know %s", name)
	}
	return v
}

// pod starts an instance that is ready.
func (p *platform) pod(revision string, handler http.HandlerFunc) *corev1.Pod {
	p.t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = &http.Protocols{}
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	p.mu.Lock()
	p.serial++
	name := fmt.Sprintf("%s-%d", revision, p.serial)
	p.servers[name] = server
	p.mu.Unlock()
	p.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{serving.RevisionLabelKey: revision}}})
	pod, _ := store.Get[*corev1.Pod](p.store, "default", name)
	return p.setReady(pod, true)
}

func (p *platform) setReady(pod *corev1.Pod, ready bool) *corev1.Pod {
	p.t.Helper()
	next := pod.DeepCopy()
	next.ResourceVersion = ""
	next.Status.Phase = corev1.PodRunning
	next.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	if ready {
		next.Status.Conditions[0].Status = corev1.ConditionTrue
	}
	stored, err := p.store.UpdateStatus(next)
	if err != nil {
		p.t.Fatal(err)
	}
	out, _ := stored.(*corev1.Pod)
	return out
}

// route writes a split: v1=50, next:v2=50, next:v1=0 …
func (p *platform) route(name string, split ...string) {
	p.t.Helper()
	p.routeLabelled(name, nil, split...)
}

func (p *platform) routeLabelled(name string, labels map[string]string, split ...string) {
	p.t.Helper()
	known, ok := store.Get[*servingv1.Route](p.store, "default", name)
	if !ok {
		p.create(&servingv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: labels}})
		known, _ = store.Get[*servingv1.Route](p.store, "default", name)
	}
	next := known.DeepCopy()
	next.Status.Traffic = nil
	for _, s := range split {
		var t servingv1.TrafficTarget
		target, percent, _ := strings.Cut(s, "=")
		if tag, revision, ok := strings.Cut(target, ":"); ok {
			t.Tag, target = tag, revision
		}
		t.RevisionName = target
		if percent != "" {
			var n int64
			_, _ = fmt.Sscan(percent, &n)
			t.Percent = &n
		}
		next.Status.Traffic = append(next.Status.Traffic, t)
	}
	if _, err := p.store.UpdateStatus(next); err != nil {
		p.t.Fatal(err)
	}
}

func (p *platform) request(method, host, path string, body io.Reader) *http.Request {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.front.URL+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Host = host
	return req
}

type answer struct {
	status int
	body   string
	header http.Header
}

func (p *platform) do(req *http.Request) (answer, error) {
	response, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, strings.TrimSpace(string(body)), response.Header}, err
}

func (p *platform) get(host string) answer {
	p.t.Helper()
	a, err := p.do(p.request(http.MethodGet, host, "/", nil))
	if err != nil {
		p.t.Fatal(err)
	}
	return a
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
}

func TestHosts(t *testing.T) {
	p := newPlatform(t)
	for _, name := range []string{"hello-v1", "hello-v2", "private-v1", "next-hello-v1"} {
		p.revision(name)
		p.pod(name, says(name))
	}
	p.route("hello", "hello-v1=100", "next:hello-v2=0")
	p.routeLabelled("private", map[string]string{networking.VisibilityLabelKey: "cluster-local"}, "private-v1=100", "old:private-v1")
	for host, want := range map[string]string{
		"hello.default.127.0.0.1.sslip.io:7080":      "hello-v1",
		"hello.default.127.0.0.1.sslip.io":           "hello-v1",
		"Hello.Default.127.0.0.1.SSLIP.io.":          "hello-v1",
		"hello.default.localhost:1234":               "hello-v1",
		"hello.default.svc.cluster.local":            "hello-v1",
		"hello.default.svc":                          "hello-v1",
		"hello.default":                              "hello-v1",
		"next-hello.default.127.0.0.1.sslip.io:7080": "hello-v2",
		"next-hello.default.localhost":               "hello-v2",
		"next-hello.default.svc.cluster.local":       "hello-v2",
		"private.default.svc.cluster.local:80":       "private-v1",
		"private.default":                            "private-v1",
		"old-private.default.svc":                    "private-v1",
		"private.default.127.0.0.1.sslip.io:7080":    "404",
		"private.default.localhost":                  "404",
		"old-private.default.localhost":              "404",
		"prev-hello.default.localhost":               "404",
		"hello.other.localhost":                      "404",
		"hello.default.example.com":                  "404",
		"x.hello.default.localhost":                  "404",
		"hello.localhost":                            "404",
		"localhost:7080":                             "404",
		"127.0.0.1.sslip.io":                         "404",
		"127.0.0.1:7080":                             "404",
		"[::1]:7080":                                 "404",
		".default.localhost":                         "404",
		"..svc":                                      "404",
	} {
		got := p.get(host)
		if got.status == http.StatusNotFound {
			if !strings.Contains(got.body, "kn-lite list") || !strings.Contains(got.body, strings.TrimSuffix(host, ".")) {
				t.Errorf("%s: %q does not help", host, got.body)
			}
			got.body = "404"
		}
		if got.body != want {
			t.Errorf("%s leads to %q, want %q", host, got.body, want)
		}
	}
	// A service whose name is a tag's host wins, and gives it back when it goes.
	p.route("next-hello", "next-hello-v1=100")
	if got := p.get("next-hello.default.localhost"); got.body != "next-hello-v1" {
		t.Errorf("a service beside a tag of its name: %+v", got)
	}
	p.delete("Route", "next-hello")
	if got := p.get("next-hello.default.localhost"); got.body != "hello-v2" {
		t.Errorf("a tag after the service of its name is gone: %+v", got)
	}
	p.delete("Route", "hello")
	for _, host := range []string{"hello.default", "next-hello.default"} {
		if got := p.get(host); got.status != http.StatusNotFound {
			t.Errorf("%s of a deleted route: %+v", host, got)
		}
	}
}

func (p *platform) delete(kind, name string) {
	p.t.Helper()
	namespace := "default"
	if kind == "ConfigMap" {
		namespace = "knative-serving"
	}
	for _, k := range p.store.Kinds() {
		if k.Kind == kind && (k.Group != "" || kind != "Service") {
			if _, err := p.store.Delete(k, namespace, name, 30, nil); err != nil {
				p.t.Fatal(err)
			}
		}
	}
}

// A tag, or a route, may have become cluster-local by itself: its URL says it.
func TestLocalByURL(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	p.pod("v1", says("v1"))
	p.route("hello", "v1=100", "next:v1")
	set := func(change func(*servingv1.Route)) {
		known, _ := store.Get[*servingv1.Route](p.store, "default", "hello")
		next := known.DeepCopy()
		change(next)
		if _, err := p.store.UpdateStatus(next); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(host string, status int) {
		t.Helper()
		if got := p.get(host); got.status != status {
			t.Errorf("%s: %+v, want %d", host, got, status)
		}
	}
	local := func(name string) *apis.URL {
		return &apis.URL{Scheme: "http", Host: name + ".default.svc.cluster.local"}
	}
	set(func(r *servingv1.Route) { r.Status.Traffic[1].URL = local("next-hello") })
	expect("hello.default.localhost", http.StatusOK)
	expect("next-hello.default.localhost", http.StatusNotFound)
	expect("next-hello.default.svc", http.StatusOK)
	set(func(r *servingv1.Route) { r.Status.URL, r.Status.Traffic[1].URL = local("hello"), nil })
	expect("hello.default.localhost", http.StatusNotFound)
	expect("hello.default", http.StatusOK)
	expect("next-hello.default.localhost", http.StatusOK)
	set(func(r *servingv1.Route) { r.Status.URL = nil })
	expect("hello.default.localhost", http.StatusOK)
}

func TestTagByHeader(t *testing.T) {
	p := newPlatform(t)
	for _, name := range []string{"v1", "v2"} {
		p.revision(name)
		p.pod(name, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, name, " ", r.Header.Get("Knative-Serving-Default-Route"))
		})
	}
	p.route("hello", "v1=100", "next:v2=0")
	ask := func(tag string) string {
		req := p.request(http.MethodGet, "hello.default.localhost", "/", nil)
		req.Header.Set("Knative-Serving-Tag", tag)
		got, err := p.do(req)
		if err != nil {
			t.Fatal(err)
		}
		return got.body
	}
	if got := ask("next"); got != "v1" {
		t.Errorf("where nobody wants it, a header leads to %q", got)
	}
	p.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "knative-serving", Name: "config-features"}, Data: map[string]string{"tag-header-based-routing": "enabled"}})
	for tag, want := range map[string]string{"next": "v2", "other": "v1 true", "": "v1 true"} {
		if got := ask(tag); got != want {
			t.Errorf("tag %q leads to %q, want %q", tag, got, want)
		}
	}
	p.delete("ConfigMap", "config-features")
	if got := ask("next"); got != "v1" {
		t.Errorf("after the flag is gone, a header leads to %q", got)
	}
}

func TestNotReadyYet(t *testing.T) {
	p := newPlatform(t)
	p.route("hello")
	if got := p.get("hello.default.localhost"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "hello") {
		t.Errorf("a route without traffic: %+v", got)
	}
}

func TestSharesAreExact(t *testing.T) {
	p := newPlatform(t)
	for _, name := range []string{"v1", "v2", "v3"} {
		p.revision(name)
		p.pod(name, says(name))
	}
	for _, split := range []map[string]int{
		{"v1": 50, "v2": 50},
		{"v1": 99, "v2": 1},
		{"v1": 33, "v2": 33, "v3": 34},
		{"v1": 7, "v2": 20, "v3": 73},
		{"v2": 100, "v1": 0},
	} {
		var targets []string
		for name, share := range split {
			targets = append(targets, fmt.Sprintf("%s=%d", name, share))
		}
		p.route("hello", targets...)
		for round := range 3 {
			got := map[string]int{}
			for range 100 {
				got[p.get("hello.default.localhost").body]++
			}
			for name, share := range split {
				if got[name] != share {
					t.Errorf("%v, round %d: %v", split, round, got)
				}
			}
		}
	}
	// One revision may be named twice.
	p.route("hello", "v1=30", "latest:v1=20", "v2=50")
	got := map[string]int{}
	for range 100 {
		got[p.get("hello.default.localhost").body]++
	}
	if got["v1"] != 50 || got["v2"] != 50 {
		t.Errorf("two shares of one revision: %v", got)
	}
}

// The next request after a split was written meets it.
func TestSplitIsSeenAtOnce(t *testing.T) {
	p := newPlatform(t)
	for _, name := range []string{"v1", "v2"} {
		p.revision(name)
		p.pod(name, says(name))
	}
	for i := range 200 {
		want := fmt.Sprintf("v%d", 1+i%2)
		p.route("hello", want+"=100")
		if got := p.get("hello.default.localhost").body; got != want {
			t.Fatalf("change %d: %s, want %s", i, got, want)
		}
	}
}

func TestHeldFromZero(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1", timeouts(5, 0, 0))
	p.route("hello", "v1=100")
	var once sync.Once
	p.activate = func(revision string) {
		once.Do(func() { time.AfterFunc(50*time.Millisecond, func() { p.pod(revision, says("up")) }) })
	}
	var requests sync.WaitGroup
	for range 20 {
		requests.Go(func() {
			if got := p.get("hello.default.localhost"); got.body != "up" {
				t.Errorf("a held request: %+v", got)
			}
		})
	}
	requests.Wait()
	if n := p.activations("v1"); n == 0 {
		t.Error("nothing was activated")
	}
}

func TestHeldInVain(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1", timeouts(1, 0, 0))
	p.route("hello", "v1=100")
	start := time.Now()
	got := p.get("hello.default.localhost")
	if got.status != http.StatusGatewayTimeout || !strings.Contains(got.body, "request timeout") || time.Since(start) < time.Second {
		t.Errorf("after %v: %+v", time.Since(start), got)
	}
	// Where it is known why there is no instance, the answer says it.
	revision, _ := store.Get[*servingv1.Revision](p.store, "default", "v1")
	revision = revision.DeepCopy()
	revision.Status.MarkContainerHealthyFalse("ExitCode7", "Container failed with: no database")
	if _, err := p.store.UpdateStatus(revision); err != nil {
		t.Fatal(err)
	}
	if got := p.get("hello.default.localhost"); !strings.Contains(got.body, "no database") {
		t.Errorf("%+v", got)
	}
	// A client that gives up leaves no request behind.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.do(p.request(http.MethodGet, "hello.default.localhost", "/", nil).WithContext(ctx)); err == nil {
		t.Error("it was answered")
	}
	v := p.known("v1")
	p.eventually("the waiting request goes", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.waiting.Len() == 0 && v.load.now == 0
	})
}

func (p *platform) eventually(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	p.t.Errorf("it never came to be that %s", what)
}

func TestDrain(t *testing.T) {
	p := newPlatform(t)
	p.revision("v1")
	p.route("hello", "v1=100")
	started, finish := make(chan struct{}), make(chan struct{})
	old := p.pod("v1", func(w http.ResponseWriter, _ *http.Request) {
		close(started)
		<-finish
		fmt.Fprint(w, "old")
	})
	first := make(chan answer, 1)
	go func() { first <- p.get("hello.default.localhost") }()
	<-started
	p.delete("Pod", old.Name)
	p.pod("v1", says("new"))
	for range 10 {
		if got := p.get("hello.default.localhost"); got.body != "new" {
			t.Errorf("a request beside one that is draining: %+v", got)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.router.Drain(short, old); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a request under way: %v", err)
	}
	drained := make(chan error, 1)
	go func() { drained <- p.router.Drain(t.Context(), old) }()
	select {
	case err := <-drained:
		t.Fatalf("drained too early: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if got := <-first; got.body != "old" {
		t.Errorf("the request that was under way: %+v", got)
	}
	p.store.Remove(old)
	if err := p.router.Drain(t.Context(), old); err != nil {
		t.Errorf("a pod that is gone: %v", err)
	}
}
