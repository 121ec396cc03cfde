//go:build e2e

package stale

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// machine is what all builds share: the program, a registry, the tools.
type machine struct {
	root, program string
	registry      *regtest.Server
	address       string
	tools         []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	tools, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	// What is changed here, or would hide what is changed.
	tools = slices.DeleteFunc(tools, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "PIP_") || slices.Contains([]string{"GOFLAGS", "npm_config_userconfig", "MAVEN_OPTS", "MAVEN_ARGS", "CARGO_HOME"}, name)
	})
	m := &machine{root: t.TempDir(), registry: regtest.New(), tools: tools}
	m.program = filepath.Join(m.root, "kn-lite")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", m.program, "../../cmd/kn-lite").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address, stop, err := regtest.Listen(m.registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	m.address = address
	m.seedBase(t, "base", "one")
	return m
}

// seedBase puts a base image for two platforms into the registry; content makes
// it another one.
func (m *machine) seedBase(t *testing.T, name, content string) {
	t.Helper()
	var adds []mutate.IndexAddendum
	for _, architecture := range []string{"amd64", "arm64"} {
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: architecture, Config: v1.Config{
			Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHON_VERSION=3.11.4", "JAVA_VERSION=21.0.5"},
		}})
		if err == nil {
			var layer v1.Layer
			if layer, err = baseLayer(program(architecture) + content); err == nil {
				image, err = mutate.AppendLayers(image, layer)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		adds = append(adds, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	if err := m.registry.Seed(name, "1", mutate.AppendManifests(empty.Index, adds...)); err != nil {
		t.Fatal(err)
	}
}

// program is the head of one for Linux: what looks at images reads no further.
func program(architecture string) string {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	head[16], head[18], head[20], head[52], head[54] = 2, map[string]byte{"amd64": 62, "arm64": 183}[architecture], 1, 64, 56
	return string(head)
}

// baseLayer has what images are started with.
func baseLayer(content string) (v1.Layer, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range []string{"bin/sh", "usr/local/bin/node", "usr/local/bin/python3", "usr/local/bin/java", "usr/local/bin/env"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil })
}

// state is a project at one moment, and how it is built.
type state struct {
	*machine
	t        *testing.T
	language string
	top      string // folder with the project and what stands beside it
	home     string
	cache    string
	variable map[string]string
	flags    []string
	program  string
}

// newState lays out files, whose names are relative to the folder above the
// project's, which is called app.
func (m *machine) newState(t *testing.T, language string, files map[string]string) *state {
	t.Helper()
	s := &state{
		machine: m, t: t, language: language, top: t.TempDir(), home: t.TempDir(), cache: t.TempDir(), program: m.program,
		variable: map[string]string{"PATH": os.Getenv("PATH"), "CARGO_HOME": t.TempDir(), "MAVEN_OPTS": "-Dmaven.repo.local=" + repository(t)},
	}
	for name, text := range files {
		s.write(name, text)
	}
	s.write("app/func.yaml", "specVersion: 0.36.0\nname: app\nruntime: "+map[bool]string{true: "springboot", false: language}[language == "java"]+"\n")
	return s
}

// repository is this user's own of Maven, whose home is not that of the test.
func repository(t *testing.T) string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(home, ".m2", "repository")
}

func (s *state) dir() string { return filepath.Join(s.top, "app") }

func (s *state) write(name, text string) {
	s.t.Helper()
	at := name
	if !filepath.IsAbs(name) {
		at = filepath.Join(s.top, name)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// replace changes a file in place, and puts its time back, as a checkout by some
// tools does.
func (s *state) replace(name, old, new string) {
	s.t.Helper()
	at := filepath.Join(s.top, name)
	raw, err := os.ReadFile(at)
	if err != nil || !strings.Contains(string(raw), old) {
		s.t.Fatalf("%s has no %q: %v", name, old, err)
	}
	info, err := os.Stat(at)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name, strings.ReplaceAll(string(raw), old, new))
	if err := os.Chtimes(at, info.ModTime(), info.ModTime()); err != nil {
		s.t.Fatal(err)
	}
}

// build returns the image's digest, and whether it is that of an earlier build.
func (s *state) build(cache string, more ...string) (digest string, unchanged bool) {
	s.t.Helper()
	args := append([]string{"build", s.dir(), "-o", "oci:" + filepath.Join(s.t.TempDir(), "out"), "--image", s.address + "/me/" + s.language + ":1"}, s.flags...)
	if s.language != "go" && s.language != "rust" {
		s.variable["KN_LITE_BASE_IMAGE_"+strings.ToUpper(s.language)] = s.address + "/base:1"
	}
	cmd := exec.Command(s.program, append(args, more...)...)
	cmd.Dir = s.top
	cmd.Env = slices.Concat(s.tools, toolenv.Home(s.home), []string{"XDG_CACHE_HOME=" + cache})
	for _, name := range slices.Sorted(maps.Keys(s.variable)) {
		cmd.Env = append(cmd.Env, name+"="+s.variable[name])
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%v: %v\n%s", cmd.Args[1:], err, stderr.String())
	}
	_, digest, ok := strings.Cut(strings.TrimSpace(stdout.String()), "@")
	if !ok {
		s.t.Fatalf("no digest in %q", stdout.String())
	}
	return digest, strings.Contains(stderr.String(), "unchanged:")
}
