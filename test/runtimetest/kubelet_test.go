package runtimetest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kn-lite/kn-lite/internal/deploy"
	"github.com/kn-lite/kn-lite/internal/local/kubelet"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/local/store"
	"github.com/kn-lite/kn-lite/test/runtimetest"
)

const patience = 30 * time.Second

// node is a kubelet on a runtime.
type node struct {
	testing.TB
	store   *store.Store
	kubelet *kubelet.Kubelet
}

func newNode(t testing.TB, r pod.Runtime) *node {
	t.Helper()
	s, err := store.Open("")
	if err != nil {
		t.Fatal(err)
	}
	// Events of a namespace that is not there are not written.
	if _, err := s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}); err != nil {
		t.Fatal(err)
	}
	n := &node{t, s, kubelet.New(kubelet.Options{Store: s, Runtime: r, Dir: t.TempDir(), StopWithin: time.Second})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.kubelet.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return n
}

// server is a pod of Knative's shape.
func server(ref string, steps ...string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "fn-v1-pod"},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(300)),
			Containers: []corev1.Container{{
				Name: "user-container", Image: ref, Args: append(steps, "serve="), Ports: []corev1.ContainerPort{{Name: "user-port", ContainerPort: 8080}},
				Env:                      []corev1.EnvVar{{Name: "PORT", Value: "8080"}, {Name: "K_REVISION", Value: "fn-v1"}},
				ReadinessProbe:           &corev1.Probe{SuccessThreshold: 1, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}},
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
			}},
		},
	}
}

// until waits for a state of the pod.
func (n *node) until(what string, holds func(*corev1.Pod) bool) *corev1.Pod {
	n.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		version := n.store.Version()
		found, _ := store.Get[*corev1.Pod](n.store, "default", "fn-v1-pod")
		if holds(found) {
			return found
		}
		if _, err := n.store.Watch(version).Next(ctx); err != nil {
			n.Fatalf("not within %s: %s; the pod is %+v", patience, what, found)
		}
	}
}

func (n *node) create(object store.Object) {
	n.Helper()
	if _, err := n.store.Create(object); err != nil {
		n.Fatal(err)
	}
}

func (n *node) remove(grace int64) {
	n.Helper()
	if _, err := n.store.Delete(n.store.KindOf(&corev1.Pod{}), "default", "fn-v1-pod", grace, nil); err != nil {
		n.Fatal(err)
	}
	n.until("gone", func(p *corev1.Pod) bool { return p == nil })
}

func ready(p *corev1.Pod) bool {
	return p != nil && len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].Ready
}

func (n *node) logs(o *corev1.PodLogOptions) string {
	n.Helper()
	reader, err := n.kubelet.Logs(context.Background(), "default", "fn-v1-pod", o)
	if err != nil {
		n.Fatal(err)
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		n.Fatal(err)
	}
	return string(text)
}

func (n *node) evidence() deploy.Evidence {
	p, _ := store.Get[*corev1.Pod](n.store, "default", "fn-v1-pod")
	e := deploy.Evidence{Now: time.Now(), Revision: "fn-v1", Pods: []*corev1.Pod{p}}
	for _, event := range store.List[*corev1.Event](n.store, "default") {
		e.Events = append(e.Events, *event)
	}
	if reader, err := n.kubelet.Logs(context.Background(), "default", "fn-v1-pod", &corev1.PodLogOptions{}); err == nil {
		text, _ := io.ReadAll(reader)
		e.Log = strings.Split(strings.TrimSpace(string(text)), "\n")
		reader.Close()
	}
	return e
}

// The search for the cause of a failed deploy reads what the kubelet writes.
func TestWhy(t *testing.T) {
	pull := func(text string) func(*runtimetest.Fake) {
		return func(f *runtimetest.Fake) {
			f.FailPull = func(context.Context, string, [][]byte) error { return errors.New(text) }
		}
	}
	start := func(text string) func(*runtimetest.Fake) {
		return func(f *runtimetest.Fake) {
			f.FailStart = func(runtimetest.Container) error { return errors.New(text) }
		}
	}
	steps := func(steps ...string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.Containers[0].Args = steps }
	}
	health := func(set func(*corev1.Container, *corev1.Probe)) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].ReadinessProbe = nil
			set(&p.Spec.Containers[0], &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/nothing", Port: intstr.FromInt32(9)}}})
		}
	}
	tests := []struct {
		name  string
		fault func(*runtimetest.Fake)
		pod   func(*corev1.Pod)
		code  deploy.Code
		says  string
	}{
		{"no such image", pull("reg.example/fn:1: not found"), nil, deploy.ImagePull, "does the image exist"},
		{"no credentials", pull("reg.example/fn:1: 401 Unauthorized"), nil, deploy.ImagePull, "no credentials for this registry"},
		{"another architecture", pull("no match for platform in manifest"), nil, deploy.WrongArchitecture, "architecture"},
		{"program of another architecture", start("exec /program: exec format error"), nil, deploy.WrongArchitecture, "exec format error"},
		{"no such program", start("exec /nope: no such file or directory"), nil, deploy.BadCommand, "not in it"},
		{"program that may not be run", start("exec /app: permission denied"), nil, deploy.BadCommand, "not executable"},
		{"crash", nil, steps("complain=no database", "exit=3"), deploy.Crash, "exit code 3"},
		{"end", nil, steps("say=done"), deploy.Exited, "exit code 0"},
		{"out of memory", nil, steps("exit=237"), deploy.OutOfMemory, "more memory"},
		{"secret", nil, func(p *corev1.Pod) {
			p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}}}
		}, deploy.ConfigMissing, `secret "db" not found`},
		{"liveness", nil, health(func(c *corev1.Container, p *corev1.Probe) { c.LivenessProbe = p }), deploy.Unhealthy, "liveness"},
		{"startup", nil, health(func(c *corev1.Container, p *corev1.Probe) { c.StartupProbe = p }), deploy.Unhealthy, "startup probe"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &runtimetest.Fake{Dir: t.TempDir()}
			if tt.fault != nil {
				tt.fault(fake)
			}
			n := newNode(t, fake)
			p := server("reg.example/fn:1")
			if tt.pod != nil {
				tt.pod(p)
			}
			n.create(p)
			var found deploy.Finding
			n.until(tt.says, func(*corev1.Pod) bool {
				found = deploy.Diagnose(n.evidence())
				return found.Code == tt.code && found.Terminal
			})
			if !strings.Contains(found.Cause+found.Fix, tt.says) {
				t.Errorf("the cause is %q, the fix %q", found.Cause, found.Fix)
			}
		})
	}
}
