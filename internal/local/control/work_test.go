package control

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/store"
)

// mostTasks is how many tasks a service may cost until it is ready and at zero, and
// mostTasksAgain when the platform starts with it. What is written once per change wakes
// what depends on it once; the bounds leave room for other orders of the same events.
const (
	mostTasks      = 60
	mostTasksAgain = 12
)

// What a service costs must not depend on how many others there are.
func TestWorkPerServiceIsBounded(t *testing.T) {
	services := 100
	if os.Getenv("FULL") != "" {
		services = 1000
	}
	p := newPlatform(t)
	p.idle = true
	p.start()
	begin := time.Now()
	for i := range services {
		p.service(fmt.Sprintf("s%d", i), image(fmt.Sprintf("registry.example/s%d", i)))
	}
	p.awaitIdle(services)
	p.report("to make", services, mostTasks, begin)
	p.stop()

	clear(p.tasks)
	begin = time.Now()
	p.start()
	p.awaitIdle(services)
	p.report("to start with", services, mostTasksAgain, begin)
}

// awaitIdle waits until all services are ready and nothing has been done for a while.
func (p *platform) awaitIdle(services int) {
	p.Helper()
	deadline := time.Now().Add(time.Minute)
	for last := -1; ; {
		p.mu.Lock()
		done := 0
		for _, n := range p.tasks {
			done += n
		}
		p.mu.Unlock()
		ready := 0
		for _, svc := range store.List[*servingv1.Service](p.store, "default") {
			if svc.IsReady() {
				ready++
			}
		}
		if ready == services && done == last {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("%d of %d services are ready", ready, services)
		}
		last = done
		time.Sleep(200 * time.Millisecond)
	}
}

func (p *platform) report(what string, services, most int, begin time.Time) {
	p.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	kinds, all := map[work]int{}, 0
	for t, n := range p.tasks {
		kinds[t.work] += n
		all += n
	}
	p.Logf("%s %d services: %d tasks each, in %v: %v", what, services, all/services, time.Since(begin).Round(time.Millisecond), kinds)
	if all > most*services {
		p.Errorf("%d tasks for each service, not %d at most", all/services, most)
	}
}

// A request that waits for its first pod waits for this as well.
func BenchmarkFirstPod(b *testing.B) {
	s, err := store.Open("")
	if err != nil {
		b.Fatal(err)
	}
	c := New(Options{Store: s, Domain: "example.com", Node: "here"})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	d := testDeployment(0)
	d.Namespace = "default"
	if _, err := s.Create(d); err != nil {
		b.Fatal(err)
	}
	watch := s.Watch(s.Version())
	scale := func(n int32) {
		for {
			have, _ := store.Get[*appsv1.Deployment](s, "default", "d")
			next := have.DeepCopy()
			next.Spec.Replicas = &n
			if _, err := s.Update(next); err == nil {
				return
			}
		}
	}
	await := func(change store.Change) {
		for {
			events, err := watch.Next(ctx)
			if err != nil {
				b.Fatal(err)
			}
			for _, e := range events {
				if pod, ok := e.Object.(*corev1.Pod); ok && e.Change == change {
					s.Remove(pod)
					return
				}
			}
		}
	}
	for b.Loop() {
		b.StopTimer()
		scale(0)
		b.StartTimer()
		scale(1)
		await(store.Added)
	}
}
