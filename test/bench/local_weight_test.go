//go:build bench

package bench

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestLocalColdStart is one request to each language's template at zero.
func TestLocalColdStart(t *testing.T) {
	p := newPlatform(t)
	registry := serveRegistry(t)
	p.up()
	pushed := map[string]bool{"": true}
	for _, c := range []struct {
		language, tool, base string
		aim                  time.Duration
	}{
		{"go", "go", "", 150 * time.Millisecond},
		{"node", "npm", "node", 0},
		{"typescript", "npm", "node", 0},
		{"python", "pip", "python", 0},
		{"java", "mvn", "java", 0},
		{"rust", "cargo", "", 0},
	} {
		if _, err := exec.LookPath(c.tool); err != nil {
			t.Logf("%s from zero: not measured, there is no %s", c.language, c.tool)
			continue
		}
		if !pushed[c.base] {
			pushed[c.base] = true
			p.env = append(p.env, "KN_LITE_BASE_IMAGE_"+strings.ToUpper(c.base)+"="+pushBase(t, registry, c.base))
		}
		dir := p.function(c.language)
		p.knLite(dir, "deploy", "--scale-window", "6s")
		var took times
		for range 5 {
			p.awaitZero(dir)
			begin := time.Now()
			p.answer("hello-" + c.language)
			took = append(took, time.Since(begin))
		}
		t.Logf("%s from zero: %v", c.language, took)
		if c.aim > 0 {
			aim(t, c.language+" from zero", took.median(), c.aim)
		}
	}
}

// TestLocalMany is the weight of services that nobody asks: memory, processor time at
// rest, and how long they take to be ready and to be listed.
func TestLocalMany(t *testing.T) {
	p := newPlatform(t)
	p.up()
	p.weigh(0, 40<<20)
	dir := p.function("go")
	p.knLite(dir, "deploy", "--scale-window", "6s")
	image := p.image(dir)
	p.awaitZero(dir)
	made := 0
	for _, step := range []struct {
		n       int
		memory  int64
		ready   time.Duration
		listing time.Duration
	}{{10, 45 << 20, 0, 0}, {100, 60 << 20, 0, 0}, {1000, 200 << 20, 20 * time.Second, 250 * time.Millisecond}} {
		begin := time.Now()
		p.createMany(made, step.n, image)
		made = step.n
		ready := time.Since(begin)
		listed := timed(3, func(int) { p.knLite(p.dir, "list") })
		t.Logf("%4d services at zero: ready after %v; kn-lite list: %v", step.n, round(ready), listed)
		p.weigh(step.n, step.memory)
		if step.ready > 0 {
			aim(t, fmt.Sprintf("%d services ready", step.n), ready, step.ready)
			aim(t, fmt.Sprintf("%d services listed", step.n), listed.median(), step.listing)
		}
	}
}

// weigh prints what a platform with n services takes that nobody asks for anything.
func (p *platform) weigh(n int, most int64) {
	p.t.Helper()
	time.Sleep(3 * time.Second)
	_, before := p.resident()
	time.Sleep(10 * time.Second)
	memory, after := p.resident()
	share := float64(after-before) / float64(10*time.Second) * 100
	aim(p.t, fmt.Sprintf("memory with %d services in MB", n), float64(memory)/(1<<20), float64(most)/(1<<20))
	aim(p.t, fmt.Sprintf("%% of a processor with %d services at rest", n), share, 1)
}

// createMany makes services that begin at zero, and waits until all are ready.
func (p *platform) createMany(from, to int, image string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), program(p.t, "kubectl"), "create", "-f", "-")
	cmd.Env, cmd.Stdin = p.env, strings.NewReader(manifests(from, to, image))
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	for range 1200 {
		// One more: the function whose image it is.
		if strings.Count(p.knLite(p.dir, "list", "-o", `jsonpath={range .items[?(@.ready=="True")]}.{end}`), ".") > to {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("not all of %d services are ready after more than a minute", to)
}

func manifests(from, to int, image string) string {
	var b strings.Builder
	for n := from; n < to; n++ {
		fmt.Fprintf(&b, `---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: many-%d, namespace: default}
spec:
  template:
    metadata: {annotations: {autoscaling.knative.dev/initial-scale: "0"}}
    spec: {containers: [{image: %q}]}
`, n, image)
	}
	return b.String()
}
