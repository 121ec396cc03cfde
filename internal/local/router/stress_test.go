package router

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Instances come, go and rest while requests come and are given up: no instance
// has more than its limit, nobody is forgotten, and all is given back.
func TestComingAndGoing(t *testing.T) {
	p := newPlatform(t)
	const limit = 2
	p.revision("v1", concurrency(limit))
	var pods []*corev1.Pod
	for range 3 {
		pods = append(pods, p.pod("v1", says("hello")))
	}
	p.route("hello", "v1=100")
	v := p.known("v1")
	var changes, requests sync.WaitGroup
	over, stop := context.WithCancel(t.Context())
	changes.Go(func() {
		for over.Err() == nil {
			p.setReady(pods[rand.IntN(len(pods))], rand.IntN(3) > 0)
			v.mu.Lock()
			var some *pod
			if len(v.ready) > 0 {
				some = v.ready[0]
			}
			v.mu.Unlock()
			if some != nil && rand.IntN(20) == 0 {
				some.pause()
			}
			time.Sleep(time.Millisecond)
		}
	})
	var mu sync.Mutex
	served, held := 0, map[*pod]int{}
	for range 30 {
		requests.Go(func() {
			for over.Err() == nil {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(5000))*time.Microsecond)
				got, err := v.acquire(ctx, nil)
				cancel()
				if err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					continue
				}
				mu.Lock()
				served++
				if held[got]++; held[got] > limit {
					t.Errorf("%d at a time", held[got])
				}
				mu.Unlock()
				time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
				mu.Lock()
				held[got]--
				mu.Unlock()
				v.mu.Lock()
				v.release(got)
				v.mu.Unlock()
			}
		})
	}
	time.Sleep(700 * time.Millisecond)
	stop()
	requests.Wait()
	changes.Wait()
	for _, pod := range pods {
		p.setReady(pod, true)
	}
	p.router.catchUp()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.waiting.Len() != 0 || served < 100 || len(v.ready) != len(pods) {
		t.Errorf("%d wait, %d were served, %d instances", v.waiting.Len(), served, len(v.ready))
	}
	for _, pod := range v.ready {
		if pod.inFlight != 0 {
			t.Errorf("an instance has %d requests that are over", pod.inFlight)
		}
	}
}

func FuzzHosts(f *testing.F) {
	for _, host := range []string{hello, "a.b.svc", "..svc", "[::1]:80", "a.b.127.0.0.1.sslip.io.", "A.B.localhost:1", ":", ".", "a:b:c"} {
		f.Add(host)
	}
	r := &Router{domain: hostname(domain)}
	f.Fuzz(func(t *testing.T, host string) {
		name, _ := r.hostKey(host)
		if name != "" && strings.Count(name, ".") != 1 || name != strings.ToLower(name) && isASCII(name) {
			t.Errorf("%q is read as %q", host, name)
		}
		r.lookup(host)
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > 127 })
}
