//go:build e2e

package dockerfiles

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/bases"
	"github.com/kn-lite/kn-lite/test/buildkit"
)

// testCase is a Dockerfile with what it is built from.
type testCase struct {
	text    string            // BASE stands for a busybox, TOOLS for one with package managers
	args    map[string]string // --build-arg
	target  string
	secret  string            // the file that is the secret "s"
	links   map[string]string // of a context with these and a file "a"
	context *txtar.Archive    // nil: the folder that writeContext makes
	buildah bool              // Debian's buildah 1.28 understands it
	fails   string            // part of kn-lite's message: no builder is to build it
	differs string            // why the result is another than the references', as docs/guide/dockerfile.md says

	file, folder string
}

// prepare writes the Dockerfile, and the context if it has one of its own.
func (c *testCase) prepare(t *testing.T, s *suite, name string) {
	t.Helper()
	c.folder, c.file = s.folder, filepath.Join(s.work, name)
	text := strings.NewReplacer("BASE", s.base, "TOOLS", s.tools).Replace(c.text)
	err := os.WriteFile(c.file, []byte(text), 0o644)
	if c.context != nil {
		c.folder = c.file + ".context"
		for _, f := range c.context.Files {
			at, mode := filepath.Join(c.folder, filepath.FromSlash(f.Name)), os.FileMode(0o644)
			if strings.HasPrefix(string(f.Data), "#!") {
				mode = 0o755
			}
			err = errors.Join(err, os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, f.Data, mode))
		}
	}
	if c.links != nil {
		c.folder = c.file + ".context"
		err = errors.Join(err, os.MkdirAll(c.folder, 0o755), os.WriteFile(filepath.Join(c.folder, "a"), []byte("A\n"), 0o644))
		for name, target := range c.links {
			at := filepath.Join(c.folder, name)
			err = errors.Join(err, os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(target, at))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// secretFlags hand over the secret, for kn-lite and for buildctl.
func (c *testCase) secretFlags() []string {
	if c.secret == "" {
		return nil
	}
	return []string{"--secret", "id=s,src=" + filepath.Join(c.folder, c.secret)}
}

// suite is what all cases share.
type suite struct {
	kn, bin, work, folder, address string
	base, tools                    string

	mu    sync.Mutex
	spent map[string]time.Duration
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	s := &suite{bin: bin, kn: filepath.Join(bin, "kn-lite"), work: t.TempDir(), spent: map[string]time.Duration{}}
	if program := os.Getenv("KN_LITE_BIN"); program != "" {
		s.kn = program
	}
	if _, err := os.Stat(s.kn); err != nil {
		t.Fatalf("no kn-lite to test: run `make build` (%v)", err)
	}
	var stop func()
	if s.address, stop, err = regtest.Listen(regtest.New(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s.base, s.tools = s.address+"/busybox:1", s.address+"/tools:1"
	pushBases(t, s.base, s.tools)
	s.folder = filepath.Join(s.work, "context")
	writeContext(t, s.folder)
	return s
}

// pushBases pushes the busybox, and the one with stand-ins for package managers.
func pushBases(t *testing.T, busyboxRef, toolsRef string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	base, err := bases.Busybox(ctx, filepath.Join(cache, "kn-lite-test-bases"))
	if err == nil {
		err = bases.Push(ctx, base, busyboxRef)
	}
	if err == nil {
		base, err = tools(base)
	}
	if err == nil {
		err = bases.Push(ctx, base, toolsRef)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) took(builder string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent[builder] += d
}

func (s *suite) times() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s.spent)) {
		out = append(out, fmt.Sprintf("%s %v", name, s.spent[name].Round(time.Second/10)))
	}
	return strings.Join(out, ", ")
}

// ours builds c with kn-lite.
func (s *suite) ours(t *testing.T, c *testCase) (v1.Image, string, error) {
	t.Helper()
	out := c.file + ".kn-lite"
	args := []string{
		s.kn, "build", c.folder, "--builder", "dockerfile", "--no-start-check", "--file", c.file, "--image", s.address + "/ours:1", "-o", "oci:" + out,
	}
	for _, name := range slices.Sorted(maps.Keys(c.args)) {
		args = append(args, "--build-arg", name+"="+c.args[name])
	}
	if c.target != "" {
		args = append(args, "--target", c.target)
	}
	args = append(args, c.secretFlags()...)
	started := time.Now()
	said, err := run([]string{"HOME=" + filepath.Join(s.work, "home"), "XDG_CACHE_HOME="}, args...)
	s.took("kn-lite", time.Since(started))
	if err != nil {
		return nil, said, err
	}
	return open(t, out), said, nil
}

// buildkit starts a daemon for the length of the test.
func (s *suite) buildkit(t *testing.T) reference {
	t.Helper()
	daemon, err := buildkit.Start(context.Background(), s.bin, t.TempDir(), s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := daemon.Close(); err != nil {
			t.Error(err)
		}
	})
	return reference{name: "buildkit", build: func(c *testCase, file, out string) (string, error) {
		var options []string
		for name, value := range c.args {
			options = append(options, "build-arg:"+name+"="+value)
		}
		if c.target != "" {
			options = append(options, "target="+c.target)
		}
		// The front end is the daemon's own: others are images on Docker Hub.
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		file += ".plain"
		text = regexp.MustCompile(`(?m)^# *syntax *=.*$`).ReplaceAll(text, []byte("# any front end"))
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return "", err
		}
		return run(nil, append(daemon.Build(c.folder, file, "type=oci,tar=false,dest="+out, options...), c.secretFlags()...)...)
	}, trim: func(files map[string]string, config map[string]any) {
		// Made by runc where the base has none.
		for _, stub := range []string{"/dev", "/proc", "/sys"} {
			if files[stub] == plainFolder {
				delete(files, stub)
			}
		}
		// OCI's specification: for legacy compatibility, not to be used by new builders.
		delete(config, "ArgsEscaped")
	}}
}

// buildah is Debian's, with a storage of its own.
func (s *suite) buildah(t *testing.T) reference {
	t.Helper()
	program, err := exec.LookPath("buildah")
	if err != nil {
		t.Fatal("no buildah to compare with: apt-get install buildah")
	}
	storage := []string{program, "--storage-driver", "vfs", "--root", filepath.Join(s.work, "storage"), "--runroot", filepath.Join(s.work, "run")}
	build := func(c *testCase, file, out string) (string, error) {
		name := filepath.Base(file)
		args := append(slices.Clone(storage), "bud", "-q", "--isolation", "chroot", "--tls-verify=false", "--layers=false", "-f", file, "-t", name)
		said, err := run(nil, append(args, c.folder)...)
		if err != nil {
			return said, err
		}
		return run(nil, append(slices.Clone(storage), "push", "-q", name, "oci:"+out)...)
	}
	return reference{name: "buildah", build: build, trim: func(files map[string]string, config map[string]any) {
		// What each builder leaves to mount on is no difference worth a word.
		for _, stub := range []string{"/", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"} {
			delete(files, stub)
		}
		if labels, ok := config["Labels"].(map[string]any); ok {
			delete(labels, "io.buildah.version")
			if len(labels) == 0 {
				delete(config, "Labels")
			}
		}
		if config["WorkingDir"] == "/" {
			delete(config, "WorkingDir")
		}
		// The OCI configuration has no word for these, and buildah writes no others.
		for _, field := range []string{"Shell", "Healthcheck", "OnBuild", "ArgsEscaped"} {
			delete(config, field)
		}
	}}
}

func run(env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
