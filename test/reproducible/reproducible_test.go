//go:build e2e

// Package reproducible builds every template in many environments, as a user
// does: with the program, the language's own tools, a registry and a second user
// of the machine. It runs as root.
package reproducible

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/scaffold"
	"github.com/kn-lite/kn-lite/test/bases"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// stranger is the user id of somebody who owns nothing on this machine.
const stranger = 58231

// TestTemplates builds each template in 16 environments, with empty caches of
// kn-lite's own: one digest.
func TestTemplates(t *testing.T) {
	m := newMachine(t)
	for _, language := range scaffold.Languages() {
		for _, kind := range language.Kinds {
			t.Run(language.Name+"-"+kind, func(t *testing.T) {
				project := m.create(t, language.Name, kind)
				digests := map[string][]string{}
				sample := environments()
				if os.Getenv("SAMPLE") == "small" && language.Name != "go" || language.Name == "rust" && os.Getenv("FULL") != "1" {
					// Still both levels of every factor. Cargo has no cache but the folder that
					// kn-lite gives it, so each of these compiles all there is.
					sample = []environment{sample[1], sample[6], sample[8], sample[15]}
				}
				for n, e := range sample {
					digest := m.build(t, e, project, fmt.Sprintf("%s-%s-%d", language.Name, kind, n))
					digests[digest] = append(digests[digest], e.String())
				}
				if len(digests) != 1 {
					t.Errorf("%d digests, want one: %v", len(digests), digests)
				}
				for digest := range digests {
					t.Logf("%d environments: %s", len(sample), digest)
					golden(t, m, language.Name+"-"+kind, digest)
				}
			})
		}
	}
}

// TestSecondClone: what one user has built and pushed, another one with another
// clone neither builds nor pushes.
func TestSecondClone(t *testing.T) {
	m := newMachine(t)
	project := m.create(t, "go", "http")
	all := environments()
	first := m.build(t, all[0], project, "shared")
	sent := len(m.writes())
	if sent == 0 {
		t.Fatal("the first push wrote nothing: the test is broken")
	}
	at := all[15]
	at.user = true
	second, said := m.buildSaying(t, at, project, "shared")
	if second != first {
		t.Errorf("the second clone has %s, the first %s", second, first)
	}
	if writes := m.writes()[sent:]; len(writes) != 0 {
		t.Errorf("the second clone wrote to the registry: %v", writes)
	}
	for _, want := range []string{"unchanged", "nothing to push"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "layer for") {
		t.Errorf("it made a layer:\n%s", said)
	}
}

// machine is where all builds of a test run.
type machine struct {
	root     string // everyone may enter it
	program  string
	registry *regtest.Server
	address  string
	env      []string // of everybody
	path     string   // programs that the stranger may run too
	builds   int
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("only root can build as another user")
	}
	root, err := os.MkdirTemp("", "kn-lite-reproducible-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	m := &machine{root: root, registry: regtest.New(), program: filepath.Join(root, "kn-lite")}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("../../bin/kn-lite")
	if err != nil {
		t.Fatalf("%v; `make e2e RUN=reproducible` builds it", err)
	}
	if err := os.WriteFile(m.program, program, 0o755); err != nil {
		t.Fatal(err)
	}
	address, stop, err := regtest.Listen(m.registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	m.address = address
	if m.env, err = toolenv.Vars(); err != nil {
		t.Fatal(err)
	}
	m.path = m.commonPath(t)
	m.seed(t)
	return m
}

// seed puts the bases of the languages that need one into the registry.
func (m *machine) seed(t *testing.T) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range bases.Languages() {
		index, err := bases.Index(context.Background(), language, filepath.Join(cache, "kn-lite-bases"), "amd64")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.registry.Seed("base/"+language, "1", index); err != nil {
			t.Fatal(err)
		}
		m.env = append(m.env, fmt.Sprintf("KN_LITE_BASE_IMAGE_%s=%s/base/%s:1", strings.ToUpper(language), m.address, language))
	}
}

// commonPath is what of the PATH everybody may enter. A Go or a Rust that only
// its owner can reach is copied.
func (m *machine) commonPath(t *testing.T) string {
	t.Helper()
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if open(dir) {
			dirs = append(dirs, dir)
		}
	}
	for program, asked := range map[string][]string{"go": {"go", "env", "GOROOT"}, "cargo": {"rustc", "--print", "sysroot"}} {
		if slices.ContainsFunc(dirs, func(dir string) bool { return open(filepath.Join(dir, program)) }) {
			continue
		}
		out, err := exec.Command(asked[0], asked[1:]...).Output()
		if err != nil {
			t.Fatalf("%v: %v", asked, err)
		}
		from, to := strings.TrimSpace(string(out)), filepath.Join(m.root, program)
		parts := []string{from + "/."}
		if program == "cargo" {
			parts = []string{from + "/bin", from + "/lib"} // there is as much again of documentation
		}
		if err := os.Mkdir(to, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", slices.Concat([]string{"-a"}, parts, []string{to})...).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
		dirs = append([]string{filepath.Join(to, "bin")}, dirs...)
	}
	return strings.Join(dirs, string(os.PathListSeparator))
}

// open reports whether everybody may enter or run what path leads to.
func open(path string) bool {
	path, err := filepath.EvalSymlinks(path)
	for ; err == nil && path != "/"; path = filepath.Dir(path) {
		info, statErr := os.Stat(path)
		if statErr != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
	}
	return err == nil
}

// create makes a template's project, once.
func (m *machine) create(t *testing.T, language, kind string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hello")
	cmd := exec.Command(m.program, "func", "create", dir, "-l", language, "-t", kind)
	cmd.Env = toolenv.Home(t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	// The one thing in a new project that is not the template's.
	file := filepath.Join(dir, "func.yaml")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, created.ReplaceAll(raw, []byte("created: 2026-01-01T00:00:00Z")), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (m *machine) build(t *testing.T, e environment, project, repository string) string {
	t.Helper()
	digest, _ := m.buildSaying(t, e, project, repository)
	return digest
}

// buildSaying builds and pushes a copy of project the way e does, with a home of
// its own and so without anything that kn-lite has kept, and returns the image's
// digest and what was said. The toolchains' own caches are one for each user.
func (m *machine) buildSaying(t *testing.T, e environment, project, repository string) (digest, said string) {
	t.Helper()
	m.builds++
	place := filepath.Join(m.root, fmt.Sprint(m.builds))
	home := filepath.Join(place, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := e.place(t, project, place)
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`umask %03o; exec "$@"`, e.umask()), "sh", m.program, "build", "--push")
	cmd.Dir = dir
	cmd.Env = slices.Concat(m.env, toolenv.Home(home), []string{"PATH=" + m.path, "KN_LITE_REGISTRY=" + m.address + "/" + repository}, e.vars())
	if e.user {
		cmd.Env = append(cmd.Env, m.tools(t)...)
		give(t, stranger, place)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s in %s: %v\n%s", repository, e, err, stderr.String())
	}
	_, digest, ok := strings.Cut(strings.TrimSpace(stdout.String()), "@")
	if !ok {
		t.Fatalf("no digest in %q", stdout.String())
	}
	if err := os.RemoveAll(place); err != nil {
		t.Fatal(err)
	}
	return digest, stderr.String()
}

// tools are the caches of the stranger's toolchains.
func (m *machine) tools(t *testing.T) []string {
	t.Helper()
	caches := filepath.Join(m.root, "stranger")
	vars := []string{"TMPDIR=" + filepath.Join(caches, "tmp"), "MAVEN_OPTS=-Dmaven.repo.local=" + filepath.Join(caches, "maven"), "npm_config_userconfig=" + filepath.Join(caches, "npmrc")}
	for name, dir := range map[string]string{
		"GOCACHE": "go-build", "GOMODCACHE": "go-mod", "GOPATH": "go", "npm_config_cache": "npm", "PIP_CACHE_DIR": "pip", "CARGO_HOME": "cargo",
	} {
		vars = append(vars, name+"="+filepath.Join(caches, dir))
	}
	if _, err := os.Stat(caches); err == nil {
		return vars
	}
	if err := os.MkdirAll(filepath.Join(caches, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	settings := ""
	for _, entry := range m.env {
		if file, ok := strings.CutPrefix(entry, "npm_config_userconfig="); ok {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			settings = string(raw)
		}
	}
	if err := os.WriteFile(filepath.Join(caches, "npmrc"), []byte(settings), fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	give(t, stranger, caches)
	return vars
}

// writes are the requests that changed something in the registry.
func (m *machine) writes() []string {
	var out []string
	for _, line := range m.registry.Log() {
		if method, _, _ := strings.Cut(line, " "); method != "GET" && method != "HEAD" {
			out = append(out, line)
		}
	}
	return out
}
