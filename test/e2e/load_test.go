//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is what hey reports about one burst.
type load struct {
	Rate             float64 // requests a second
	Average, Slowest time.Duration
	Statuses         map[int]int
	Errors           string // the error distribution, empty when there is none
}

// parseHey reads hey's summary. Its csv output has no totals, so the text that
// people read is what there is.
func parseHey(text string) (load, error) {
	l := load{Statuses: map[int]int{}}
	figure := func(name string) (float64, error) {
		m := regexp.MustCompile(`(?m)^\s*` + name + `:\s+([0-9.]+)`).FindStringSubmatch(text)
		if m == nil {
			return 0, fmt.Errorf("hey's summary has no %q", name)
		}
		return strconv.ParseFloat(m[1], 64)
	}
	var err error
	if l.Rate, err = figure("Requests/sec"); err != nil {
		return l, err
	}
	for name, field := range map[string]*time.Duration{"Average": &l.Average, "Slowest": &l.Slowest} {
		seconds, err := figure(name)
		if err != nil {
			return l, err
		}
		*field = time.Duration(seconds * float64(time.Second))
	}
	for _, m := range regexp.MustCompile(`(?m)^\s*\[(\d+)\]\s+(\d+) responses`).FindAllStringSubmatch(text, -1) {
		status, _ := strconv.Atoi(m[1]) // the expression admits digits only
		count, _ := strconv.Atoi(m[2])
		l.Statuses[status] += count
	}
	if _, after, found := strings.Cut(text, "Error distribution:"); found {
		l.Errors = strings.TrimSpace(after)
	}
	return l, nil
}

// burst sends n requests over c connections through the ingress.
func (s *sandbox) burst(host string, n, c int) load {
	s.t.Helper()
	out := s.ok("hey", "-n", strconv.Itoa(n), "-c", strconv.Itoa(c), "-host", host, "http://"+s.Ingress+"/")
	l, err := parseHey(out)
	if err != nil {
		s.t.Fatalf("%v:\n%s", err, out)
	}
	if l.Statuses[200] != n || l.Errors != "" {
		s.t.Errorf("%s: %d of %d requests were answered with 200 (%v) %s", host, l.Statuses[200], n, l.Statuses, l.Errors)
	}
	return l
}

// podWatch counts a service's pods as the API server reports them, so that no
// short-lived one is missed.
type podWatch struct {
	mu      sync.Mutex
	exist   map[string]bool // going ones included
	live    map[string]bool // name → ready
	peak    int
	changed chan struct{} // closed and replaced at each change
	stop    func()
}

// watch starts `kubectl get --watch`, which ends with ctx, and returns what it prints.
func (s *sandbox) watch(ctx context.Context, args ...string) (*exec.Cmd, io.Reader) {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, s.program(s.t, "kubectl"), append([]string{"-n", s.Namespace, "get", "--watch"}, args...)...)
	cmd.Env = s.env
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, out
}

func (s *sandbox) watchPods(service string) *podWatch {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	cmd, out := s.watch(ctx, "pods", "-l", "serving.knative.dev/service="+service, "--output-watch-events", "-o", "json")
	w := &podWatch{exist: map[string]bool{}, live: map[string]bool{}, changed: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		events := json.NewDecoder(out)
		for {
			var e podEvent
			if events.Decode(&e) != nil {
				return // kubectl has ended: the test is over, or nothing will change any more
			}
			w.note(e)
		}
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed; how it ended says nothing
	})
	s.t.Cleanup(w.stop)
	return w
}

// podEvent is the part of a watch event that is looked at.
type podEvent struct {
	Type   string
	Object struct {
		Metadata struct{ Name, DeletionTimestamp string }
		Status   struct {
			Conditions []struct{ Type, Status string }
		}
	}
}

func (w *podWatch) note(e podEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := e.Object.Metadata.Name
	w.exist[name] = true
	// A pod that has been told to go gets no new work, though it goes on
	// answering for half a minute while its proxy drains.
	if e.Type == "DELETED" || e.Object.Metadata.DeletionTimestamp != "" {
		delete(w.live, name)
	} else {
		w.live[name] = false
		for _, c := range e.Object.Status.Conditions {
			w.live[name] = w.live[name] || c.Type == "Ready" && c.Status == "True"
		}
	}
	if e.Type == "DELETED" {
		delete(w.exist, name)
	}
	ready := 0
	for _, is := range w.live {
		if is {
			ready++
		}
	}
	w.peak = max(w.peak, ready)
	close(w.changed)
	w.changed = make(chan struct{})
}

// now is how many pods there are, ready or not, without those that are going.
func (w *podWatch) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.live)
}

// resetPeak starts a new measurement and returns the former peak of ready pods.
func (w *podWatch) resetPeak() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	peak := w.peak
	w.peak = 0
	for _, ready := range w.live {
		if ready {
			w.peak++
		}
	}
	return peak
}

// some waits for the first pod, since a watch is always a moment behind.
func (w *podWatch) some(t *testing.T, within time.Duration) {
	t.Helper()
	w.await(t, within, func() bool { return len(w.live) > 0 })
}

// zero waits until no pod is left but those that are going, and returns how
// long that took.
func (w *podWatch) zero(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	return w.await(t, within, func() bool { return len(w.live) == 0 })
}

// gone waits until those that were going are gone too: a request before that
// may still be answered by one of them, and would be no cold one.
func (w *podWatch) gone(t *testing.T, within time.Duration) {
	t.Helper()
	w.await(t, within, func() bool { return len(w.exist) == 0 })
}

func (w *podWatch) await(t *testing.T, within time.Duration, right func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	deadline := time.After(within)
	for {
		w.mu.Lock()
		done, live, exist, changed := right(), len(w.live), len(w.exist), w.changed
		w.mu.Unlock()
		if done {
			return time.Since(start)
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("after %s there are %d pods, %d of them not on their way out", within, exist, live)
		}
	}
}

func TestParseHey(t *testing.T) {
	got, err := parseHey(heySummary)
	if err != nil {
		t.Fatal(err)
	}
	if got.Rate != 877.3125 || got.Average != 221500*time.Microsecond || got.Slowest != 1134200*time.Microsecond {
		t.Errorf("figures: %+v", got)
	}
	if got.Statuses[200] != 9998 || got.Statuses[503] != 2 {
		t.Errorf("statuses: %v", got.Statuses)
	}
	if got.Errors == "" {
		t.Error("the error distribution was lost")
	}
	if _, err := parseHey("hey: could not connect"); err == nil {
		t.Error("a text without figures must be an error")
	}
}

const heySummary = `
Summary:
  Total:	11.3984 secs
  Slowest:	1.1342 secs
  Fastest:	0.0021 secs
  Average:	0.2215 secs
  Requests/sec:	877.3125

Status code distribution:
  [200]	9998 responses
  [503]	2 responses

Error distribution:
  [1]	Get "http://127.0.0.1/": EOF
`
