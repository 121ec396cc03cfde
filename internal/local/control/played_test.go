package control

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"knative.dev/serving/pkg/autoscaler/config/autoscalerconfig"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

const patience = 30 * time.Second

// platform is the controllers over a real store, with a kubelet and an autoscaler that
// only write statuses.
type platform struct {
	*testing.T
	store    *store.Store
	file     string
	resolver *resolver
	stop     func()

	mu    sync.Mutex
	tasks map[task]int
	// pods is what the kubelet makes of a pod; nil is ready.
	pods func(*corev1.Pod) corev1.PodStatus
	// ahead is how much later it is for the controllers.
	ahead time.Duration
	// real takes the platform's own autoscaler.
	real bool
	// idle has the autoscaler scale ready revisions to zero.
	idle bool
}

// resolver knows the digests of all images but those that are called missing.
type resolver struct {
	mu    sync.Mutex
	asked map[string]int
	open  chan struct{} // closed when it may answer
	// broken is how many answers fail.
	broken int
}

func (r *resolver) Resolve(ctx context.Context, image string, _ [][]byte) (string, error) {
	r.mu.Lock()
	r.asked[image]++
	r.mu.Unlock()
	select {
	case <-r.open:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken--; r.broken >= 0 {
		return "", errors.New("connection refused")
	}
	if strings.Contains(image, "missing") {
		return "", errors.New("GET https://registry.example/v2/: NAME_UNKNOWN: 100% sure")
	}
	return image + "@sha256:" + strings.Repeat("a", 64), nil
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{T: t, file: filepath.Join(t.TempDir(), "state.db"), tasks: map[task]int{}}
	p.resolver = &resolver{asked: map[string]int{}, open: make(chan struct{})}
	close(p.resolver.open)
	return p
}

// start opens the store and runs everything over it.
func (p *platform) start() *platform {
	p.Helper()
	s, err := store.Open(p.file)
	if err != nil {
		p.Fatal(err)
	}
	p.store = s
	ahead := p.ahead
	c := New(Options{
		Store: s, Domain: "example.com:7080", Resolver: p.resolver, Node: "here",
		Now: func() time.Time { return time.Now().Add(ahead) },
	})
	c.observe = func(t task) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tasks[t]++
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := c.Run(ctx); err != nil {
			p.Error(err)
		}
	})
	group.Go(func() { p.follow(ctx, p.kubelet) })
	if p.real {
		p.realAutoscaler(ctx, &group)
	} else {
		group.Go(func() { p.follow(ctx, p.autoscale) })
	}
	var once sync.Once
	p.stop = func() {
		once.Do(func() {
			cancel()
			group.Wait()
			if err := s.Close(); err != nil {
				p.Error(err)
			}
		})
	}
	p.Cleanup(p.stop)
	return p
}

func (p *platform) follow(ctx context.Context, see func(store.Object)) {
	watch := p.store.Watch(p.store.Version())
	for _, kind := range p.store.Kinds() {
		objects, _ := p.store.List(kind, "")
		for _, object := range objects {
			see(object)
		}
	}
	for {
		events, err := watch.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range events {
			if e.Change != store.Deleted {
				see(e.Object)
			}
		}
	}
}

func (p *platform) kubelet(object store.Object) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	if pod.DeletionTimestamp != nil {
		p.store.Remove(pod)
		return
	}
	if pod.Status.Phase != corev1.PodPending {
		return
	}
	next := pod.DeepCopy()
	p.mu.Lock()
	made := p.pods
	p.mu.Unlock()
	next.Status = readyStatus()
	if made != nil {
		next.Status = made(pod)
	}
	_, _ = p.store.UpdateStatus(next)
}

func readyStatus() corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
}

// autoscale plays the autoscaler: it says what the deployment has, and scales idle
// revisions to zero.
func (p *platform) autoscale(object store.Object) {
	var pa *autoscalingv1alpha1.PodAutoscaler
	switch o := object.(type) {
	case *autoscalingv1alpha1.PodAutoscaler:
		pa = o
	case *appsv1.Deployment:
		pa, _ = store.Get[*autoscalingv1alpha1.PodAutoscaler](p.store, o.Namespace, o.Labels[serving.RevisionLabelKey])
	}
	if pa == nil {
		return
	}
	d, ok := store.Get[*appsv1.Deployment](p.store, pa.Namespace, pa.Spec.ScaleTargetRef.Name)
	if !ok {
		return
	}
	// The autoscaler may be that of an earlier revision of the name.
	if x, y := metav1.GetControllerOf(pa), metav1.GetControllerOf(d); x == nil || y == nil || x.UID != y.UID {
		return
	}
	p.mu.Lock()
	idle := p.idle
	p.mu.Unlock()
	want := *d.Spec.Replicas
	if least, _ := pa.ScaleBounds(&autoscalerconfig.Config{}); idle && pa.Status.IsScaleTargetInitialized() && want != least {
		want = least
		scaled := d.DeepCopy()
		scaled.Spec.Replicas = &want
		_, _ = p.store.Update(scaled)
	}
	next := pa.DeepCopy()
	status := &next.Status
	status.InitializeConditions()
	status.ServiceName = pa.Name
	status.MarkSKSReady()
	status.DesiredScale, status.ActualScale = &want, &d.Status.ReadyReplicas
	initial := int32(1)
	if n, ok := pa.InitialScale(); ok {
		initial = n
	}
	if d.Status.ReadyReplicas >= initial {
		status.MarkScaleTargetInitialized()
	}
	switch {
	case want == 0:
		status.MarkInactive("NoTraffic", "The target is not receiving traffic.")
	case d.Status.ReadyReplicas > 0:
		status.MarkActive()
	default:
		status.MarkActivating("Queued", "Requests to the target are being buffered as resources are provisioned.")
	}
	for i := range status.Conditions {
		if old := pa.Status.GetCondition(status.Conditions[i].Type); old != nil && old.Status == status.Conditions[i].Status {
			status.Conditions[i].LastTransitionTime = old.LastTransitionTime
		}
	}
	status.ObservedGeneration = pa.Generation
	_, _ = p.store.UpdateStatus(next)
}

// await returns when check is content, and fails with what it says otherwise.
func (p *platform) await(what string, check func() error) {
	p.Helper()
	deadline := time.Now().Add(patience)
	watch := p.store.Watch(p.store.Version())
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("%s: %v", what, err)
		}
		// Not all that is waited for is in the store.
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		if _, err := watch.Next(ctx); err != nil && ctx.Err() == nil {
			p.Fatal(err)
		}
		cancel()
	}
}

// service creates a service as a client's would be after admission.
func (p *platform) service(name string, change ...func(*servingv1.Service)) *servingv1.Service {
	p.Helper()
	svc := newService(name, change...)
	stored, err := p.store.Create(svc)
	if err != nil {
		p.Fatal(err)
	}
	return cast[*servingv1.Service](stored)
}

func newService(name string, change ...func(*servingv1.Service)) *servingv1.Service {
	svc := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Annotations: map[string]string{
		serving.CreatorAnnotation: "somebody", serving.UpdaterAnnotation: "somebody",
	}}}
	svc.Spec.Template.Spec.Containers = []corev1.Container{{Image: "registry.example/" + name}}
	for _, f := range change {
		f(svc)
	}
	svc.SetDefaults(context.Background())
	return svc
}

func image(ref string) func(*servingv1.Service) {
	return func(svc *servingv1.Service) { svc.Spec.Template.Spec.Containers[0].Image = ref }
}

func revisionName(name string) func(*servingv1.Service) {
	return func(svc *servingv1.Service) { svc.Spec.Template.Name = name }
}

func templateAnnotation(key, value string) func(*servingv1.Service) {
	return func(svc *servingv1.Service) {
		svc.Spec.Template.Annotations = union(svc.Spec.Template.Annotations, map[string]string{key: value})
	}
}

func traffic(targets ...servingv1.TrafficTarget) func(*servingv1.Service) {
	return func(svc *servingv1.Service) { svc.Spec.Traffic = targets }
}

func share(n int64) *int64 { return &n }

// update changes a service as it is now.
func (p *platform) update(name string, change ...func(*servingv1.Service)) {
	p.Helper()
	for {
		svc := p.get(name).DeepCopy()
		for _, f := range change {
			f(svc)
		}
		svc.SetDefaults(context.Background())
		_, err := p.store.Update(svc)
		if err == nil {
			return
		}
		if p.Context().Err() != nil {
			p.Fatal(err)
		}
	}
}

func (p *platform) get(name string) *servingv1.Service {
	p.Helper()
	svc, ok := store.Get[*servingv1.Service](p.store, "default", name)
	if !ok {
		p.Fatalf("there is no service %s", name)
	}
	return svc
}

func (p *platform) revision(name string) *servingv1.Revision {
	p.Helper()
	rev, ok := store.Get[*servingv1.Revision](p.store, "default", name)
	if !ok {
		p.Fatalf("there is no revision %s", name)
	}
	return rev
}

func (p *platform) awaitReady(name string) *servingv1.Service {
	p.Helper()
	p.await(name+" becomes ready", func() error {
		if svc := p.get(name); !svc.IsReady() {
			return fmt.Errorf("%+v", svc.Status.Conditions)
		}
		return nil
	})
	return p.get(name)
}

// awaitCondition waits for a condition of any object with conditions.
func awaitCondition[T conditioned](p *platform, namespace, name, kind string, status corev1.ConditionStatus, reason, message string) {
	p.Helper()
	p.await(name+" "+kind+" "+reason, func() error {
		object, ok := store.Get[T](p.store, namespace, name)
		if !ok {
			return errors.New("it is not there")
		}
		for _, c := range object.GetStatus().Conditions {
			if string(c.Type) == kind && c.Status == status && c.Reason == reason && strings.Contains(c.Message, message) {
				return nil
			}
		}
		return fmt.Errorf("%+v", object.GetStatus().Conditions)
	})
}
