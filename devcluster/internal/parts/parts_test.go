package parts

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kn-lite/kn-lite/devcluster/internal/images"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func sources() map[string]string {
	return map[string]string{
		"go.mod": "module " + Module + "\n", "go.sum": "sum\n", "stubs/a/a.go": "package a\n",
		"cmd/x/main.go": "package main\n", "cmd/x/main_test.go": "package main\n", "cmd/y/main.go": "package main\n", "cmd/x/notes.md": "words\n",
	}
}

func TestKey(t *testing.T) {
	get := func(files map[string]string, more ...string) string {
		k, err := key(tree(t, files), []string{"cmd/x"}, more...)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := get(sources(), "flags")
	if got := get(sources(), "flags"); got != first {
		t.Errorf("same sources in another folder: %s, want %s", got, first)
	}
	for name, tt := range map[string]struct {
		file string
		same bool
	}{
		"comment":         {"go.mod", true},
		"sum":             {"go.sum", true},
		"stand-in":        {"stubs/a/a.go", false},
		"program":         {"cmd/x/main.go", false},
		"its test":        {"cmd/x/main_test.go", true},
		"its notes":       {"cmd/x/notes.md", true},
		"another program": {"cmd/y/main.go", true},
	} {
		t.Run(name, func(t *testing.T) {
			files := sources()
			files[tt.file] += "\n// changed\n"
			if got := get(files, "flags"); (got == first) != tt.same {
				t.Errorf("key %s after a change, first %s, want the same: %v", got, first, tt.same)
			}
		})
	}
	required := sources()
	required["go.mod"] += "require example.test/x v1.0.0\n"
	if got := get(required, "flags"); got == first {
		t.Error("another requirement, but the same key")
	}
	if got := get(sources(), "other flags"); got == first {
		t.Error("other flags, but the same key")
	}
	renamed := sources()
	renamed["cmd/x/other.go"] = renamed["cmd/x/main.go"]
	delete(renamed, "cmd/x/main.go")
	if get(renamed, "flags") == first {
		t.Error("a renamed file, but the same key")
	}
}

func TestSource(t *testing.T) {
	checkout := tree(t, map[string]string{"devcluster/go.mod": "module " + Module + "\n", "devcluster/cmd/a/a.go": "", "docs/x.md": ""})
	want := filepath.Join(checkout, "devcluster")
	for name, workdir := range map[string]string{
		"the module": want, "below it": filepath.Join(want, "cmd", "a"), "the checkout": checkout, "elsewhere in the checkout": filepath.Join(checkout, "docs"),
	} {
		if got, err := Source("", workdir); err != nil || got != want {
			t.Errorf("from %s: %s, %v, want %s", name, got, err, want)
		}
	}
	if _, err := Source(t.TempDir(), want); err == nil || !strings.Contains(err.Error(), SourceVariable) {
		t.Errorf("explicit folder without module: %v, want an error that names %s", err, SourceVariable)
	}
}

func TestFollowCountsPackagesAndKeepsComplaints(t *testing.T) {
	in := "k8s.io/api/core/v1\ngo: downloading a v1\ngithub.com/x/y\n# github.com/x/y\n./y.go:3:1: undefined: z\n"
	var done atomic.Int64
	got := follow(strings.NewReader(in), &done)
	if done.Load() != 2 {
		t.Errorf("%d packages, want 2", done.Load())
	}
	if diff := cmp.Diff([]string{"# github.com/x/y", "./y.go:3:1: undefined: z"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCompileErrorShowsTheCompilersWords(t *testing.T) {
	src := tree(t, map[string]string{
		"go.mod":      "module example.test/broken\n\ngo 1.26\n",
		"cmd/main.go": "package main\n\nfunc main() { undefinedName() }\n",
	})
	c := &compiler{source: src, log: io.Discard, now: time.Now, every: time.Hour}
	err := c.build(t.Context(), t.TempDir(), []string{"./cmd"})
	if err == nil || !strings.Contains(err.Error(), "undefined: undefinedName") {
		t.Errorf("error %v, want the compiler's words", err)
	}
}

func TestMakeMissingIsAllOrNothingAndSharedByCallers(t *testing.T) {
	src := tree(t, map[string]string{"go.mod": "module example.test/ok\n\ngo 1.26\n", "prog/main.go": "package main\n\nfunc main() {}\n"})
	cache := t.TempDir()
	var finished atomic.Int64
	fail := errors.New("no space")
	stageOf := func(err error) []stage {
		return []stage{{kind: "node", key: "k1", commands: []string{"./prog"}, finish: func(_ context.Context, programs, dir string) error {
			finished.Add(1)
			if _, statErr := os.Stat(filepath.Join(programs, "prog")); statErr != nil {
				return statErr
			}
			return errors.Join(err, os.WriteFile(filepath.Join(dir, "f"), nil, 0o644))
		}}}
	}
	c := &compiler{source: src, log: io.Discard, now: time.Now, every: time.Hour}
	if err := makeMissing(t.Context(), c, cache, stageOf(fail)); !errors.Is(err, fail) {
		t.Fatalf("error %v, want %v", err, fail)
	}
	left, _ := filepath.Glob(filepath.Join(cache, "*"))
	if diff := cmp.Diff([]string{filepath.Join(cache, "lock")}, left); diff != "" {
		t.Errorf("a failed stage left files: %s", diff)
	}
	finished.Store(0)
	errs := make(chan error, 2)
	for range 2 {
		go func() { errs <- makeMissing(t.Context(), c, cache, stageOf(nil)) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if finished.Load() != 1 {
		t.Errorf("made %d times by two callers, want once", finished.Load())
	}
}

func TestLockWaitsOnlyAsLongAsItsContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), file, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	var log bytes.Buffer
	if _, err := lock(ctx, file, &log); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline's", err)
	}
	if !strings.Contains(log.String(), "waiting") {
		t.Errorf("log %q does not say that it waits", log.String())
	}
}

func TestPruneKeepsCurrentAndLastUsed(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"current", "old", "older", "oldest"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(int64(1_000_000-i), 0)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(dir, "current"); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if diff := cmp.Diff([]string{filepath.Join(dir, "current"), filepath.Join(dir, "old"), filepath.Join(dir, "older")}, left); diff != "" {
		t.Error(diff)
	}
}

func TestPushGivesPullableDigests(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	bin := filepath.Join(t.TempDir(), "prog")
	if err := os.WriteFile(bin, []byte("binary"), 0o755); err != nil {
		t.Fatal(err)
	}
	img, err := images.Build(images.Program{Name: "prog", Binary: bin, OS: "linux", Arch: "amd64"})
	if err != nil {
		t.Fatal(err)
	}
	layout := filepath.Join(t.TempDir(), "layout")
	digest, err := images.Save(img, layout)
	if err != nil {
		t.Fatal(err)
	}
	set := Set{Images: []Image{{Name: "serving/prog", Layout: layout, Digest: digest}}}
	refs, err := Push(t.Context(), set, host)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"serving/prog": host + "/serving/prog@" + digest}, refs); diff != "" {
		t.Error(diff)
	}
	ref, err := name.ParseReference(refs["serving/prog"], name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Image(ref); err != nil {
		t.Errorf("pull what was pushed: %v", err)
	}
	server.Close()
	if _, err := Push(t.Context(), set, host); err == nil || !strings.Contains(err.Error(), host) {
		t.Errorf("registry gone: %v, want an error that names it", err)
	}
}
