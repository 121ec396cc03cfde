package autoscale

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/serving/pkg/apis/autoscaling"
	autoscalingv1alpha1 "knative.dev/serving/pkg/apis/autoscaling/v1alpha1"
	"knative.dev/serving/pkg/apis/serving"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// traffic is figures that a test sets; a test of internal/local has the router's.
type traffic struct {
	mu     sync.Mutex
	levels map[string]float64 // concurrency by revision; requests are the same
}

func (f *traffic) set(revision string, level float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.levels[revision] = level
}

func (f *traffic) Collect(_ time.Time, report func(namespace, revision string, concurrency, requests float64)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for revision, level := range f.levels {
		if level > 0 {
			report("default", revision, level, level)
		}
	}
}

// platform is a store with what else makes Deployments true: a pod becomes ready
// after startTime, if its revision starts at all.
type platform struct {
	t       *testing.T
	store   *store.Store
	traffic *traffic
	scaler  *Autoscaler

	mu     sync.Mutex
	broken map[string]bool // revisions that never become ready
	scales map[string][]int32
}

const startTime = 300 * time.Millisecond

// run starts an autoscaler in a bubble with a clock of its own.
func run(t *testing.T, test func(p *platform)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		objects, err := store.Open("")
		if err != nil {
			t.Fatal(err)
		}
		p := &platform{t: t, store: objects, traffic: &traffic{levels: map[string]float64{}}, broken: map[string]bool{}, scales: map[string][]int32{}}
		p.scaler, err = New(Options{Store: objects, Figures: p.traffic})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = p.scaler.Run(ctx) })
		running.Go(func() { p.makeTrue(ctx) })
		test(p)
		cancel()
		running.Wait()
	})
}

func (p *platform) makeTrue(ctx context.Context) {
	watch := p.store.Watch(0)
	for serial := 0; ; {
		events, err := watch.Next(ctx)
		if err != nil {
			return
		}
		for _, e := range events {
			d, ok := e.Object.(*appsv1.Deployment)
			if !ok || e.Change == store.Deleted {
				continue
			}
			revision, want := d.Labels[serving.RevisionLabelKey], *d.Spec.Replicas
			p.mu.Lock()
			if seen := p.scales[revision]; len(seen) == 0 || seen[len(seen)-1] != want {
				p.scales[revision] = append(seen, want)
			}
			p.mu.Unlock()
			have := store.Labelled[*corev1.Pod](p.store, "default", serving.RevisionLabelKey, revision)
			for ; len(have) > int(want); have = have[1:] {
				p.store.Remove(have[0])
			}
			for n := len(have); n < int(want); n++ {
				serial++
				p.startPod(revision, serial)
			}
		}
	}
}

func (p *platform) startPod(revision string, serial int) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("%s-%d", revision, serial), Labels: map[string]string{serving.RevisionLabelKey: revision}}}
	created, err := p.store.Create(pod)
	if err != nil {
		p.t.Error(err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken[revision] {
		return
	}
	time.AfterFunc(startTime, func() {
		ready, _ := created.DeepCopyObject().(*corev1.Pod)
		ready.Status.Phase = corev1.PodRunning
		ready.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		_, _ = p.store.UpdateStatus(ready) // it may be gone again
	})
}

// add makes a revision as control does: with its initial scale.
func (p *platform) add(name string, annotations map[string]string, change ...func(*autoscalingv1alpha1.PodAutoscaler)) {
	p.t.Helper()
	labels := map[string]string{serving.RevisionLabelKey: name, serving.ConfigurationLabelKey: "hello", serving.ServiceLabelKey: "hello"}
	meta := metav1.ObjectMeta{Namespace: "default", Name: name, Labels: labels, Annotations: annotations}
	pa := &autoscalingv1alpha1.PodAutoscaler{ObjectMeta: meta, Spec: autoscalingv1alpha1.PodAutoscalerSpec{
		ScaleTargetRef: corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name + "-deployment"},
		Reachability:   autoscalingv1alpha1.ReachabilityReachable,
	}}
	for _, c := range change {
		c(pa)
	}
	replicas := int32(1)
	if n, ok := pa.InitialScale(); ok {
		replicas = n
	}
	if n, _ := pa.ScaleBounds(p.scaler.config); n > replicas {
		replicas = n
	}
	meta.Name += "-deployment"
	for _, object := range []store.Object{pa, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: &replicas}}} {
		if _, err := p.store.Create(object); err != nil {
			p.t.Fatal(err)
		}
	}
}

// after lets time pass.
func (p *platform) after(d time.Duration) *platform {
	time.Sleep(d)
	synctest.Wait()
	return p
}

func (p *platform) pa(name string) *autoscalingv1alpha1.PodAutoscaler {
	p.t.Helper()
	pa, ok := store.Get[*autoscalingv1alpha1.PodAutoscaler](p.store, "default", name)
	if !ok {
		p.t.Fatalf("no PodAutoscaler %s", name)
	}
	return pa
}

func (p *platform) replicas(name string) int32 {
	p.t.Helper()
	d, ok := store.Get[*appsv1.Deployment](p.store, "default", name+"-deployment")
	if !ok {
		p.t.Fatalf("no Deployment of %s", name)
	}
	return *d.Spec.Replicas
}

func (p *platform) wantReplicas(name string, want int32) {
	p.t.Helper()
	if got := p.replicas(name); got != want {
		p.t.Errorf("%s has %d replicas, want %d (it had %v)", name, got, want, p.scales[name])
	}
}

func (p *platform) wantActive(name string, status corev1.ConditionStatus, reason string) {
	p.t.Helper()
	c := p.pa(name).Status.GetCondition(autoscalingv1alpha1.PodAutoscalerConditionActive)
	if c == nil || c.Status != status || c.Reason != reason {
		p.t.Errorf("%s: Active is %+v, want %s %s", name, c, status, reason)
	}
}

func TestFromZeroUpAndDown(t *testing.T) {
	run(t, func(p *platform) {
		p.add("hello-v1", map[string]string{autoscaling.TargetAnnotationKey: "10", autoscaling.TargetUtilizationPercentageKey: "100"})
		p.after(100 * time.Millisecond)
		p.wantActive("hello-v1", corev1.ConditionUnknown, "Queued")
		p.after(time.Second)
		p.wantActive("hello-v1", corev1.ConditionTrue, "")
		if status := p.pa("hello-v1").Status; !status.IsScaleTargetInitialized() || status.GetActualScale() != 1 || status.ServiceName != "hello-v1" {
			t.Errorf("after the start: %+v", status)
		}
		// No traffic: zero after the window.
		p.after(55*time.Second).wantReplicas("hello-v1", 1)
		p.after(15*time.Second).wantReplicas("hello-v1", 0)
		p.wantActive("hello-v1", corev1.ConditionFalse, "NoTraffic")
		p.after(time.Minute)
		if n := len(p.scaler.scalers); n != 0 {
			t.Errorf("%d revisions at zero are watched", n)
		}
		// A request: at once, without a tick.
		p.scaler.Activate("default", "hello-v1")
		p.wantReplicas("hello-v1", 1)
		p.wantActive("hello-v1", corev1.ConditionUnknown, "Queued")
		p.scaler.Activate("default", "hello-v1")
		// 50 at a time make five instances.
		p.traffic.set("hello-v1", 50)
		p.after(startTime)
		p.wantActive("hello-v1", corev1.ConditionTrue, "")
		p.after(10*time.Second).wantReplicas("hello-v1", 5)
		p.after(2*time.Minute).wantReplicas("hello-v1", 5)
		if scale := p.pa("hello-v1").Status.GetDesiredScale(); scale != 5 {
			t.Errorf("desired scale %d", scale)
		}
		// And back.
		p.traffic.set("hello-v1", 0)
		p.after(30 * time.Second)
		if n := p.replicas("hello-v1"); n < 1 {
			t.Error("zero within the window")
		}
		p.after(60*time.Second).wantReplicas("hello-v1", 0)
		if actual := p.pa("hello-v1").Status.GetActualScale(); actual != 0 {
			t.Errorf("actual scale %d", actual)
		}
	})
}

func TestBoundsOfScale(t *testing.T) {
	run(t, func(p *platform) {
		p.add("min", map[string]string{autoscaling.MinScaleAnnotationKey: "2"})
		p.add("max", map[string]string{autoscaling.MaxScaleAnnotationKey: "3", autoscaling.TargetAnnotationKey: "1"})
		p.add("initial", map[string]string{autoscaling.InitialScaleAnnotationKey: "4"})
		p.add("activation", map[string]string{autoscaling.ActivationScaleKey: "3"})
		p.add("unreachable", map[string]string{autoscaling.MinScaleAnnotationKey: "2"}, func(pa *autoscalingv1alpha1.PodAutoscaler) {
			pa.Spec.Reachability = autoscalingv1alpha1.ReachabilityUnreachable
		})
		p.add("retained", map[string]string{autoscaling.ScaleToZeroPodRetentionPeriodKey: "3m"})
		p.add("short", map[string]string{autoscaling.WindowAnnotationKey: "10s"})
		p.add("hpa", map[string]string{autoscaling.ClassAnnotationKey: autoscaling.HPA, autoscaling.MinScaleAnnotationKey: "2"})
		p.traffic.set("max", 50)
		p.after(5 * time.Second)
		p.wantReplicas("min", 2)
		p.wantReplicas("max", 3)
		if first := p.scales["initial"][0]; first != 4 || !p.pa("initial").Status.IsScaleTargetInitialized() {
			t.Errorf("the initial scale was %d: %+v", first, p.pa("initial").Status)
		}
		p.wantActive("initial", corev1.ConditionTrue, "")
		p.after(10 * time.Second)
		p.wantActive("short", corev1.ConditionFalse, "NoTraffic")
		p.wantReplicas("short", 1) // for the grace period
		p.after(20 * time.Second)
		p.wantReplicas("short", 0)
		p.after(time.Minute)
		p.wantReplicas("min", 2)
		p.wantActive("min", corev1.ConditionTrue, "")
		p.wantReplicas("initial", 0)
		p.wantReplicas("activation", 0)
		p.wantReplicas("unreachable", 0)
		p.wantReplicas("retained", 1)
		p.wantActive("retained", corev1.ConditionFalse, "NoTraffic")
		p.wantReplicas("hpa", 2)
		p.wantActive("hpa", corev1.ConditionTrue, "")
		p.scaler.Activate("default", "activation")
		p.wantReplicas("activation", 3)
		p.after(3 * time.Minute)
		p.wantReplicas("retained", 0)
	})
}

func TestThatNeverStarts(t *testing.T) {
	run(t, func(p *platform) {
		p.broken["broken"] = true
		p.add("broken", map[string]string{serving.ProgressDeadlineAnnotationKey: "20s"})
		p.after(45 * time.Second)
		p.wantReplicas("broken", 1)
		p.wantActive("broken", corev1.ConditionUnknown, "Queued")
		p.after(10 * time.Second)
		p.wantReplicas("broken", 0)
		p.wantActive("broken", corev1.ConditionFalse, "TimedOut")
		if p.pa("broken").Status.IsScaleTargetInitialized() {
			t.Error("it counts as initialized")
		}
	})
}

func TestOtherAnnotations(t *testing.T) {
	run(t, func(p *platform) {
		p.add("rps", map[string]string{autoscaling.MetricAnnotationKey: autoscaling.RPS, autoscaling.TargetAnnotationKey: "10", autoscaling.TargetUtilizationPercentageKey: "100"})
		p.add("delayed", map[string]string{autoscaling.TargetAnnotationKey: "1", autoscaling.ScaleDownDelayAnnotationKey: "5m"})
		p.add("limited", map[string]string{autoscaling.TargetAnnotationKey: "100", autoscaling.TargetUtilizationPercentageKey: "100"}, func(pa *autoscalingv1alpha1.PodAutoscaler) {
			pa.Spec.ContainerConcurrency = 2
		})
		p.add("direct", map[string]string{autoscaling.TargetBurstCapacityKey: "0", autoscaling.WindowAnnotationKey: "10s"})
		for revision, level := range map[string]float64{"rps": 35, "delayed": 3, "limited": 8} {
			p.traffic.set(revision, level)
		}
		p.after(20 * time.Second)
		p.wantReplicas("rps", 4)
		p.wantReplicas("limited", 4)
		p.wantReplicas("delayed", 5)
		// One that its requests reach directly has the grace period on top of the window.
		p.wantActive("direct", corev1.ConditionFalse, "NoTraffic")
		p.wantReplicas("direct", 1)
		p.after(15 * time.Second)
		p.wantReplicas("direct", 1)
		p.after(10 * time.Second)
		p.wantReplicas("direct", 0)
		for _, revision := range []string{"rps", "delayed", "limited"} {
			p.traffic.set(revision, 0)
		}
		p.after(3 * time.Minute)
		p.wantReplicas("rps", 0)
		p.wantReplicas("limited", 0)
		p.wantReplicas("delayed", 5)
		p.after(20 * time.Minute) // each halving is delayed
		p.wantReplicas("delayed", 0)
	})
}

// A burst within the panic window counts at once, and is not forgotten at once.
func TestPanic(t *testing.T) {
	run(t, func(p *platform) {
		p.add("v1", map[string]string{autoscaling.TargetAnnotationKey: "10", autoscaling.TargetUtilizationPercentageKey: "100"})
		p.traffic.set("v1", 5)
		p.after(2*time.Minute).wantReplicas("v1", 1)
		p.traffic.set("v1", 100)
		p.after(8*time.Second).wantReplicas("v1", 10)
		p.traffic.set("v1", 5)
		p.after(30*time.Second).wantReplicas("v1", 10)
		p.after(2*time.Minute).wantReplicas("v1", 1)
	})
}

func TestReachability(t *testing.T) {
	run(t, func(p *platform) {
		unreachable := func(pa *autoscalingv1alpha1.PodAutoscaler) {
			pa.Spec.Reachability = autoscalingv1alpha1.ReachabilityUnreachable
		}
		p.add("v1", map[string]string{autoscaling.MinScaleAnnotationKey: "3"}, unreachable)
		p.after(2*time.Minute).wantReplicas("v1", 0)
		next := p.pa("v1").DeepCopy()
		next.Spec.Reachability = autoscalingv1alpha1.ReachabilityReachable
		if _, err := p.store.Update(next); err != nil {
			t.Fatal(err)
		}
		p.after(time.Second).wantReplicas("v1", 3)
		p.wantActive("v1", corev1.ConditionTrue, "")
	})
}

// Settings are those of a cluster, from where a cluster has them.
func TestSettings(t *testing.T) {
	run(t, func(p *platform) {
		settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "knative-serving", Name: "config-autoscaler"}, Data: map[string]string{
			"stable-window": "6s", "scale-to-zero-grace-period": "1s", "container-concurrency-target-default": "1",
		}}
		if _, err := p.store.Create(settings); err != nil {
			t.Fatal(err)
		}
		p.after(time.Millisecond)
		p.add("lazy", map[string]string{autoscaling.InitialScaleAnnotationKey: "0"})
		p.add("quick", nil)
		p.after(time.Second).wantReplicas("lazy", 0)
		p.wantActive("lazy", corev1.ConditionFalse, "NoTraffic")
		if !p.pa("lazy").Status.IsScaleTargetInitialized() {
			t.Error("with an initial scale of 0 there is nothing to wait for")
		}
		p.traffic.set("quick", 2)
		p.after(4*time.Second).wantReplicas("quick", 3)
		p.traffic.set("quick", 0)
		p.after(20*time.Second).wantReplicas("quick", 0)
		broken := settings.DeepCopy()
		broken.Data["stable-window"] = "often"
		if _, err := p.store.Update(broken); err != nil {
			t.Fatal(err)
		}
		p.after(time.Millisecond)
		if p.scaler.config.StableWindow != 6*time.Second {
			t.Errorf("settings that cannot be read replace the others: %v", p.scaler.config.StableWindow)
		}
	})
}

// What rests costs no timer, and what is gone is forgotten.
func TestAtRest(t *testing.T) {
	run(t, func(p *platform) {
		const many = 200
		for i := range many {
			p.add(fmt.Sprint("v", i), nil)
		}
		p.after(3 * time.Minute)
		for i := range many {
			p.wantReplicas(fmt.Sprint("v", i), 0)
		}
		version := p.store.Version()
		p.after(time.Hour)
		if n := len(p.scaler.scalers); n != 0 || p.store.Version() != version {
			t.Errorf("%d of %d revisions at zero are looked at, %d changes", n, many, p.store.Version()-version)
		}
		p.scaler.Activate("default", "v7")
		p.after(time.Second)
		pa := p.pa("v7")
		if _, err := p.store.Delete(p.store.KindOf(pa), "default", "v7", 0, nil); err != nil {
			t.Fatal(err)
		}
		p.after(time.Millisecond)
		p.scaler.Activate("default", "v7")
		p.scaler.Activate("default", "never-there")
		if n := len(p.scaler.scalers); n != 0 {
			t.Errorf("%d revisions are looked at that are gone", n)
		}
	})
}

func TestOtherClass(t *testing.T) {
	run(t, func(p *platform) {
		p.add("v1", map[string]string{autoscaling.ClassAnnotationKey: autoscaling.HPA})
		p.after(time.Hour).wantReplicas("v1", 1)
		events := store.List[*corev1.Event](p.store, "default")
		if len(events) != 1 || events[0].Reason != "AutoscalerClassNotSupported" || events[0].InvolvedObject.Name != "v1" {
			t.Errorf("%+v", events)
		}
	})
}
