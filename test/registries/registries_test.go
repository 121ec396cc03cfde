//go:build e2e

// Package registries holds kn-lite against programs that others wrote: Debian's
// docker-registry gets what it pushes, skopeo and umoci read, check and unpack
// it. It runs as root, since umoci gives files their owners.
package registries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/test/toolenv"
)

// startRegistry runs docker-registry on a free port, with a configuration and a
// folder of its own, until the test ends.
func startRegistry(t *testing.T) (address string) {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Fatalf("%v; `make e2e RUN=registries` installs it", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n", filepath.Join(dir, "data"), address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.Command(program, "serve", config)
	cmd.Env = []string{"OTEL_TRACES_EXPORTER=none"}
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err == nil {
			<-ended // killed on purpose
		}
	})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("docker-registry ended: %v\n%s", err, said.String())
		default:
		}
		if resp, err := http.Get("http://" + address + "/v2/"); err == nil {
			_ = resp.Body.Close()
			return address
		}
	}
	t.Fatal("docker-registry did not start")
	return ""
}

// desk is where programs run: a folder, and an environment without the user's
// own settings.
type desk struct {
	dir string
	env []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	program, err := filepath.Abs("../../bin/kn-lite")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v; `make e2e RUN=registries` builds it", err)
	}
	vars, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{dir: t.TempDir()}
	d.env = append(append(vars, toolenv.Home(filepath.Join(d.dir, "home"))...),
		"PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"), "TMPDIR="+t.TempDir())
	return d
}

// run gives back what a program wrote to stdout; it must succeed.
func (d *desk) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	// The first build of a project downloads its modules.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	path := program
	for _, entry := range d.env {
		if list, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = lookPath(list, program)
		}
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

func lookPath(list, program string) string {
	for _, dir := range filepath.SplitList(list) {
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path
		}
	}
	return program
}

// write makes files below the desk.
func (d *desk) write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, content := range files {
		at := filepath.Join(d.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}
