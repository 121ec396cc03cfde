//go:build e2e

package e2e

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kn-lite/kn-lite/internal/registry"
)

// TestPlatforms builds projects whose dependencies have native code, for two
// architectures on a machine of one. The cluster runs one image of the index, a
// processor emulator the other: each says on what it runs, and uses the library
// that only fits there.
func TestPlatforms(t *testing.T) {
	t.Run("node", func(t *testing.T) {
		platforms(t, "kn_lite x64 1594872783", "kn_lite arm64 1594872783", map[string]string{
			"package.json": `{"private": true, "scripts": {"start": "node server.js"}, "dependencies": {"@node-rs/crc32": "^1.10.0"}}`,
			"server.js": `const { crc32 } = require('@node-rs/crc32');
const server = require('http').createServer((_, answer) => answer.end(['kn_lite', process.arch, crc32('kn-lite')].join(' ')));
server.listen(process.env.PORT || 8080);
process.once('SIGTERM', () => server.close());
`,
		})
	})
	t.Run("python", func(t *testing.T) {
		platforms(t, `x86_64 {"kn":"lite"}`, `aarch64 {"kn":"lite"}`, map[string]string{
			"requirements.txt": "flask\ngunicorn\norjson\n",
			"app.py": `import platform

import orjson
from flask import Flask

app = Flask(__name__)


@app.get('/')
def here():
    return f"{platform.machine()} {orjson.dumps({'kn': 'lite'}).decode()}"
`,
		})
	})
}

func platforms(t *testing.T, amd64, arm64 string, files map[string]string) {
	s := newSandbox(t)
	s.knLiteEnv = append(s.knLiteEnv, "KN_LITE_BASE_IMAGE_PYTHON="+os.Getenv("KN_LITE_E2E_PYTHON_BASE"))
	s.Dir = filepath.Join(s.Dir, "hello")
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, filepath.Join(s.Dir, name), text)
	}
	s.knLite(0, "func", "adopt")
	s.knLite(0, "deploy", "--platform", "linux/amd64,linux/arm64")
	s.answers(s.host("hello"), func(body string) bool { return body == amd64 })

	image := s.kubectl("-n", s.Namespace, "get", "ksvc", "hello", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	at := s.emulate(image)
	s.eventually(3*time.Minute, "the arm64 image answers", func() string {
		resp, err := http.Get("http://" + at)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != arm64 {
			return fmt.Sprintf("%d %q %v", resp.StatusCode, body, err)
		}
		return ""
	})
}

// emulate starts the arm64 image of an index in a folder of its own, and returns
// where it listens.
func (s *sandbox) emulate(ref string) string {
	s.t.Helper()
	qemu := os.Getenv("KN_LITE_E2E_QEMU_ARM64")
	if qemu == "" {
		s.t.Fatal("KN_LITE_E2E_QEMU_ARM64 is not set; run `make e2e`, or see test/e2e/README.md")
	}
	client, err := registry.New(registry.Options{Env: func(string) string { return "" }})
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	image, err := client.Pull(s.t.Context(), ref, v1.Platform{OS: "linux", Architecture: "arm64"})
	if err != nil {
		s.t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		s.t.Fatal(err)
	}
	root := s.t.TempDir()
	unpack(s.t, root, mutate.Extract(image))
	program, err := os.ReadFile(qemu)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "emulator"), program, 0o755); err != nil {
		s.t.Fatal(err)
	}
	port := freePort(s.t)
	argv := slices.Concat(config.Config.Entrypoint, config.Config.Cmd)
	argv[0] = inPath(s.t, root, argv[0], config.Config.Env)
	cmd := exec.Command("/emulator", argv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/" + strings.TrimPrefix(config.Config.WorkingDir, "/")
	cmd.Env = append(slices.Clone(config.Config.Env), fmt.Sprintf("PORT=%d", port))
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			s.t.Error(err)
		}
		// It was killed: that it says so is no news.
		_ = cmd.Wait()
		if s.t.Failed() {
			s.t.Logf("%v says\n%s", argv, log.String())
		}
	})
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// inPath is where a program of an image is, by the image's own PATH.
func inPath(t *testing.T, root, program string, env []string) string {
	t.Helper()
	if strings.HasPrefix(program, "/") {
		return program
	}
	for _, entry := range env {
		list, ok := strings.CutPrefix(entry, "PATH=")
		for dir := range strings.SplitSeq(list, ":") {
			if _, err := os.Stat(filepath.Join(root, dir, program)); ok && err == nil {
				return filepath.Join(dir, program)
			}
		}
	}
	t.Fatalf("%s is not on the image's PATH (%v)", program, env)
	return ""
}

// unpack writes a flattened image below root, by paths that cannot leave it.
func unpack(t *testing.T, root string, flat io.ReadCloser) {
	t.Helper()
	defer flat.Close()
	into, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	reader := tar.NewReader(flat)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = unpackOne(into, header, reader)
		}
		if err != nil {
			t.Fatalf("unpack: %v", err)
		}
	}
}

func unpackOne(into *os.Root, header *tar.Header, content io.Reader) error {
	name := strings.TrimSuffix(strings.TrimPrefix(header.Name, "/"), "/")
	if err := into.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return into.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		return into.Symlink(header.Linkname, name)
	case tar.TypeLink:
		return into.Link(strings.TrimPrefix(header.Linkname, "/"), name)
	}
	file, err := into.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fs.FileMode(header.Mode).Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
