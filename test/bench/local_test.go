//go:build bench

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

// platform is an embedded platform with folders of its own.
type platform struct {
	t      *testing.T
	env    []string
	dir    string
	client *http.Client
	pid    int
	port   string // of functions
}

// newPlatform makes the folders; up starts it.
func newPlatform(t *testing.T) *platform {
	t.Helper()
	dir := t.TempDir()
	tools, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, dir: dir, client: &http.Client{Timeout: time.Minute}}
	p.env = slices.Concat(tools, toolenv.Home(dir), []string{"PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + filepath.Join(dir, "kubeconfig"), "XDG_STATE_HOME=" + filepath.Join(dir, "state")})
	t.Cleanup(func() { p.knLite(dir, "local", "down", "--purge") })
	return p
}

func (p *platform) up() {
	p.t.Helper()
	p.knLite(p.dir, "local", "up", "-d", "--port", "0", "--api-port", "0")
	var status struct {
		PID int    `json:"pid"`
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(p.knLite(p.dir, "local", "status", "-o", "json")), &status); err != nil {
		p.t.Fatal(err)
	}
	u, err := url.Parse(status.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	p.pid, p.port = status.PID, u.Port()
}

func (p *platform) knLite(dir string, args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(p.t.Context()), program(p.t, "kn-lite"), args...)
	cmd.Dir, cmd.Env = dir, p.env
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("kn-lite %q: %v\n%s", args, err, said.String())
	}
	return string(out)
}

// answer is what a service says; it fails on anything but 200.
func (p *platform) answer(service string) string {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://127.0.0.1:"+p.port+"/", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Host = p.host(service)
	response, err := p.client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: status %d, %q, %v", service, response.StatusCode, body, err)
	}
	return string(body)
}

func (p *platform) host(service string) string {
	return service + ".default.127.0.0.1.sslip.io:" + p.port
}

// resident is the memory of the platform's process, and ticks the processor time that
// it has used, both as the kernel counts them.
func (p *platform) resident() (memory int64, used time.Duration) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		p.t.Fatal("no VmRSS")
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	// proc(5): utime and stime are fields 14 and 15; the name in field 2 may have blanks.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			p.t.Fatal(err)
		}
		used += time.Duration(n) * 10 * time.Millisecond
	}
	return kb << 10, used
}

// function makes a function of a template, and returns its folder.
func (p *platform) function(language string) string {
	p.t.Helper()
	p.knLite(p.dir, "func", "create", "hello-"+language, "-l", language)
	return filepath.Join(p.dir, "hello-"+language)
}

func middle(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

// TestLocalStart is from the command to a platform that serves, and from a deploy to
// the first answer.
func TestLocalStart(t *testing.T) {
	p := newPlatform(t)
	var starts []time.Duration
	for range 7 {
		begin := time.Now()
		p.up()
		starts = append(starts, time.Since(begin))
		p.knLite(p.dir, "local", "down")
	}
	t.Logf("local up -d and status: median %v, fastest %v", middle(starts).Round(time.Millisecond), starts[0].Round(time.Millisecond))

	p.up()
	dir := p.function("go")
	p.knLite(dir, "deploy")
	image := strings.TrimSpace(p.knLite(dir, "describe", "-o", "jsonpath={.revisions[0].image}"))
	timed := func(what string, n int, do func(run int)) {
		t.Helper()
		var took []time.Duration
		for run := range n {
			begin := time.Now()
			do(run)
			took = append(took, time.Since(begin))
		}
		t.Logf("%s: median %v, fastest %v", what, middle(took).Round(time.Millisecond), took[0].Round(time.Millisecond))
	}
	timed("deploy --image of another service to its first answer", 7, func(run int) {
		name := fmt.Sprintf("other-%d", run)
		p.knLite(p.dir, "deploy", "-s", name, "--image", image)
		p.answer(name)
	})
	timed("deploy of an unchanged Go function", 7, func(int) { p.knLite(dir, "deploy") })
	timed("deploy of a changed Go function to its first answer", 5, func(run int) {
		file := filepath.Join(dir, "handle.go")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`(Hello|Changed\d+)`).ReplaceAll(text, fmt.Appendf(nil, "Changed%d", run))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		p.knLite(dir, "deploy")
		if got := p.answer("hello-go"); !strings.Contains(got, fmt.Sprintf("Changed%d", run)) {
			t.Fatalf("the first answer is %q", got)
		}
	})
}

// TestLocalLoad is hey -n 10000 -c 200 on the same Go function: alone, behind the
// standard library's reverse proxy, and on the platform.
func TestLocalLoad(t *testing.T) {
	hey, err := exec.LookPath("hey")
	if err != nil {
		hey = program(t, "hey")
	}
	p := newPlatform(t)
	p.up()
	dir := p.function("go")
	p.knLite(dir, "deploy", "--scale-min", "1", "--scale-max", "1")

	bare := bareFunction(t, p, dir)
	target, err := url.Parse("http://" + bare)
	if err != nil {
		t.Fatal(err)
	}
	proxy := plainProxy(t, target)
	rate := func(address, host string) float64 {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), hey, "-n", "10000", "-c", "200", "-host", host, "http://"+address+"/").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !bytes.Contains(out, []byte("[200]\t10000 responses")) {
			t.Fatalf("not all answers are 200:\n%s", out)
		}
		m := regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`).FindSubmatch(out)
		value, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	rates := map[string][]float64{}
	rounds := 3
	if full() {
		rounds = 9
	}
	for range rounds {
		rates["alone"] = append(rates["alone"], rate(bare, "x"))
		rates["proxy"] = append(rates["proxy"], rate(proxy, "x"))
		rates["platform"] = append(rates["platform"], rate("127.0.0.1:"+p.port, p.host("hello-go")))
	}
	best := func(name string) float64 { return slices.Max(rates[name]) }
	for _, name := range []string{"alone", "proxy", "platform"} {
		t.Logf("%-9s %6.0f requests/s at best, all rounds: %.0f", name, best(name), rates[name])
	}
	ratio := best("platform") / best("proxy")
	t.Logf("platform / plain proxy = %.2f", ratio)
	if ratio < 0.95 {
		t.Errorf("the platform gives %.2f of what a plain proxy gives, want 0.95", ratio)
	}
}

// bareFunction starts the function's own program, taken from its image.
func bareFunction(t *testing.T, p *platform, dir string) (address string) {
	t.Helper()
	out := filepath.Join(p.dir, "bare")
	p.knLite(dir, "build", "--output", "oci:"+out)
	root := filepath.Join(p.dir, "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		t.Fatal(err)
	}
	layers, err := filepath.Glob(filepath.Join(out, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers { // manifests are no archives, and tar says so
		_ = exec.CommandContext(t.Context(), "tar", "-xzf", layer, "-C", root).Run()
	}
	var binary string
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, infoErr := d.Info(); infoErr == nil && info.Mode()&0o111 != 0 && info.Size() > 1<<20 {
				binary = path
			}
		}
		return err
	})
	if err != nil || binary == "" {
		t.Fatalf("no program in %v: %v", layers, err)
	}
	port := freePort(t)
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = []string{"PORT=" + port}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	address = "127.0.0.1:" + port
	waitFor(t, address)
	return address
}

// plainProxy is the standard library's, with as many kept connections as clients.
func plainProxy(t *testing.T, target *url.URL) (address string) {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 1000, MaxIdleConns: 1000, DisableCompression: true},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func waitFor(t *testing.T, address string) {
	t.Helper()
	for range 200 {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nothing answers at %s", address)
}

// TestLocalColdStart is one request to each language's template at zero.
func TestLocalColdStart(t *testing.T) {
	p := newPlatform(t)
	p.up()
	languages := []string{"go"}
	if full() { // whose bases come from docker.io
		languages = append(languages, "node", "python")
	}
	for _, language := range languages {
		dir := p.function(language)
		p.knLite(dir, "deploy", "--scale-window", "6s")
		var took []time.Duration
		for range 3 {
			for range 120 {
				if out := p.knLite(dir, "describe", "-o", "jsonpath={.revisions[*].replicas}"); strings.Trim(out, " 0\n") == "" {
					break
				}
				time.Sleep(250 * time.Millisecond)
			}
			begin := time.Now()
			p.answer("hello-" + language)
			took = append(took, time.Since(begin))
		}
		t.Logf("%s from zero: median %v, fastest %v", language, middle(took).Round(time.Millisecond), took[0].Round(time.Millisecond))
	}
}

// TestLocalMany is the weight of services that nobody asks: memory, processor time at
// rest, and how long they take to be ready and to be listed.
func TestLocalMany(t *testing.T) {
	p := newPlatform(t)
	p.up()
	dir := p.function("go")
	p.knLite(dir, "deploy")
	image := strings.TrimSpace(p.knLite(dir, "describe", "-o", "jsonpath={.revisions[0].image}"))
	kubectl := program(t, "kubectl")
	made := 0
	for _, n := range []int{0, 10, 100, 1000} {
		begin := time.Now()
		if n > made {
			cmd := exec.CommandContext(t.Context(), kubectl, "create", "-f", "-")
			cmd.Env, cmd.Stdin = p.env, strings.NewReader(manifests(made, n, image))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			made = n
			for range 600 {
				if strings.Count(p.knLite(p.dir, "list", "-o", `jsonpath={range .items[?(@.ready=="True")]}.{end}`), ".") > n {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		ready := time.Since(begin)
		begin = time.Now()
		p.knLite(p.dir, "list")
		listed := time.Since(begin)
		time.Sleep(3 * time.Second)
		_, before := p.resident()
		time.Sleep(10 * time.Second)
		memory, after := p.resident()
		t.Logf("%4d services at zero: ready after %v, listed in %v, %d MB, %.2f %% of a core at rest",
			n, ready.Round(time.Millisecond), listed.Round(time.Millisecond), memory>>20, float64(after-before)/float64(10*time.Second)*100)
	}
}

// manifests are services that begin at zero.
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
