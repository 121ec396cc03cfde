//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestLocalStart is from the command to a platform that serves, and from a deploy to
// the first answer.
func TestLocalStart(t *testing.T) {
	p := newPlatform(t)
	var starts times
	for range 7 {
		begin := time.Now()
		p.knLite(p.dir, "local", "up", "-d", "--port", "0", "--api-port", "0")
		starts = append(starts, time.Since(begin))
		p.knLite(p.dir, "local", "down")
	}
	t.Logf("local up -d: %v", starts)
	aim(t, "local up -d to ready", starts.median(), 200*time.Millisecond)

	p.up()
	dir := p.function("go")
	begin := time.Now()
	p.knLite(dir, "deploy")
	t.Logf("first deploy of a Go function: %v", round(time.Since(begin)))
	image := p.image(dir)
	took := timed(7, func(run int) {
		name := fmt.Sprintf("other-%d", run)
		p.knLite(p.dir, "deploy", "-s", name, "--image", image)
		p.answer(name)
	})
	t.Logf("deploy --image of another service to its first answer: %v", took)
	aim(t, "deploy --image to the first answer", took.median(), 600*time.Millisecond)
	t.Logf("deploy of an unchanged Go function: %v", timed(7, func(int) { p.knLite(dir, "deploy") }))
	t.Logf("deploy of a changed Go function to its first answer: %v", timed(5, func(run int) {
		want := changeGreeting(t, dir, run)
		p.knLite(dir, "deploy")
		if got := p.answer("hello-go"); !strings.Contains(got, want) {
			t.Fatalf("the first answer is %q", got)
		}
	}))
}

// changeGreeting changes what the Go template's function says.
func changeGreeting(t *testing.T, dir string, run int) (says string) {
	t.Helper()
	file := filepath.Join(dir, "handle.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	says = fmt.Sprintf("Changed%d", run)
	changed := regexp.MustCompile(`(Hello|Changed\d+)`).ReplaceAll(text, []byte(says))
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	return says
}

// TestLocalDeploys is 200 deploys in a row on one platform, each a revision of its own,
// of ten services in turn.
func TestLocalDeploys(t *testing.T) {
	p := newPlatform(t)
	p.up()
	dir := p.function("go")
	p.knLite(dir, "deploy")
	image := p.image(dir)
	deploys := 200
	took := timed(deploys, func(run int) {
		p.knLite(p.dir, "deploy", "-s", fmt.Sprintf("many-%d", run%10), "--image", image, "-e", fmt.Sprintf("RUN=%d", run))
	})
	var all time.Duration
	for _, d := range took {
		all += d
	}
	memory, used := p.resident()
	t.Logf("%d deploys: %v; the platform has used %v of a processor and %d MB since its start", deploys, took, round(used), memory>>20)
	aim(t, fmt.Sprintf("%d deploys in a row", deploys), all, time.Minute)
}

// TestLocalSplit is how soon a new split is what requests get: the first one after the
// command counts already.
func TestLocalSplit(t *testing.T) {
	p := newPlatform(t)
	p.up()
	dir := p.function("go")
	p.knLite(dir, "deploy")
	want := changeGreeting(t, dir, 1)
	p.knLite(dir, "deploy")
	if got := p.answer("hello-go"); !strings.Contains(got, want) {
		t.Fatalf("after the second deploy: %q", got)
	}
	old := 0
	took := timed(20, func(run int) {
		to, say := "v1=100", "Hello"
		if run%2 == 1 {
			to, say = "v2=100", want
		}
		p.knLite(dir, "traffic", "split", to)
		if got := p.answer("hello-go"); !strings.Contains(got, say) {
			old++
		}
	})
	t.Logf("traffic split to the first request: %v", took)
	aim(t, "requests after a new split that met the old one", float64(old), 0)
}
