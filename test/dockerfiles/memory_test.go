//go:build e2e

package dockerfiles

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// TestLargeContext builds half a GiB of sources with each builder, 1 GiB with FULL=1:
// they are streamed, so memory does not grow with them.
func TestLargeContext(t *testing.T) {
	const limit = 200 << 20
	files := 8
	if os.Getenv("FULL") == "1" {
		files = 16
	}
	kn, err := filepath.Abs("../../bin/kn-lite")
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := regtest.Listen(regtest.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	vars, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	env := append(append(vars, toolenv.Home(filepath.Join(work, "home"))...),
		"PATH="+os.Getenv("PATH"), "KN_LITE_REGISTRY="+address+"/me", "KN_LITE_BASE_IMAGE_NODE="+address+"/base/any:1")
	app, base := filepath.Join(work, "app"), filepath.Join(work, "base")
	for name, content := range map[string]string{
		"base/func.yaml": "specVersion: 0.36.0\nname: base\nruntime: go\n", "base/go.mod": "module base\n", "base/main.go": "package main\n\nfunc main() {}\n",
		"app/func.yaml": "specVersion: 0.36.0\nname: app\nruntime: node\n", "app/package.json": `{"scripts": {"start": "node index.js"}}`, "app/index.js": "",
		"app/Dockerfile": "FROM scratch\nCOPY . /app/\n",
	} {
		at := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, app, files, 64<<20)
	if said, err := run(env, kn, "build", base, "--image", address+"/base/any:1", "--push"); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, builder := range []string{"layers", "dockerfile"} {
		t.Run(builder, func(t *testing.T) {
			out := filepath.Join(work, builder)
			cmd := exec.Command(kn, "build", app, "--builder", builder, "--no-start-check", "-o", "oci:"+out)
			cmd.Env = env
			said := &strings.Builder{}
			cmd.Stderr = said
			started := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			var most int64
			for done := false; !done; {
				select {
				case err := <-ended:
					if done = true; err != nil {
						t.Fatalf("%v\n%s", err, said)
					}
				case <-time.After(10 * time.Millisecond):
					most = max(most, peak(cmd.Process.Pid))
				}
			}
			t.Logf("%d MiB in %v, at most %d MiB of memory", files*64, time.Since(started).Round(time.Second/10), most>>20)
			if most > limit {
				t.Errorf("%d MiB of memory, want at most %d", most>>20, limit>>20)
			}
			if most < 5<<20 {
				t.Errorf("%d bytes of memory: nothing was measured", most)
			}
			if got := size(t, out); got < int64(files)*64<<20 {
				t.Errorf("the image has %d bytes", got)
			}
			if err := os.RemoveAll(out); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// fill writes files that do not compress.
func fill(t *testing.T, dir string, files, bytes int) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{1})
	buffer := make([]byte, 1<<20)
	for n := range files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("data%d", n)))
		if err != nil {
			t.Fatal(err)
		}
		for range bytes / len(buffer) {
			if _, err = random.Read(buffer); err == nil {
				_, err = f.Write(buffer)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// peak is the most memory that a process and those below it have had. A process
// begins with none of its own at exec, unlike what getrusage says of it.
func peak(pid int) int64 {
	var total int64
	if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
		for line := range strings.SplitSeq(string(raw), "\n") {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
				kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
				total += kilobytes << 10
			}
		}
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		raw, _ := os.ReadFile(task) // it may be gone by now
		for child := range strings.FieldsSeq(string(raw)) {
			if id, err := strconv.Atoi(child); err == nil {
				total += peak(id)
			}
		}
	}
	return total
}

// size is how many bytes the files below dir have.
func size(t *testing.T, dir string) (total int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
