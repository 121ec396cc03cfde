//go:build e2e

package robust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// platform is an embedded platform that is killed again and again.
type platform struct {
	*place
	state string
	pid   int
	host  string // host:port of functions
}

// platformKills is how often.
func platformKills() int {
	if os.Getenv("FULL") != "" {
		return 100
	}
	return 5
}

// waits is how long a command goes on after the platform was killed under it.
const waits = "3s"

// run runs kn-lite as a user of the platform.
func (p *platform) run(args ...string) (code int, stdout, stderr string) {
	cmd := p.command(args...)
	cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+p.state, "KUBECONFIG="+filepath.Join(p.state, "kubeconfig"))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			p.t.Error(err)
		}
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String()), said.String()
}

func (p *platform) must(args ...string) string {
	p.t.Helper()
	code, stdout, stderr := p.run(args...)
	if code != 0 {
		p.t.Fatalf("kn-lite %q: exit %d\n%s", args, code, stderr)
	}
	return stdout
}

func (p *platform) up() {
	p.t.Helper()
	p.must("local", "up", "-d", "--port", "0", "--api-port", "0")
	var status struct {
		PID      int    `json:"pid"`
		Registry string `json:"registry"`
	}
	if err := json.Unmarshal([]byte(p.must("local", "status", "-o", "json")), &status); err != nil {
		p.t.Fatal(err)
	}
	p.pid, p.host = status.PID, status.Registry
}

// get asks a service; the error is what a client sees.
func (p *platform) get(service string) error {
	request, err := http.NewRequest(http.MethodGet, "http://"+p.host+"/", nil)
	if err != nil {
		return err
	}
	request.Host = service + ".default.localhost"
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return err
}

// strays are processes of the program under test, and mounts below its folders.
func (p *platform) strays() []string {
	p.t.Helper()
	var out []string
	entries, err := os.ReadDir("/proc")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		exe, err := os.Readlink("/proc/" + e.Name() + "/exe")
		if err != nil || strings.TrimSuffix(exe, " (deleted)") != p.program {
			continue
		}
		args, _ := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if !bytes.Contains(args, []byte("registry\x00serve")) { // the lab's own
			out = append(out, "process "+e.Name()+" "+string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, p.cache) || strings.Contains(line, p.state) {
			out = append(out, "mount "+strings.TrimSpace(line))
		}
	}
	return out
}

func (p *platform) noStrays() {
	p.t.Helper()
	var left []string
	for range 100 {
		if left = p.strays(); len(left) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Errorf("left behind: %q", left)
}

// TestPlatformKilled kills the platform under requests, deploys and splits, at random
// moments. What a client was told is there the next time: services, splits and images.
func TestPlatformKilled(t *testing.T) {
	l := newLab(t)
	place := l.newPlace(t, projects()[0])
	p := &platform{place: place, state: t.TempDir()}
	p.must("func", "create", "server", "-l", "go")
	ref := p.must("build", "server", "--push", "--image", l.address+"/server:latest")
	p.up()
	t.Cleanup(func() {
		p.must("local", "down", "--purge")
		p.noStrays()
	})
	p.must("deploy", "-s", "stable", "--image", ref)
	p.must("deploy", "-s", "stable", "--image", ref, "--env", "N=2")
	p.must("traffic", "split", "-s", "stable", "v1=50", "v2=50")

	told := map[string]bool{"stable": true} // services that were acknowledged
	split := []int{50}                      // v1's share: the last that was, and those in doubt since
	for round := range platformKills() {
		var work sync.WaitGroup
		var served atomic.Int64
		done := make(chan struct{})
		for range 4 {
			work.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if p.get("stable") == nil {
						served.Add(1)
					}
				}
			})
		}
		var mu sync.Mutex
		work.Go(func() {
			name := fmt.Sprintf("other-%d", round)
			if code, _, _ := p.run("deploy", "-s", name, "--image", ref, "--timeout", waits); code == 0 {
				mu.Lock()
				told[name] = true
				mu.Unlock()
			}
		})
		work.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				share := 1 + rand.IntN(98)
				mu.Lock()
				split = append(split, share)
				mu.Unlock()
				code, _, _ := p.run("traffic", "split", "-s", "stable", fmt.Sprintf("v1=%d", share), fmt.Sprintf("v2=%d", 100-share), "--timeout", waits)
				if code == 0 {
					mu.Lock()
					split = []int{share}
					mu.Unlock()
				}
			}
		})
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond)
		if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
			t.Fatalf("round %d: the platform had ended before: %v", round, err)
		}
		close(done)
		work.Wait()
		p.noStrays()
		p.up()
		p.agrees(told, split)
		t.Logf("round %d: %d requests served before it was killed; %d services, split %d of %d", round, served.Load(), len(told), split[0], len(split))
	}
}

// agrees checks that everything is there that a client was told.
func (p *platform) agrees(told map[string]bool, shares []int) {
	p.t.Helper()
	listed := map[string]bool{}
	for _, name := range strings.Fields(p.must("list", "-o", "jsonpath={.items[*].name}")) {
		listed[name] = true
	}
	for name := range told {
		if !listed[name] {
			p.t.Errorf("service %s was acknowledged and is gone", name)
		}
	}
	var got struct {
		Spec []struct {
			Revision string `json:"revision"`
			Percent  int    `json:"percent"`
		} `json:"spec"`
	}
	if err := json.Unmarshal([]byte(p.must("describe", "stable", "-o", "json")), &got); err != nil {
		p.t.Fatal(err)
	}
	sum, first := 0, 0
	for _, target := range got.Spec {
		sum += target.Percent
		if target.Revision == "stable-v1" {
			first = target.Percent
		}
	}
	known := false
	for _, share := range shares {
		known = known || share == first
	}
	if sum != 100 || !known {
		p.t.Errorf("the split is %+v; v1 was set to one of %v", got.Spec, shares)
	}
	var err error
	for range 40 {
		if err = p.get("stable"); err == nil {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	p.t.Errorf("stable does not answer any more: %v", err)
}
