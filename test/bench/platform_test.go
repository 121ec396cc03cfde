//go:build bench

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	return kb << 10, processorTime(p.t, p.pid)
}

// processorTime is what a process has used since its start; none for process 0.
func processorTime(t *testing.T, pid int) (used time.Duration) {
	t.Helper()
	if pid == 0 {
		return 0
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// proc(5): utime and stime are fields 14 and 15; the name in field 2 may have blanks.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		used += time.Duration(n) * 10 * time.Millisecond
	}
	return used
}

// function makes a function of a template, and returns its folder.
func (p *platform) function(language string) string {
	p.t.Helper()
	p.knLite(p.dir, "func", "create", "hello-"+language, "-l", language)
	return filepath.Join(p.dir, "hello-"+language)
}

// image is that of a function in dir, which is deployed.
func (p *platform) image(dir string) string {
	p.t.Helper()
	return strings.TrimSpace(p.knLite(dir, "describe", "-o", "jsonpath={.revisions[0].image}"))
}

// awaitZero returns when the function in dir has no instance.
func (p *platform) awaitZero(dir string) {
	p.t.Helper()
	for range 240 {
		if out := p.knLite(dir, "describe", "-o", "jsonpath={.revisions[*].replicas}"); strings.Trim(out, " 0\n") == "" {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	p.t.Fatalf("%s has instances after a minute", dir)
}

// times are those of several runs.
type times []time.Duration

func (t times) String() string {
	slices.Sort(t)
	return fmt.Sprintf("median %v, fastest %v, slowest %v", round(t.median()), round(t[0]), round(t[len(t)-1]))
}

func (t times) median() time.Duration {
	slices.Sort(t)
	return t[len(t)/2]
}

// timed runs something several times.
func timed(n int, do func(run int)) times {
	var took times
	for run := range n {
		begin := time.Now()
		do(run)
		took = append(took, time.Since(begin))
	}
	return took
}
