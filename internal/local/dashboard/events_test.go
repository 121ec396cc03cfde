package dashboard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/kn-lite/kn-lite/internal/local/view"
)

type change struct {
	Instances int                                 `json:"instances"`
	Services  []view.Service                      `json:"services"`
	Removed   []string                            `json:"removed"`
	Requests  map[string]map[string]view.Requests `json:"requests"`
}

func TestEvents(t *testing.T) {
	b := newBench(t)
	b.deploy("hello", to("hello-v1", 100))
	b.deploy("other", to("other-v1", 100))
	events, _ := b.stream("/events")
	first := next(t, events, "state", func(view.State) bool { return true })
	if len(first.Services) != 2 || first.Services[0].Name != "hello" || first.Services[0].Revisions[0].Name == "" {
		t.Fatalf("%+v", first)
	}

	made := b.create(pod("hello-v1-a", "hello-v1"))
	up := next(t, events, "change", func(c change) bool { return c.Instances == 1 })
	if len(up.Services) != 1 || up.Services[0].Name != "hello" {
		t.Errorf("more than what has changed: %+v", up)
	}
	b.store.Remove(made)
	next(t, events, "change", func(c change) bool { return c.Instances == 0 && len(c.Services) == 1 })

	b.count("other-v1", view.Requests{Total: 7, Median: time.Millisecond})
	busy := next(t, events, "change", func(c change) bool { return len(c.Requests) > 0 })
	if len(busy.Services) != 0 || len(busy.Requests) != 1 || busy.Requests["default/other"]["other-v1"].Total != 7 {
		t.Errorf("%+v", busy)
	}
	next(t, events, "change", func(c change) bool { return len(c.Requests) == 0 })

	b.store.Remove(b.service("other"))
	gone := next(t, events, "change", func(c change) bool { return len(c.Removed) > 0 })
	if strings.Join(gone.Removed, " ") != "default/other" {
		t.Errorf("%+v", gone)
	}
	b.deploy("third", to("third-v1", 100))
	next(t, events, "change", func(c change) bool { return len(c.Services) == 1 && c.Services[0].Name == "third" })
}

// Nothing is worked out while nobody looks, and not twice when two do.
func TestNothingIsReadWithoutViewers(t *testing.T) {
	b := newBench(t)
	b.deploy("hello", to("hello-v1", 100))
	asked := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.asked
	}
	first, stopFirst := b.stream("/events")
	next(t, first, "state", func(view.State) bool { return true })
	second, stopSecond := b.stream("/events")
	next(t, second, "state", func(view.State) bool { return true })
	stopFirst()
	b.count("hello-v1", view.Requests{Total: 1})
	next(t, second, "change", func(c change) bool { return len(c.Requests) > 0 }) // goes on for the other
	stopSecond()
	deadline := time.Now().Add(10 * time.Second)
	for before := -1; before != asked(); time.Sleep(1500 * time.Millisecond) {
		if before = asked(); time.Now().After(deadline) {
			t.Fatal("figures are still read")
		}
	}
	again, _ := b.stream("/events")
	if state := next(t, again, "state", func(view.State) bool { return true }); state.Services[0].Revisions[1].Requests.Total != 1 {
		t.Errorf("%+v", state)
	}
}

// Thousands of changes are a few messages.
func TestManyChanges(t *testing.T) {
	b := newBench(t)
	b.deploy("hello", to("hello-v1", 100))
	events, _ := b.stream("/events")
	next(t, events, "state", func(view.State) bool { return true })
	svc := b.service("hello")
	for i := range 3000 {
		object := svc.DeepCopy()
		object.Annotations = map[string]string{"n": fmt.Sprint(i)}
		updated, err := b.store.Update(object)
		if err != nil {
			t.Fatal(err)
		}
		svc, _ = updated.(*servingv1.Service)
	}
	b.store.Remove(svc)
	messages := 0
	next(t, events, "change", func(c change) bool { messages++; return len(c.Removed) == 1 })
	if messages > 30 {
		t.Errorf("%d messages", messages)
	}
}

func TestState(t *testing.T) {
	b := newBench(t)
	if status, body, _ := b.ask("GET", "/state", "", bearer); status != 200 || !strings.Contains(body, `"services":[]`) {
		t.Errorf("%d %s", status, body)
	}
	b.deploy("hello", to("hello-v1", 100))
	if status, body, _ := b.ask("GET", "/state", "", bearer); status != 200 || !strings.Contains(body, `"name":"hello"`) {
		t.Errorf("%d %s", status, body)
	}
}

type line struct{ Pod, Container, Text string }

func TestLogs(t *testing.T) {
	b := newBench(t)
	b.deploy("hello", to("hello-v1", 100))
	b.create(pod("a", "hello-v1"))
	b.create(pod("b", "hello-v1"))
	b.create(pod("c", "hello-v2"))
	b.logs["a"] = "2026-11-26T10:00:02Z second\n2026-11-26T10:00:04Z <b>bold</b> \x1b[31mred\xff\n"
	b.logs["b"] = "2026-11-26T10:00:01Z first\n2026-11-26T10:00:03Z third\nno time, no end"
	b.logs["c"] = "of another revision\n"
	b.logs["d"] = "2026-11-26T10:00:05Z " + strings.Repeat("long", 5000) + "\n2026-11-26T10:00:06Z after\n"
	events, _ := b.stream("/logs?namespace=default&revision=hello-v1")
	var seen []line
	for len(seen) < 4 {
		seen = append(seen, next(t, events, "lines", func(l []line) bool { return len(l) > 0 })...)
	}
	var texts []string
	for _, l := range seen {
		texts = append(texts, l.Pod+" "+l.Text)
	}
	if got := strings.Join(texts, "|"); got != "b first|a second|b third|a <b>bold</b> \x1b[31mred\ufffd" {
		t.Errorf("%q", got)
	}
	// An instance that comes later is followed as well.
	b.create(pod("d", "hello-v1"))
	later := next(t, events, "lines", func(l []line) bool { return len(l) > 0 })
	if len(later) != 2 || len(later[0].Text) > 9000 || !strings.HasSuffix(later[0].Text, " …") || later[1].Text != "after" {
		t.Errorf("%d lines, %.80s", len(later), later)
	}
	one, _ := b.stream("/logs?namespace=default&revision=hello-v1&pod=a")
	if l := next(t, one, "lines", func(l []line) bool { return len(l) > 0 }); len(l) != 2 || l[0].Pod != "a" {
		t.Errorf("%+v", l)
	}
	if status, body, _ := b.ask("GET", "/logs?namespace=default", "", bearer); status != 400 {
		t.Errorf("%d %s", status, body)
	}
}
