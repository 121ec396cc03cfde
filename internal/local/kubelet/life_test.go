package kubelet_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kn-lite/kn-lite/internal/local/kubelet"
	"github.com/kn-lite/kn-lite/internal/local/recorder"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/test/runtimetest"
)

func withInit(pod *corev1.Pod, inits ...[]string) *corev1.Pod {
	for i, steps := range inits {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: fmt.Sprintf("init-%d", i), Image: "reg.example/init:1", Args: steps})
	}
	return pod
}

func TestInitContainersRunInOrder(t *testing.T) {
	p := start(t, nil)
	var mu sync.Mutex
	var order []string
	p.runtime.OnStart = func(c runtimetest.Container) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, c.Name)
	}
	p.create(withInit(server(), []string{"say=first", "sleep=20ms"}, []string{"say=second"}))
	p.until("the first one runs", func(got *corev1.Pod) bool {
		return got != nil && len(got.Status.InitContainerStatuses) > 0 && got.Status.InitContainerStatuses[0].State.Running != nil
	})
	early := p.pod()
	if first(early).State.Waiting.Reason != "PodInitializing" || early.Status.Phase != corev1.PodPending || condition(early, corev1.PodInitialized) != corev1.ConditionFalse {
		t.Errorf("status %+v", early.Status)
	}
	if _, err := p.logs(corev1.PodLogOptions{Container: "user-container"}); err == nil || !strings.HasSuffix(err.Error(), "is waiting to start: PodInitializing") {
		t.Errorf("logs: %v", err)
	}
	got := p.until("ready", isReady)
	if want := []string{"init-0", "init-1", "user-container"}; !slices.Equal(order, want) {
		t.Errorf("started in the order %q", order)
	}
	for _, s := range got.Status.InitContainerStatuses {
		if !s.Ready || s.State.Terminated == nil || s.State.Terminated.Reason != "Completed" {
			t.Errorf("%+v", s)
		}
	}
	if text, err := p.logs(corev1.PodLogOptions{Container: "init-0"}); err != nil || text != "first\n" {
		t.Errorf("logs of the first %q, %v", text, err)
	}
}

func TestInitContainerThatFails(t *testing.T) {
	p := start(t, nil)
	p.create(withInit(server(), []string{"exit=4"}))
	got := p.until("it waits", func(got *corev1.Pod) bool {
		if got == nil || len(got.Status.InitContainerStatuses) == 0 {
			return false
		}
		w := got.Status.InitContainerStatuses[0].State.Waiting
		return w != nil && w.Reason == "CrashLoopBackOff"
	})
	s := got.Status.InitContainerStatuses[0]
	if s.RestartCount != 1 || s.LastTerminationState.Terminated.ExitCode != 4 || got.Status.Phase != corev1.PodPending || first(got).State.Waiting.Reason != "PodInitializing" {
		t.Errorf("status %+v", got.Status)
	}
	p.remove(30)
	p.until("gone", gone)
}

func get(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{PeriodSeconds: period, FailureThreshold: failures, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(8080)}}}
}

func TestLivenessRestarts(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	pod := server("say=begun")
	pod.Spec.Containers[0].LivenessProbe = get("/health", 1, 2)
	p.create(pod)
	p.until("ready", isReady)
	p.mustGet("/sick")
	got := p.until("restarted and ready", func(got *corev1.Pod) bool { return isReady(got) && first(got).RestartCount == 1 })
	if last := first(got).LastTerminationState.Terminated; last.ExitCode != 0 {
		t.Errorf("it was not ended with SIGTERM: %+v", last)
	}
	events := p.events()
	for _, want := range []string{"Unhealthy: Liveness probe failed: HTTP probe failed with statuscode: 500", "Killing: Container user-container failed liveness probe, will be restarted"} {
		if !slices.Contains(events, want) {
			t.Errorf("no event %q in %q", want, events)
		}
	}
}

func TestStartupComesFirst(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	pod := server("sleep=150ms")
	pod.Spec.Containers[0].StartupProbe = get("/health", 1, 30)
	pod.Spec.Containers[0].LivenessProbe = get("/health", 1, 1)
	p.create(pod)
	early := p.until("running", func(got *corev1.Pod) bool { return first(got).State.Running != nil })
	if first(early).Ready || *first(early).Started {
		t.Errorf("status %+v", first(early))
	}
	got := p.until("ready", isReady)
	if !*first(got).Started || first(got).RestartCount != 0 {
		t.Errorf("status %+v", first(got))
	}
	if events := strings.Join(p.events(), "\n"); strings.Contains(events, "Unhealthy") {
		t.Errorf("a slow start is no illness: %s", events)
	}
}

func TestStartupThatFails(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	pod := server()
	pod.Spec.Containers[0].StartupProbe = get("/health", 1, 1)
	pod.Spec.Containers[0].StartupProbe.HTTPGet.Port = intstr.FromInt32(9)
	p.create(pod)
	p.until("restarted", func(got *corev1.Pod) bool { return first(got).RestartCount == 1 })
	if !slices.Contains(p.events(), "Killing: Container user-container failed startup probe, will be restarted") {
		t.Errorf("events %q", p.events())
	}
}

func TestReadinessComesAndGoes(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	pod := server()
	pod.Spec.Containers[0].ReadinessProbe = get("/health", 1, 1)
	p.create(pod)
	p.until("ready", isReady)
	p.mustGet("/sick")
	got := p.until("not ready", func(got *corev1.Pod) bool { return !isReady(got) })
	if first(got).RestartCount != 0 || condition(got, corev1.ContainersReady) != corev1.ConditionFalse || got.Status.Phase != corev1.PodRunning {
		t.Errorf("status %+v", got.Status)
	}
	if !slices.Contains(p.events(), "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 500") {
		t.Errorf("events %q", p.events())
	}
	p.mustGet("/well")
	p.until("ready again", isReady)
}

func TestReadinessByCommand(t *testing.T) {
	p := start(t, nil)
	pod := server("sleep=20ms", "write=/var/mark:1")
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/program", "exists=/var/mark"}}}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/var"}}
	p.create(pod)
	p.until("ready", isReady)
}

func TestContainerWithoutAPortIsReadyWhenItRuns(t *testing.T) {
	p := start(t, nil)
	p.create(onePod("wait=0"))
	p.until("ready", isReady)
}

// began records when containers start, in virtual time.
type began struct {
	mu sync.Mutex
	at []time.Duration
}

func (b *began) hook() func(runtimetest.Container) {
	zero := time.Now()
	return func(runtimetest.Container) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.at = append(b.at, time.Since(zero).Truncate(time.Second))
	}
}

func (b *began) gaps() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []time.Duration
	for i := 1; i < len(b.at); i++ {
		out = append(out, b.at[i]-b.at[i-1])
	}
	return out
}

func TestCrashesBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, nil)
		var b began
		p.runtime.OnStart = b.hook()
		p.create(onePod("exit=1"))
		time.Sleep(30 * time.Minute)
		const s = time.Second
		want := []time.Duration{0, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s, 300 * s, 300 * s}
		if got := b.gaps(); !slices.Equal(got, want) {
			t.Errorf("the starts are %s apart", got)
		}
		var count int32
		for _, e := range store.List[*corev1.Event](p.store, "default") {
			if e.Reason == "BackOff" {
				count = e.Count
			}
		}
		if s := first(p.pod()); s.RestartCount != 10 || s.State.Waiting.Reason != "CrashLoopBackOff" || !strings.HasPrefix(s.State.Waiting.Message, "back-off 5m0s ") || count != 10 {
			t.Errorf("%d times backed off, status %+v", count, s)
		}
		p.stop()
	})
}

// After ten minutes without a crash, the next one is the first again.
func TestCrashesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, nil)
		var b began
		p.runtime.OnStart = b.hook()
		p.create(onePod("sleep=11m", "exit=1"))
		time.Sleep(time.Hour)
		if got := b.gaps(); len(got) != 5 || slices.Max(got) != 11*time.Minute {
			t.Errorf("the starts are %s apart", got)
		}
		p.stop()
	})
}

func TestPullsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, nil)
		var b began
		hook := b.hook()
		p.runtime.FailPull = func(context.Context, string, [][]byte) error {
			hook(runtimetest.Container{})
			return errors.New("not found")
		}
		p.create(onePod())
		time.Sleep(20 * time.Minute)
		const s = time.Second
		if got, want := b.gaps(), []time.Duration{10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s}; !slices.Equal(got, want) {
			t.Errorf("the pulls are %s apart", got)
		}
		p.runtime.FailPull = nil
		p.stop()
	})
}

func TestEventsCountUpAndAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, nil)
		p.runtime.FailPull = func(context.Context, string, [][]byte) error { return errors.New("not found") }
		p.create(onePod())
		time.Sleep(5 * time.Minute)
		for _, e := range store.List[*corev1.Event](p.store, "default") {
			if e.Count < 4 || e.LastTimestamp.Sub(e.FirstTimestamp.Time) < 2*time.Minute || e.InvolvedObject.FieldPath != "spec.containers{user-container}" || e.Source.Component != "kubelet" {
				t.Errorf("%+v", e)
			}
		}
		if got := len(p.events()); got != 5 {
			t.Errorf("there are %d events: %q", got, p.events())
		}
		p.remove(0)
		time.Sleep(2 * time.Hour)
		recorder.Expire(p.store, time.Now()) // which the controllers see to
		pod := onePod("wait=0")
		pod.Name = "another"
		p.create(pod)
		time.Sleep(time.Second)
		for _, e := range store.List[*corev1.Event](p.store, "default") {
			if e.InvolvedObject.Name == "pod" {
				t.Errorf("still there after two hours: %s: %s", e.Reason, e.Message)
			}
		}
		p.stop()
	})
}

func TestSandboxIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, nil)
		times := 0
		p.runtime.FailSandbox = func() error {
			if times++; times < 3 {
				return errors.New("no room for namespaces")
			}
			return nil
		}
		p.create(onePod("wait=0"))
		time.Sleep(time.Minute)
		if !isReady(p.pod()) || !slices.Contains(p.events(), "FailedCreatePodSandBox: Failed to create pod sandbox: no room for namespaces") {
			t.Errorf("events %q, status %+v", p.events(), p.pod().Status)
		}
		p.stop()
	})
}

// A pod is deleted while something else is under way: that ends at once.
func TestDeletionInTheMiddle(t *testing.T) {
	block := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name    string
		fault   func(*platform)
		pod     *corev1.Pod
		reached func(*platform) func(*corev1.Pod) bool
	}{
		{"pull", func(p *platform) {
			p.runtime.FailPull = func(ctx context.Context, _ string, _ [][]byte) error { return block(ctx) }
		}, onePod(), func(p *platform) func(*corev1.Pod) bool {
			return func(*corev1.Pod) bool { return len(p.events()) > 0 }
		}},
		{"back-off of a pull", func(p *platform) {
			p.runtime.FailPull = func(context.Context, string, [][]byte) error { return errors.New("not found") }
		}, onePod(), func(*platform) func(*corev1.Pod) bool { return waitingFor("ErrImagePull") }},
		{"init container", nil, withInit(onePod(), []string{"wait=0"}), func(*platform) func(*corev1.Pod) bool {
			return func(got *corev1.Pod) bool {
				return got != nil && len(got.Status.InitContainerStatuses) > 0 && got.Status.InitContainerStatuses[0].State.Running != nil
			}
		}},
		{"crash loop", nil, onePod("exit=1"), func(*platform) func(*corev1.Pod) bool { return waitingFor("CrashLoopBackOff") }},
		{"missing secret", nil, func() *corev1.Pod {
			pod := onePod()
			pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "X", ValueFrom: fromSecret("none", "x", false)}}
			return pod
		}(), func(*platform) func(*corev1.Pod) bool { return waitingFor("CreateContainerConfigError") }},
		{"readiness", nil, func() *corev1.Pod {
			pod := onePod("wait=0")
			pod.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
			return pod
		}(), func(*platform) func(*corev1.Pod) bool {
			return func(got *corev1.Pod) bool { return first(got).State.Running != nil }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, nil)
			if tt.fault != nil {
				tt.fault(p)
			}
			p.create(tt.pod)
			p.until(tt.name, tt.reached(p))
			begun := time.Now()
			p.remove(60)
			p.until("gone", gone)
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestFollowingEndsWithTheContainer(t *testing.T) {
	p := start(t, nil)
	p.create(server("say=begun"))
	p.until("ready", isReady)
	reader, err := p.kubelet.Logs(t.Context(), "default", "pod", &corev1.PodLogOptions{Follow: true, Container: "user-container"})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	lines := bufio.NewScanner(reader)
	for _, want := range []string{"begun", "one", "two"} {
		if want != "begun" {
			p.mustGet("/say/" + want)
		}
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, want %q", lines.Text(), want)
		}
	}
	p.remove(30)
	if !lines.Scan() || lines.Text() != "got terminated" {
		t.Errorf("got %q", lines.Text())
	}
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the end: %q, %v", lines.Text(), lines.Err())
	}
}

func TestLogsOfWhichContainer(t *testing.T) {
	p := start(t, nil)
	pod := withInit(server("say=one"), []string{"say=init"})
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "sidecar", Image: "reg.example/sidecar:1", Args: []string{"say=two", "wait=0"}})
	p.create(pod)
	p.until("ready", isReady)
	// The sidecar has no probe: the pod may be ready before it has written.
	eventually(t, "the sidecar's line", func() bool {
		text, _ := p.logs(corev1.PodLogOptions{Container: "sidecar"})
		return text == "two\n"
	})
	tests := []struct {
		o     corev1.PodLogOptions
		text  string
		fails string
	}{
		{corev1.PodLogOptions{Container: "user-container"}, "one\n", ""},
		{corev1.PodLogOptions{Container: "sidecar"}, "two\n", ""},
		{corev1.PodLogOptions{Container: "init-0"}, "init\n", ""},
		{corev1.PodLogOptions{}, "", "a container name must be specified for pod pod, choose one of: [user-container sidecar] or one of the init containers: [init-0]"},
		{corev1.PodLogOptions{Container: "other"}, "", "container other is not valid for pod pod"},
		{corev1.PodLogOptions{Container: "sidecar", Previous: true}, "", `previous terminated container "sidecar" in pod "pod" not found`},
		{corev1.PodLogOptions{Container: "sidecar", TailLines: new(int64(0))}, "", ""},
		{corev1.PodLogOptions{Container: "sidecar", LimitBytes: new(int64(2))}, "tw", ""},
		{corev1.PodLogOptions{Container: "sidecar", SinceSeconds: new(int64(3600))}, "two\n", ""},
	}
	for _, tt := range tests {
		text, err := p.logs(tt.o)
		if text != tt.text || (err == nil) != (tt.fails == "") || err != nil && (err.Error() != tt.fails || !apierrors.IsBadRequest(err)) {
			t.Errorf("%+v: %q, %v", tt.o, text, err)
		}
	}
	if _, err := p.kubelet.Logs(t.Context(), "default", "nobody", &corev1.PodLogOptions{}); !apierrors.IsNotFound(err) || err.Error() != `pods "nobody" not found` {
		t.Errorf("no such pod: %v", err)
	}
}

func TestHooks(t *testing.T) {
	p := start(t, nil)
	pod := server("say=begun")
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{
		PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/program", "exit=0"}}},
		PreStop:   &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/say/stopping", Port: intstr.FromInt32(8080)}},
	}
	p.create(pod)
	p.until("ready", isReady)
	reader, err := p.kubelet.Logs(t.Context(), "default", "pod", &corev1.PodLogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	p.remove(30)
	var got []string
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		got = append(got, lines.Text())
	}
	if want := []string{"begun", "stopping", "got terminated"}; !slices.Equal(got, want) {
		t.Errorf("it says %q", got)
	}
}

func TestPostStartThatFails(t *testing.T) {
	p := start(t, nil)
	pod := server()
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/program", "exit=1"}}}}
	p.create(pod)
	p.until("restarted", func(got *corev1.Pod) bool { return first(got).RestartCount > 0 })
	if !slices.Contains(p.events(), "FailedPostStartHook: PostStartHook failed") {
		t.Errorf("events %q", p.events())
	}
}

func TestManyPodsAtOnce(t *testing.T) {
	p := start(t, func(o *kubelet.Options) { o.StopWithin = time.Second })
	const many = 100
	for i := range many {
		pod := server()
		pod.Name = fmt.Sprintf("pod-%d", i)
		p.create(pod)
	}
	p.until("all are ready", func(*corev1.Pod) bool {
		n := 0
		for _, pod := range store.List[*corev1.Pod](p.store, "default") {
			if isReady(pod) {
				n++
			}
		}
		return n == many
	})
	begun := time.Now()
	p.stop()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the end of %d pods took %s", many, took)
	}
}

// Whoever kills the first process of a sandbox ends everything in it.
func TestSandboxIsLost(t *testing.T) {
	p := start(t, nil)
	pod := withInit(server("cat=/shared/note"), []string{"write=/shared/note:from init"})
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	mounts := []corev1.VolumeMount{{Name: "v", MountPath: "/shared"}}
	pod.Spec.Containers[0].VolumeMounts, pod.Spec.InitContainers[0].VolumeMounts = mounts, mounts
	p.create(pod)
	for round := range int32(2) {
		if round > 0 {
			p.runtime.Lose()
		}
		got := p.until("ready", func(got *corev1.Pod) bool { return isReady(got) && first(got).RestartCount == round })
		if s := got.Status.InitContainerStatuses[0]; s.RestartCount != round || s.State.Terminated == nil {
			t.Errorf("the init container: %+v", s)
		}
		if last := first(got).LastTerminationState.Terminated; round > 0 && (last == nil || last.ExitCode != 137) {
			t.Errorf("last state %+v", last)
		}
		if body := p.mustGet("/"); body != "hello from pod" {
			t.Errorf("the answer is %q", body)
		}
	}
	if !slices.Contains(p.events(), "SandboxChanged: Pod sandbox changed, it will be killed and re-created.") {
		t.Errorf("events %q", p.events())
	}
	p.remove(30)
	p.until("gone", gone)
}

// A run that has not begun, because the sandbox ended with the one before it, has no log
// that could be the previous one.
func TestPreviousLogOutlivesALostSandbox(t *testing.T) {
	p := start(t, nil)
	lost := false
	p.runtime.OnStart = func(runtimetest.Container) {
		p.runtime.FailStart = func(runtimetest.Container) error {
			p.runtime.FailStart, lost = nil, true
			p.runtime.Lose()
			return errors.New("the sandbox is gone")
		}
		p.runtime.OnStart = nil
	}
	p.create(server("say=begun"))
	p.until("ready", isReady)
	_, _ = p.get("/exit/3")
	p.until("ready again", func(got *corev1.Pod) bool { return isReady(got) && first(got).RestartCount == 1 })
	if !lost {
		t.Fatal("the sandbox was not lost")
	}
	before, err := p.logs(corev1.PodLogOptions{Previous: true, Timestamps: true})
	now, nowErr := p.logs(corev1.PodLogOptions{Timestamps: true})
	if err != nil || nowErr != nil || !strings.HasSuffix(before, "Z begun\n") || !strings.HasSuffix(now, "Z begun\n") || before >= now {
		t.Errorf("the previous container says %q, %v; this one %q, %v", before, err, now, nowErr)
	}
}

// A disk that was full is tried again, although nothing in the store has changed.
func TestVolumesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, nil)
		times := 0
		p.runtime.FailVolume = func(string) error {
			if times++; times < 3 {
				return syscall.ENOSPC
			}
			return nil
		}
		p.create(onePod("wait=0"))
		time.Sleep(time.Minute)
		if !isReady(p.pod()) || !slices.Contains(p.events(), "FailedMount: the folder of termination messages cannot be made: no space left on device") {
			t.Errorf("events %q, status %+v", p.events(), p.pod().Status)
		}
		p.stop()
	})
}

// A runtime that does not come back does not keep a pod from being deleted.
func TestRuntimeThatHangs(t *testing.T) {
	for _, where := range []string{"sandbox", "pull", "start"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, nil)
				back := make(chan struct{})
				hang := func(at string) error {
					if at == where {
						<-back
					}
					return nil
				}
				p.runtime.FailSandbox = func() error { return hang("sandbox") }
				p.runtime.FailPull = func(context.Context, string, [][]byte) error { return hang("pull") }
				p.runtime.FailStart = func(runtimetest.Container) error { return hang("start") }
				p.create(onePod("wait=0"))
				synctest.Wait()
				p.remove(5)
				time.Sleep(time.Minute)
				if p.pod() != nil {
					t.Error("the pod is still there")
				}
				close(back)
				synctest.Wait()
				p.stop()
			})
		})
	}
}
