//go:build unix

package build

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// TestMain runs the second builds of this package's tests.
func TestMain(m *testing.M) {
	code, ours := again(os.Args, os.Stdin, os.Stdout, func(name string) lang.Language {
		if what, ok := strings.CutPrefix(name, fickle{}.Name()); ok {
			return fickle{on: strings.TrimSpace(what)}
		}
		return nil
	})
	if ours {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// fickle is a language whose image depends on something that must not matter.
type fickle struct {
	on   string
	hear func(*lang.Project) // may be nil
}

func (f fickle) Name() string    { return strings.TrimSpace("fickle " + f.on) }
func (fickle) Detect(fs.FS) bool { return true }
func (fickle) Plan(context.Context, *lang.Project) (*lang.Plan, error) {
	return &lang.Plan{Base: lang.Base{BuiltIn: true}}, nil
}

func (fickle) Variables(*lang.Project) lang.Variables {
	return lang.Variables{Means: []string{"TZ", "LC_ALL", "GOMAXPROCS"}}
}

func (f fickle) Layers(_ context.Context, p *lang.Project, _ *lang.Plan, _ lang.Target) ([]lang.Layer, error) {
	return []lang.Layer{{Name: "application", Files: func(ctx context.Context) ([]layer.File, func() error, error) {
		text, err := f.text(ctx, p)
		return []layer.File{layer.Bytes("app/same", 0o644, []byte("same")), layer.Bytes("app/told", 0o644, []byte(text))}, nil, err
	}}}, nil
}

func (f fickle) text(ctx context.Context, p *lang.Project) (string, error) {
	if f.hear != nil {
		f.hear(p)
	}
	switch f.on {
	case "folder":
		return p.Dir, nil
	case "time zone":
		return lang.Lookup(p.Environ, "TZ"), nil
	case "locale":
		return lang.Lookup(p.Environ, "LC_ALL"), nil
	case "temp folder":
		return lang.Lookup(p.Environ, "TMPDIR"), nil
	case "tools' CPUs":
		return lang.Lookup(p.Environ, "GOMAXPROCS"), nil
	case "own CPUs":
		return strconv.Itoa(runtime.GOMAXPROCS(0)), nil
	case "file time":
		info, err := os.Stat(filepath.Join(p.Dir, "index.js"))
		if err != nil {
			return "", err
		}
		return info.ModTime().String(), nil
	case "umask":
		dir, err := os.MkdirTemp("", "fickle-")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(dir)
		at := filepath.Join(dir, "made")
		if err := os.WriteFile(at, nil, 0o666); err != nil {
			return "", err
		}
		info, err := os.Stat(at)
		if err != nil {
			return "", err
		}
		return info.Mode().String(), nil
	case "nothing, but waits":
		return "", waitAgain(ctx)
	case "a second build that fails":
		if os.Getenv(envAgain) != "" {
			return "", fault.New(fault.Build, "fickle.build", "index.js:7", "no such word").WithHint("learn it")
		}
	case "a second build that panics":
		if os.Getenv(envAgain) != "" {
			panic("oh")
		}
	case "a second build that dies":
		if os.Getenv(envAgain) != "" {
			os.Stderr.WriteString("out of luck")
			os.Exit(9)
		}
	}
	return "", nil
}

// waitAgain keeps a second build waiting until the file go-on is in a folder that the
// environment names. Its process is in the file started.
func waitAgain(ctx context.Context) error {
	if os.Getenv(envAgain) == "" {
		return nil
	}
	dir := os.Getenv("VERIFY_TEST")
	if err := os.WriteFile(filepath.Join(dir, "started"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go-on")); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// awaitAgain waits until a second build waits, and returns its process.
func awaitAgain(t *testing.T, dir string) int {
	t.Helper()
	for range 2000 {
		raw, err := os.ReadFile(filepath.Join(dir, "started"))
		if pid, atoiErr := strconv.Atoi(string(raw)); err == nil && atoiErr == nil {
			return pid
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("there is no second build")
	return 0
}

func TestVerifyRealProjects(t *testing.T) {
	needGo(t)
	top := t.TempDir()
	put(t, top, "fn/go.mod", "module function\n\ngo 1.21\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n")
	put(t, top, "fn/main.go", "package main\n\nimport \"example.com/lib\"\n\nfunc main() { println(lib.Word) }\n")
	put(t, top, "lib/go.mod", "module example.com/lib\n\ngo 1.21\n")
	put(t, top, "shared.go", "package lib\n\nconst Word = \"hello\"\n")
	if err := os.Symlink("../shared.go", filepath.Join(top, "lib/shared.go")); err != nil {
		t.Fatal(err)
	}
	umask := syscall.Umask(0o022)
	syscall.Umask(umask)
	for name, dir := range map[string]string{"go": filepath.Join(top, "fn"), "node": nodeProject(t)} {
		s := keyedSpec(t, dir)
		s.Platforms = []v1.Platform{amd64(), {OS: "linux", Architecture: "arm64"}}
		verified, release, err := Verify(context.Background(), s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if plain := build(t, s); plain.Digest != verified.Digest {
			t.Errorf("%s: verified %s, built %s", name, verified.Digest, plain.Digest)
		}
		layers, err := verified.Builds[0].Image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		content, err := layers[len(layers)-1].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, content); n == 0 || err != nil {
			t.Errorf("%s: the layer cannot be read: %v", name, err)
		}
		if err := content.Close(); err != nil {
			t.Error(err)
		}
		if err := release(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(filepath.Join(s.CacheDir, verifyFolder)); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if now := syscall.Umask(umask); now != umask {
		t.Errorf("the umask is %o, and was %o", now, umask)
	}
}

func TestVerifyNamesTheDifference(t *testing.T) {
	dir := nodeProject(t)
	for _, on := range []string{"folder", "time zone", "locale", "temp folder", "tools' CPUs", "own CPUs", "file time", "umask"} {
		s := keyedSpec(t, dir)
		s.language = fickle{on: on}
		_, _, err := Verify(context.Background(), s)
		if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "first in /app/told (content") {
			t.Errorf("%s: %v", on, err)
		}
		if hint := fault.HintOf(err); !strings.HasSuffix(hint, "\n/app/told") {
			t.Errorf("%s: hint %q", on, hint)
		}
	}
}

func TestVerifyReportsTheSecondBuild(t *testing.T) {
	for on, want := range map[string]string{
		"a second build that fails":  "it builds here, and a copy in another folder does not: index.js:7: no such word",
		"a second build that panics": "oh",
		"a second build that dies":   "the second build did not end well",
	} {
		s := keyedSpec(t, nodeProject(t))
		s.language = fickle{on: on}
		_, _, err := Verify(context.Background(), s)
		if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", on, err)
		}
		if hint := fault.HintOf(err); on == "a second build that fails" && hint != "learn it" || on == "a second build that dies" && hint != "out of luck" {
			t.Errorf("%s: hint %q", on, hint)
		}
		if left, _ := os.ReadDir(filepath.Join(s.CacheDir, verifyFolder)); len(left) > 0 {
			t.Errorf("%s: left %v", on, left)
		}
	}
	// A program that does not know that it is a second build starts no third one.
	s := keyedSpec(t, nodeProject(t))
	s.language, s.Environ = fickle{on: ""}, append(s.Environ, envAgain+"=1")
	if _, _, err := Verify(context.Background(), s); err == nil || !strings.Contains(err.Error(), "second build of another one") {
		t.Errorf("in a second build: %v", err)
	}
}

// While a build is verified, others of the same process go on as if it were not.
func TestVerifyBesideOtherBuilds(t *testing.T) {
	signals, dir := t.TempDir(), nodeProject(t)
	other := keyedSpec(t, dir)
	other.language = fickle{on: "umask"}
	before := build(t, other)
	cpus := runtime.GOMAXPROCS(0)

	s := keyedSpec(t, dir)
	s.language, s.Environ = fickle{on: "nothing, but waits"}, append(s.Environ, "VERIFY_TEST="+signals)
	verified := make(chan error, 1)
	go func() {
		_, release, err := Verify(context.Background(), s)
		if err == nil {
			err = release()
		}
		verified <- err
	}()
	if pid := awaitAgain(t, signals); pid == os.Getpid() {
		t.Error("the second build is no process of its own")
	}
	other.CacheDir = t.TempDir()
	if now := build(t, other); now.Digest != before.Digest {
		t.Errorf("a build beside it gave %s, and %s before", now.Digest, before.Digest)
	}
	if now := runtime.GOMAXPROCS(0); now != cpus {
		t.Errorf("there are %d CPUs, and there were %d", now, cpus)
	}
	if err := os.WriteFile(filepath.Join(signals, "go-on"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-verified; err != nil {
		t.Error(err)
	}
}

// Whoever gives up gets rid of the second build too.
func TestVerifyIsCancelled(t *testing.T) {
	signals := t.TempDir()
	s := keyedSpec(t, nodeProject(t))
	s.language, s.Environ = fickle{on: "nothing, but waits"}, append(s.Environ, "VERIFY_TEST="+signals)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	verified := make(chan error, 1)
	go func() {
		_, _, err := Verify(ctx, s)
		verified <- err
	}()
	pid := awaitAgain(t, signals)
	cancel()
	if err := <-verified; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v", pid, err)
	}
	if left, _ := os.ReadDir(filepath.Join(s.CacheDir, verifyFolder)); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
