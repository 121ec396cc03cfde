package kubelet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kn-lite/kn-lite/internal/local/kubelet"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/test/runtimetest"
)

const patience = 10 * time.Second

// platform is a kubelet that runs, with what belongs to it.
type platform struct {
	t       *testing.T
	store   *store.Store
	kubelet *kubelet.Kubelet
	runtime *runtimetest.Fake
	dir     string
	stop    func()
	ended   time.Time // of the last container
}

func start(t *testing.T, change func(*kubelet.Options)) *platform {
	t.Helper()
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, store: s, runtime: &runtimetest.Fake{Dir: t.TempDir()}, dir: t.TempDir()}
	p.runtime.OnEnd = func() { p.ended = time.Now() }
	o := kubelet.Options{Store: s, Runtime: p.runtime, Dir: p.dir}
	if change != nil {
		change(&o)
	}
	p.kubelet = kubelet.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.kubelet.Run(ctx) }()
	p.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		ended <- nil
		if sandboxes, running := p.runtime.Open(); sandboxes+running > 0 {
			t.Errorf("%d sandboxes and %d containers are left", sandboxes, running)
		}
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// onePod is a pod with a container that does what the steps say.
func onePod(steps ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "pod"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways,
			Containers:    []corev1.Container{{Name: "user-container", Image: "reg.example/fn@sha256:" + strings.Repeat("a", 64), Args: steps}},
		},
	}
}

// server is a pod that serves on port 8080.
func server(steps ...string) *corev1.Pod {
	p := onePod(append(steps, "serve=8080")...)
	p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 8080}}
	return p
}

func (p *platform) create(object store.Object) {
	p.t.Helper()
	if _, err := p.store.Create(object); err != nil {
		p.t.Fatal(err)
	}
}

func (p *platform) pod() *corev1.Pod {
	found, _ := store.Get[*corev1.Pod](p.store, "default", "pod")
	return found
}

// until waits for a state of the pod; nil is one that is not there.
func (p *platform) until(what string, holds func(*corev1.Pod) bool) *corev1.Pod {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		version := p.store.Version()
		found := p.pod()
		if holds(found) {
			return found
		}
		if _, err := p.store.Watch(version).Next(ctx); err != nil {
			p.t.Fatalf("not within %s: %s; the pod is %s", patience, what, describe(found))
		}
	}
}

func describe(p *corev1.Pod) string {
	if p == nil {
		return "not there"
	}
	return fmt.Sprintf("%+v", p.Status)
}

func isReady(p *corev1.Pod) bool { return condition(p, corev1.PodReady) == corev1.ConditionTrue }

func condition(p *corev1.Pod, kind corev1.PodConditionType) corev1.ConditionStatus {
	if p != nil {
		for _, c := range p.Status.Conditions {
			if c.Type == kind {
				return c.Status
			}
		}
	}
	return ""
}

func gone(p *corev1.Pod) bool { return p == nil }

func first(p *corev1.Pod) corev1.ContainerStatus {
	if p == nil || len(p.Status.ContainerStatuses) == 0 {
		return corev1.ContainerStatus{}
	}
	return p.Status.ContainerStatuses[0]
}

func waitingFor(reason string) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { w := first(p).State.Waiting; return w != nil && w.Reason == reason }
}

func (p *platform) remove(grace int64) {
	p.t.Helper()
	if _, err := p.store.Delete(p.store.KindOf(&corev1.Pod{}), "default", "pod", grace, nil); err != nil {
		p.t.Fatal(err)
	}
}

// get sends a request to the pod.
func (p *platform) get(path string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return p.kubelet.DialPod(ctx, "default", "pod", 8080)
	}}}
	response, err := client.Get("http://pod" + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func (p *platform) mustGet(path string) string {
	p.t.Helper()
	body, err := p.get(path)
	if err != nil {
		p.t.Fatal(err)
	}
	return body
}

// events are the pod's as REASON: MESSAGE, in the order of their first time.
func (p *platform) events() []string {
	all := store.List[*corev1.Event](p.store, "default")
	slices.SortFunc(all, func(a, b *corev1.Event) int { return a.FirstTimestamp.Compare(b.FirstTimestamp.Time) })
	var out []string
	for _, e := range all {
		out = append(out, e.Reason+": "+e.Message)
	}
	return out
}

func (p *platform) logs(o corev1.PodLogOptions) (string, error) {
	reader, err := p.kubelet.Logs(p.t.Context(), "default", "pod", &o)
	if err != nil {
		return "", err
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	return string(text), err
}

func TestPodBecomesReadyAndAnswers(t *testing.T) {
	p := start(t, nil)
	p.create(server("say=here I am"))
	got := p.until("ready", isReady)
	if body := p.mustGet("/"); body != "hello from pod" {
		t.Errorf("the answer is %q", body)
	}
	s := first(got)
	if got.Status.Phase != corev1.PodRunning || s.State.Running == nil || !s.Ready || !*s.Started || s.RestartCount != 0 {
		t.Errorf("status %+v", got.Status)
	}
	if want := "reg.example/fn@sha256:" + strings.Repeat("a", 64); s.ImageID != want || s.Image != want || !strings.HasPrefix(s.ContainerID, "kn-lite://") {
		t.Errorf("image %s, image ID %s, container ID %s", s.Image, s.ImageID, s.ContainerID)
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodScheduled, corev1.PodReadyToStartContainers} {
		if condition(got, kind) != corev1.ConditionTrue {
			t.Errorf("condition %s is %s", kind, condition(got, kind))
		}
	}
	if got.Status.PodIP != "127.0.0.1" || got.Status.HostIP != "127.0.0.1" || got.Status.StartTime == nil || got.Status.QOSClass != corev1.PodQOSBestEffort {
		t.Errorf("addresses %s %s, start %v, class %s", got.Status.PodIP, got.Status.HostIP, got.Status.StartTime, got.Status.QOSClass)
	}
	var reasons []string
	for _, e := range p.events() {
		reason, _, _ := strings.Cut(e, ":")
		reasons = append(reasons, reason)
	}
	if want := []string{"Pulling", "Pulled", "Created", "Started"}; !slices.Equal(reasons, want) {
		t.Errorf("events %q", p.events())
	}
	if text, err := p.logs(corev1.PodLogOptions{}); err != nil || text != "here I am\n" {
		t.Errorf("logs %q, %v", text, err)
	}
}

func TestStartIsFast(t *testing.T) {
	p := start(t, nil)
	var begun, execed time.Time
	p.runtime.OnStart = func(runtimetest.Container) { execed = time.Now() }
	best := [2]time.Duration{time.Hour, time.Hour}
	for range 5 { // the machine may be busy
		begun = time.Now()
		p.create(server())
		p.until("ready", isReady)
		toReady := time.Since(begun)
		best[0], best[1] = min(best[0], execed.Sub(begun)), min(best[1], toReady)
		p.remove(0)
		p.until("gone", gone)
	}
	t.Logf("to exec %s, to ready %s", best[0], best[1])
	if best[0] > 20*time.Millisecond || best[1] > 40*time.Millisecond {
		t.Errorf("to exec %s, to ready %s: a cold start has 150 ms for everything", best[0], best[1])
	}
}

func TestPodIsDeleted(t *testing.T) {
	p := start(t, nil)
	p.create(server())
	p.until("ready", isReady)
	p.remove(30)
	p.until("gone", gone)
	if _, err := p.get("/"); err == nil {
		t.Error("a removed pod answers")
	}
	if _, err := p.logs(corev1.PodLogOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("logs of a removed pod: %v", err)
	}
	p.stop()
	if left, _ := os.ReadDir(p.dir); len(left) > 0 {
		t.Errorf("files of a removed pod are left: %v", left)
	}
}

func TestGraceEnds(t *testing.T) {
	for grace, want := range map[int64]time.Duration{1: 2 * time.Second, 30: 30 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			p := start(t, nil)
			p.create(onePod("ignore"))
			p.until("running", func(got *corev1.Pod) bool { return first(got).State.Running != nil })
			begun := time.Now()
			p.remove(grace)
			time.Sleep(time.Minute)
			for _, e := range store.List[*corev1.Event](p.store, "default") {
				if e.Reason == "Killing" && e.FirstTimestamp.Sub(begun) > time.Second {
					t.Errorf("it was told to stop %s late", e.FirstTimestamp.Sub(begun))
				}
			}
			if took := p.ended.Sub(begun).Round(time.Second); p.pod() != nil || took != want {
				t.Errorf("a program that ignores SIGTERM had %s of a grace of %d s", took, grace)
			}
			if !slices.Contains(p.events(), "Killing: Stopping container user-container") {
				t.Errorf("events %q", p.events())
			}
			p.stop()
		})
	}
}

// A request that takes all of the grace leaves the program the time to end in order.
func TestDrainTakesAllOfTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := drain{make(chan struct{}), make(chan struct{})}
		p := start(t, func(o *kubelet.Options) { o.Drain = d })
		p.create(onePod("wait=0"))
		p.until("running", func(got *corev1.Pod) bool { return first(got).State.Running != nil })
		reader, err := p.kubelet.Logs(t.Context(), "default", "pod", &corev1.PodLogOptions{Follow: true})
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		p.remove(10)
		time.Sleep(9 * time.Second)
		if p.pod() == nil {
			t.Error("it ended before its request")
		}
		if text, err := io.ReadAll(reader); err != nil || string(text) != "got terminated\n" {
			t.Errorf("it says %q, %v", text, err)
		}
		p.stop()
	})
}

// drain is a router that has requests in flight until it is told otherwise.
type drain struct{ asked, free chan struct{} }

func (d drain) Drain(ctx context.Context, _ *corev1.Pod) error {
	close(d.asked)
	select {
	case <-d.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestDeletionWaitsForRequests(t *testing.T) {
	d := drain{make(chan struct{}), make(chan struct{})}
	p := start(t, func(o *kubelet.Options) { o.Drain = d })
	p.create(server())
	p.until("ready", isReady)
	p.remove(60)
	<-d.asked
	if body := p.mustGet("/"); body == "" {
		t.Error("no answer while requests are in flight")
	}
	close(d.free)
	p.until("gone", gone)
}

func TestDeletionByForce(t *testing.T) {
	d := drain{make(chan struct{}), make(chan struct{})}
	p := start(t, func(o *kubelet.Options) { o.Drain = d })
	p.create(onePod("ignore"))
	p.until("running", func(got *corev1.Pod) bool { return first(got).State.Running != nil })
	p.remove(60)
	<-d.asked
	p.remove(0)
	deadline := time.Now().Add(patience)
	for sandboxes := 1; sandboxes > 0; sandboxes, _ = p.runtime.Open() {
		if time.Now().After(deadline) {
			t.Fatal("it still runs")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestContainerIsRestarted(t *testing.T) {
	p := start(t, nil)
	p.create(server("say=begun"))
	p.until("ready", isReady)
	_, _ = p.get("/exit/3")
	got := p.until("ready again", func(got *corev1.Pod) bool { return isReady(got) && first(got).RestartCount == 1 })
	last := first(got).LastTerminationState.Terminated
	if last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.FinishedAt.IsZero() || last.ContainerID == first(got).ContainerID {
		t.Errorf("last state %+v", last)
	}
	if got.Status.Phase != corev1.PodRunning {
		t.Errorf("phase %s", got.Status.Phase)
	}
	if text, err := p.logs(corev1.PodLogOptions{Previous: true}); err != nil || text != "begun\n" {
		t.Errorf("logs of the previous container %q, %v", text, err)
	}
}

func TestCrashLoop(t *testing.T) {
	p := start(t, nil)
	pod := onePod("say=no database", "exit=2")
	pod.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	p.create(pod)
	got := p.until("waits", waitingFor("CrashLoopBackOff"))
	s := first(got)
	if s.RestartCount != 1 || s.LastTerminationState.Terminated == nil || s.LastTerminationState.Terminated.ExitCode != 2 || s.LastTerminationState.Terminated.Message != "no database\n" {
		t.Errorf("status %+v", s)
	}
	if !strings.HasPrefix(s.State.Waiting.Message, "back-off 10s restarting failed container=user-container pod=pod_default(") || got.Status.Phase != corev1.PodRunning {
		t.Errorf("waits for %q, phase %s", s.State.Waiting.Message, got.Status.Phase)
	}
	if text, err := p.logs(corev1.PodLogOptions{}); err != nil || text != "no database\n" {
		t.Errorf("logs %q, %v", text, err)
	}
	p.remove(30)
	p.until("gone", gone)
}

func TestImageCannotBePulled(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	p.runtime.FailPull = func(context.Context, string, [][]byte) error {
		return errors.New("reg.example/fn: 401 Unauthorized")
	}
	p.create(onePod())
	got := p.until("fails", waitingFor("ErrImagePull"))
	if m := first(got).State.Waiting.Message; !strings.Contains(m, "401 Unauthorized") {
		t.Errorf("waits: %s", m)
	}
	got = p.until("backs off", waitingFor("ImagePullBackOff"))
	if m := first(got).State.Waiting.Message; !strings.HasPrefix(m, `Back-off pulling image "reg.example/fn@`) || !strings.Contains(m, "401 Unauthorized") {
		t.Errorf("waits: %s", m)
	}
	if got.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s", got.Status.Phase)
	}
	if !slices.ContainsFunc(p.events(), func(e string) bool {
		return strings.HasPrefix(e, "Failed: Failed to pull image") && strings.HasSuffix(e, "401 Unauthorized")
	}) {
		t.Errorf("events %q", p.events())
	}
	if _, err := p.logs(corev1.PodLogOptions{}); !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "waiting to start: trying and failing to pull image") {
		t.Errorf("logs: %v", err)
	}
	p.remove(30)
	p.until("gone", gone)
}

func TestProgramCannotBeStarted(t *testing.T) {
	p := start(t, nil)
	p.runtime.FailStart = func(runtimetest.Container) error {
		return errors.New(`exec: "/nope": stat /nope: no such file or directory`)
	}
	p.create(onePod())
	got := p.until("waits", waitingFor("CrashLoopBackOff"))
	if last := first(got).LastTerminationState.Terminated; last == nil || last.Reason != "StartError" || last.ExitCode != 128 || !strings.Contains(last.Message, "no such file") {
		t.Errorf("last state %+v", last)
	}
}

func TestEndOfThePlatform(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *kubelet.Options) { o.StopWithin = time.Second })
	for i := range 5 {
		pod := server()
		pod.Name = fmt.Sprintf("serves-%d", i)
		p.create(pod)
		pod = onePod("ignore")
		pod.Name = fmt.Sprintf("ignores-%d", i)
		p.create(pod)
	}
	p.create(server())
	p.until("ready", isReady)
	begun := time.Now()
	p.stop()
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("took %s", took)
	}
}

// A pod's last changes are seen after it has ended: they must not begin it again.
func TestManyShortLives(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	var mu sync.Mutex
	started := map[string]int{}
	p.runtime.OnStart = func(c runtimetest.Container) {
		mu.Lock()
		defer mu.Unlock()
		started[variables(c)["UID"]]++
	}
	for range 100 {
		pod := onePod("wait=0")
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "UID", ValueFrom: fromField("metadata.uid")}}
		p.create(pod)
		p.until("running", func(got *corev1.Pod) bool { return first(got).State.Running != nil })
		p.remove(30)
		p.until("gone", gone)
	}
	p.stop()
	mu.Lock()
	defer mu.Unlock()
	if len(started) != 100 {
		t.Errorf("%d pods were started", len(started))
	}
	for uid, times := range started {
		if times != 1 {
			t.Errorf("pod %s was started %d times", uid, times)
		}
	}
}
