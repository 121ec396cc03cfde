//go:build linux

package script

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Of several that start the platform at once, one does, and all of them say where it
// is; so it goes after a kill, and while another one stops it.
func TestLocalUpAtOnce(t *testing.T) {
	r := newRunner(t)
	r.env = append(r.env, "KUBECONFIG="+filepath.Join(r.work, "kubeconfig"))
	t.Cleanup(func() { r.do(0, "", "local", "down", "--purge") })
	upAll := func() (address string) {
		t.Helper()
		const many = 5
		answers := make([]string, many)
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				var out, said bytes.Buffer
				cmd := r.command("", "local", "up", "-d", "--port", "0", "--api-port", "0")
				cmd.Stdout, cmd.Stderr = &out, &said
				if err := cmd.Run(); err != nil {
					t.Errorf("number %d: %v\n%s", i, err, said.String())
				}
				answers[i] = out.String()
			})
		}
		wg.Wait()
		for i, answer := range answers {
			if answer != answers[0] || !strings.HasPrefix(answer, "http://127.0.0.1:") {
				t.Errorf("number %d says %q, number 0 %q", i, answer, answers[0])
			}
		}
		if n := r.platforms(); n != 1 {
			t.Errorf("%d platforms run", n)
		}
		return answers[0]
	}
	first := upAll()
	if again := upAll(); again != first {
		t.Errorf("once more: %q, before %q", again, first)
	}
	pid, _ := r.do(0, "", "local", "status", "-o", "jsonpath={.pid}")
	r.kill(pid)
	if upAll() == first {
		t.Error("the address of the one that was killed")
	}
	// What stops it meanwhile waits for it, or it waits for the end of that one.
	var wg sync.WaitGroup
	for _, args := range [][]string{{"down"}, {"up", "-d", "--port", "0", "--api-port", "0"}, {"down"}, {"up", "-d", "--port", "0", "--api-port", "0"}} {
		wg.Go(func() {
			if out, err := r.command("", append([]string{"local"}, args...)...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		})
	}
	wg.Wait()
	r.do(0, "", "local", "down")
	if n := r.platforms(); n != 0 {
		t.Errorf("after down, %d platforms run", n)
	}
}

// platforms counts those in the runner's folder.
func (r *runner) platforms() int {
	r.t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		r.t.Fatal(err)
	}
	parents := map[string]string{} // of the processes that count, by number
	for _, file := range found {
		dir := filepath.Dir(file)
		if raw, err := os.ReadFile(file); err != nil || !bytes.Contains(raw, []byte(r.mark+"\x00")) {
			continue
		}
		if args, err := os.ReadFile(filepath.Join(dir, "cmdline")); err != nil || !bytes.Contains(args, []byte("local\x00up\x00--port")) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if _, fields, ok := strings.Cut(string(stat), ") "); err == nil && ok {
			parents[filepath.Base(dir)] = strings.Fields(fields)[1]
		}
	}
	count := 0
	for _, parent := range parents {
		// Between fork and exec a platform's child looks as the platform does.
		if _, child := parents[parent]; !child {
			count++
		}
	}
	return count
}

// kill ends a process, so that it can do nothing about it, and waits until it is gone.
func (r *runner) kill(pid string) {
	r.t.Helper()
	var number int
	if _, err := fmt.Sscan(pid, &number); err != nil {
		r.t.Fatal(err)
	}
	process, err := os.FindProcess(number)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	for range 500 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", number))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("process %s does not end", pid)
}
