//go:build bench

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
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
	"sync/atomic"
	"testing"
	"time"
)

// seedRate is what the proof of concept gave on a cluster, in requests per second.
const seedRate = 696.5

// TestLocalLoad is hey -n 10000 -c 200 on the same Go function: alone, behind the
// standard library's reverse proxy, on the platform, and on a devcluster that is up
// (DEVCLUSTER=name).
func TestLocalLoad(t *testing.T) {
	p := newPlatform(t)
	p.up()
	dir := p.function("go")
	p.knLite(dir, "deploy", "--scale-min", "1", "--scale-max", "1")

	bare, program := bareFunction(t, p, dir)
	target, err := url.Parse("http://" + bare)
	if err != nil {
		t.Fatal(err)
	}
	instance := descendant(t, p.pid, "/app/function")
	places := []*place{
		{name: "alone", address: bare, host: "x", function: program},
		{name: "plain proxy", address: plainProxy(t, target), host: "x", router: os.Getpid(), function: program},
		{name: "platform", address: "127.0.0.1:" + p.port, host: p.host("hello-go"), router: p.pid, function: instance},
	}
	if name := os.Getenv("DEVCLUSTER"); name != "" {
		places = append(places, devcluster(t, p, dir, name))
	}
	rounds := 5
	if full() {
		rounds = 15
	}
	for range rounds {
		for _, at := range places {
			at.load(t, "-n", "10000")
		}
	}
	for _, at := range places {
		t.Logf("%-11s %6.0f requests/s at best, all rounds: %.0f; processor time for each: hey %v, router %v, function %v",
			at.name, slices.Max(at.rates), at.rates, middle(at.hey), middle(at.routing), middle(at.serving))
	}
	proxy, platform := slices.Max(places[1].rates), slices.Max(places[2].rates)
	t.Logf("platform / plain proxy = %.2f, round by round %.2f", platform/proxy, ratios(places[2].rates, places[1].rates))
	aim(t, "plain proxy / platform", proxy/platform, 1/0.95)
	// What a busy machine leaves as it is.
	aim(t, "processor time for each request, platform / plain proxy", float64(places[2].cost())/float64(places[1].cost()), 1/0.95)
	aim(t, "the proof of concept's requests/s / platform's", seedRate/platform, 1)
}

// TestLocalLoadFromZero is ten seconds of it on a function that has no instance, and
// may have ten of 20 requests at a time.
func TestLocalLoadFromZero(t *testing.T) {
	p := newPlatform(t)
	p.up()
	dir := p.function("go")
	p.knLite(dir, "deploy", "--scale-window", "6s", "--scale-target", "20", "--scale-max", "10")
	at := &place{name: "platform", address: "127.0.0.1:" + p.port, host: p.host("hello-go"), router: p.pid}
	p.awaitZero(dir)
	knLite := program(t, "kn-lite")
	var most atomic.Int64
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			cmd := exec.CommandContext(t.Context(), knLite, "describe", "-o", "jsonpath={.revisions[0].replicas}")
			cmd.Dir, cmd.Env = dir, p.env
			out, err := cmd.Output()
			if n, numberErr := strconv.Atoi(strings.TrimSpace(string(out))); err == nil && numberErr == nil {
				most.Store(max(most.Load(), int64(n)))
			}
			select {
			case <-over:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	at.load(t, "-z", "10s")
	close(over)
	<-watched
	t.Logf("from zero: %.0f requests/s, all answers 200, up to %d instances", at.rates[0], most.Load())
	aim(t, "the proof of concept's requests/s / platform's from zero", seedRate/at.rates[0], 1)
}

// place is where hey sends requests.
type place struct {
	name, address, host string
	router, function    int // processes; 0 is none, or not of this machine
	rates               []float64
	// Processor time for each request, by round.
	hey, routing, serving []time.Duration
}

// load runs hey with 200 clients.
func (at *place) load(t *testing.T, much ...string) {
	t.Helper()
	hey, err := exec.LookPath("hey")
	if err != nil {
		hey = program(t, "hey")
	}
	routing, serving := processorTime(t, at.router), processorTime(t, at.function)
	cmd := exec.CommandContext(t.Context(), hey, append(much, "-c", "200", "-host", at.host, "http://"+at.address+"/")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rate := regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`).FindSubmatch(out)
	answers := regexp.MustCompile(`\[(\d+)\]\t(\d+) responses`).FindAllSubmatch(out, -1)
	if rate == nil || len(answers) != 1 || string(answers[0][1]) != "200" || bytes.Contains(out, []byte("Error distribution")) {
		t.Fatalf("%s: not all answers are 200:\n%s", at.name, out)
	}
	value, err := strconv.ParseFloat(string(rate[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(answers[0][2]))
	if err != nil {
		t.Fatal(err)
	}
	each := func(used time.Duration) time.Duration { return used / time.Duration(n) }
	at.rates = append(at.rates, value)
	at.hey = append(at.hey, each(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()))
	at.routing = append(at.routing, each(processorTime(t, at.router)-routing))
	at.serving = append(at.serving, each(processorTime(t, at.function)-serving))
}

// cost is the processor time of a request in all processes.
func (at *place) cost() time.Duration {
	return middle(at.hey) + middle(at.routing) + middle(at.serving)
}

func middle(of []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(of))[len(of)/2].Round(100 * time.Nanosecond)
}

// descendant returns the process with these arguments that another one, or one that
// it has started, has started.
func descendant(t *testing.T, ancestor int, arguments string) int {
	t.Helper()
	parents := map[int]int{}
	var named []int
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, parent := 0, 0
		status, err := os.ReadFile(entry + "/status")
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(status), "PPid:")
		if _, err := fmt.Sscan(after, &parent); err != nil {
			continue
		}
		_, _ = fmt.Sscan(filepath.Base(entry), &pid)
		parents[pid] = parent
		if raw, err := os.ReadFile(entry + "/cmdline"); err == nil && strings.TrimRight(string(raw), "\x00") == arguments {
			named = append(named, pid)
		}
	}
	for _, pid := range named {
		for at := parents[pid]; at > 1; at = parents[at] {
			if at == ancestor {
				return pid
			}
		}
	}
	t.Fatalf("process %d has not started %q", ancestor, arguments)
	return 0
}

func ratios(of, to []float64) (out []float64) {
	for n := range of {
		out = append(out, of[n]/to[n])
	}
	return out
}

// devcluster deploys the same function on a devcluster that is up.
func devcluster(t *testing.T, p *platform, dir, name string) *place {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t, "devcluster"), "--name", name, "status", "-o", "json").Output()
	if err != nil {
		t.Fatalf("devcluster %s: %v", name, err)
	}
	var status struct{ Kubeconfig, Registry, Ingress string }
	if err := json.Unmarshal(out, &status); err != nil {
		t.Fatal(err)
	}
	there := *p
	there.env = append(slices.Clone(p.env), "KUBECONFIG="+status.Kubeconfig, "KN_LITE_REGISTRY="+status.Registry+"/bench")
	address := strings.TrimSpace(there.knLite(dir, "deploy", "-s", "bench-load", "--scale-min", "1", "--scale-max", "1"))
	t.Cleanup(func() { there.knLite(dir, "delete", "bench-load") })
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &place{name: "devcluster", address: strings.TrimPrefix(status.Ingress, "http://"), host: u.Host}
}

// bareFunction starts the function's own program, taken from its image.
func bareFunction(t *testing.T, p *platform, dir string) (address string, pid int) {
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
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
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
	return address, cmd.Process.Pid
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
