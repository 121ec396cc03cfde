package runtimetest_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// A cold start from zero has 150 ms for everything, of which this is the largest part.
func TestColdStart(t *testing.T) {
	m := open(t)
	n := newNode(t, m.Runtime)
	best := time.Hour
	for range 5 { // the machine may be busy
		begun := time.Now()
		n.create(server(m.ref, "say=begun"))
		n.until("ready", ready)
		took := time.Since(begun)
		t.Log(took)
		best = min(best, took)
		n.remove(0)
	}
	pulls, present := 0, 0
	for _, e := range store.List[*corev1.Event](n.store, "default") {
		pulls += strings.Count(e.Message, "Successfully pulled image")
		present += strings.Count(e.Message, "already present on machine")
	}
	if pulls != 1 || present != 4 {
		t.Errorf("the image was pulled %d times, and there already %d times", pulls, present)
	}
	if best > 150*time.Millisecond {
		t.Errorf("from the pod to ready: %s at best", best)
	}
}

func TestPodOnTheRuntime(t *testing.T) {
	m := open(t)
	n := newNode(t, m.Runtime)
	n.create(&corev1.Secret{ObjectMeta: server("").ObjectMeta, Data: map[string][]byte{"key": []byte("value")}})
	p := server(m.ref, "say=begun", "env=K_REVISION", "env=FROM_IMAGE", "cat=/secret/key", "write=/shared/mark:1")
	p.Spec.InitContainers = []corev1.Container{{
		Name: "init", Image: m.ref, Args: []string{"write=/shared/note:from the init container"},
		VolumeMounts: []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}},
	}}
	p.Spec.Volumes = []corev1.Volume{
		{Name: "secret", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "fn-v1-pod"}}},
		{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	c := &p.Spec.Containers[0]
	c.VolumeMounts = []corev1.VolumeMount{{Name: "secret", MountPath: "/secret"}, {Name: "shared", MountPath: "/shared"}}
	c.StartupProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 20, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/program", "exists=/shared/mark"}}}}
	c.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/health", Port: intstr.FromInt32(8080)}}}
	sidecar := corev1.Container{Name: "sidecar", Image: m.ref, Args: []string{"cat=/shared/note", "serve=9090"}, VolumeMounts: c.VolumeMounts}
	sidecar.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9090)}}}
	p.Spec.Containers = append(p.Spec.Containers, sidecar)
	n.create(p)
	got := n.until("both containers are ready", func(p *corev1.Pod) bool {
		return ready(p) && p.Status.ContainerStatuses[1].Ready
	})
	if got.Status.ContainerStatuses[0].ImageID != m.ref || got.Status.Phase != corev1.PodRunning {
		t.Errorf("status %+v", got.Status)
	}
	if text := n.logs(&corev1.PodLogOptions{Container: "user-container"}); text != "begun\nK_REVISION=fn-v1\nFROM_IMAGE=yes\nvalue\n" {
		t.Errorf("log %q", text)
	}
	if text := n.logs(&corev1.PodLogOptions{Container: "sidecar"}); text != "from the init container\n" {
		t.Errorf("log of the sidecar %q", text)
	}
	begun := time.Now()
	n.remove(300)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("programs that end with SIGTERM were waited for for %s", took)
	}
}

func TestProgramThatTheImageHasNot(t *testing.T) {
	m := open(t)
	n := newNode(t, m.Runtime)
	p := server(m.ref)
	p.Spec.Containers[0].Command = []string{"/no/such/program"}
	n.create(p)
	got := n.until("a crash loop", func(p *corev1.Pod) bool {
		if p == nil || len(p.Status.ContainerStatuses) == 0 {
			return false
		}
		w := p.Status.ContainerStatuses[0].State.Waiting
		return w != nil && w.Reason == "CrashLoopBackOff"
	})
	if last := got.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.Reason != "StartError" {
		t.Errorf("last state %+v", last)
	}
}

// Whoever kills the first process of a pod's sandbox ends all of it: the pod begins
// anew in another one.
func TestSandboxIsKilled(t *testing.T) {
	m := open(t)
	n := newNode(t, m.Runtime)
	n.create(server(m.ref))
	n.until("ready", ready)
	killed := 0
	for _, pid := range children(t) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatal("there was nothing to kill")
	}
	n.until("ready again", func(p *corev1.Pod) bool { return ready(p) && p.Status.ContainerStatuses[0].RestartCount == 1 })
}

// children are the processes that this one has started.
func children(t *testing.T) []int {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // The thread has ended.
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				out = append(out, pid)
			}
		}
	}
	return out
}
