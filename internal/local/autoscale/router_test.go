package autoscale_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/autoscaling"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/autoscale"
	"github.com/kn-lite/kn-lite/internal/local/router"
	"github.com/kn-lite/kn-lite/internal/local/store"
)

// instances makes the pods of one Deployment true, each with a server of its own.
type instances struct {
	t      *testing.T
	store  *store.Store
	router *router.Router

	mu      sync.Mutex
	servers map[string]*httptest.Server
	most    int
}

func (s *instances) DialPod(ctx context.Context, _, pod string, _ int32) (net.Conn, error) {
	s.mu.Lock()
	server := s.servers[pod]
	s.mu.Unlock()
	if server == nil {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
}

func (s *instances) run(ctx context.Context) {
	watch := s.store.Watch(0)
	for serial := 0; ; {
		events, err := watch.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range events {
			d, ok := e.Object.(*appsv1.Deployment)
			if !ok {
				continue
			}
			have := store.Labelled[*corev1.Pod](s.store, "default", serving.RevisionLabelKey, "v1")
			for ; len(have) > int(*d.Spec.Replicas); have = have[1:] {
				go s.stop(ctx, have[0])
			}
			for n := len(have); n < int(*d.Spec.Replicas); n++ {
				serial++
				s.start(fmt.Sprint("v1-", serial))
			}
		}
	}
}

func (s *instances) start(name string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(10 * time.Millisecond)
		fmt.Fprint(w, name)
	}))
	s.mu.Lock()
	s.servers[name] = server
	s.most = max(s.most, len(s.servers))
	s.mu.Unlock()
	created, err := s.store.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{serving.RevisionLabelKey: "v1"}}})
	if err != nil {
		s.t.Error(err)
		return
	}
	pod, _ := created.DeepCopyObject().(*corev1.Pod)
	pod.Status.Phase, pod.Status.Conditions = corev1.PodRunning, []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if _, err := s.store.UpdateStatus(pod); err != nil {
		s.t.Error(err)
	}
}

// stop is what a kubelet does: mark, drain, end, remove.
func (s *instances) stop(ctx context.Context, pod *corev1.Pod) {
	deleted, err := s.store.Delete(s.store.KindOf(pod), pod.Namespace, pod.Name, 30, nil)
	if err != nil {
		return // somebody else was faster
	}
	pod, _ = deleted.(*corev1.Pod)
	if err := s.router.Drain(ctx, pod); err != nil && ctx.Err() == nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	server := s.servers[pod.Name]
	delete(s.servers, pod.Name)
	s.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
	s.store.Remove(pod)
}

func (s *instances) count() (now, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.servers), s.most
}

// TestRealTime lets router and autoscaler work together on real requests: from
// zero to one, to several, and back. No request fails on the way.
func TestRealTime(t *testing.T) {
	t.Parallel()
	objects, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	create := func(object store.Object) {
		if _, err := objects.Create(object); err != nil {
			t.Fatal(err)
		}
	}
	create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "knative-serving", Name: "config-autoscaler"}, Data: map[string]string{
		"initial-scale": "0", "stable-window": "6s", "scale-to-zero-grace-period": "1s",
	}})
	pods := &instances{t: t, store: objects, servers: map[string]*httptest.Server{}}
	var scaler *autoscale.Autoscaler
	pods.router = router.New(router.Options{Store: objects, Domain: "sslip.io", Dial: pods, Activate: func(namespace, revision string) { scaler.Activate(namespace, revision) }})
	if scaler, err = autoscale.New(autoscale.Options{Store: objects, Figures: pods.router}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{pods.router.Run, scaler.Run} {
		running.Go(func() { _ = run(ctx) })
	}
	running.Go(func() { pods.run(ctx) })
	front := httptest.NewServer(pods.router)
	t.Cleanup(func() { front.Close(); cancel(); running.Wait() })

	labels := map[string]string{serving.RevisionLabelKey: "v1"}
	annotations := map[string]string{autoscaling.TargetAnnotationKey: "2", autoscaling.TargetUtilizationPercentageKey: "100", autoscaling.MaxScaleAnnotationKey: "5"}
	meta := metav1.ObjectMeta{Namespace: "default", Name: "v1", Labels: labels, Annotations: annotations}
	zero, all := int32(0), int64(100)
	revision := &servingv1.Revision{ObjectMeta: meta}
	revision.Spec.Containers = []corev1.Container{{Image: "hello"}}
	create(revision)
	create(&servingv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello"}, Status: servingv1.RouteStatus{RouteStatusFields: servingv1.RouteStatusFields{
		Traffic: []servingv1.TrafficTarget{{RevisionName: "v1", Percent: &all}},
	}}})
	create(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "v1-deployment", Labels: labels}, Spec: appsv1.DeploymentSpec{Replicas: &zero}})
	create(&autoscalingv1alpha1.PodAutoscaler{ObjectMeta: meta, Spec: autoscalingv1alpha1.PodAutoscalerSpec{
		ScaleTargetRef: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "v1-deployment"}, Reachability: autoscalingv1alpha1.ReachabilityReachable,
	}})

	get := func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front.URL, nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Host = "hello.default.localhost"
		response, err := front.Client().Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	}
	start := time.Now()
	get()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("from zero it took %v", took)
	} else {
		t.Logf("from zero: %v", took)
	}
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for time.Since(start) < 5*time.Second {
				get()
			}
		})
	}
	load.Wait()
	if _, most := pods.count(); most < 3 || most > 5 {
		t.Errorf("8 at a time made %d instances for 2 each, at most 5", most)
	}
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		now, _ := pods.count()
		if now == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d instances of an idle revision", now)
		}
	}
	get()
}
