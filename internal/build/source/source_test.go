package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

func everything(string, bool) (out, prune bool) { return false, false }

// tree makes files from "path" or "path -> target" or "path/" and opens them.
func tree(t *testing.T, entries ...string) *Tree {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "fn")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "secret"), []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name, target, link := strings.Cut(entry, " -> ")
		at := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		switch {
		case err != nil:
		case link:
			err = os.Symlink(target, at)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(at, 0o755)
		default:
			err = os.WriteFile(at, []byte(name), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	opened, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

func paths(files []layer.File) []string {
	var out []string
	for _, f := range files {
		text := f.Path
		if f.Link != "" {
			text += " -> " + f.Link
		}
		out = append(out, text)
	}
	return out
}

func TestWalk(t *testing.T) {
	at := tree(t, "b.js", "a/x.js", "a/up -> ../b.js", "empty/", "dangling -> nowhere", "loopdir/self -> .")
	files, err := at.Walk(context.Background(), "app", everything, func(s string) { t.Error(s) })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"app/a", "app/a/up -> ../b.js", "app/a/x.js", "app/b.js", "app/dangling -> nowhere", "app/empty", "app/loopdir", "app/loopdir/self -> ."}
	if diff := cmp.Diff(want, paths(files)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, f := range files {
		if f.Mode.IsRegular() && f.Mode != 0o644 {
			t.Errorf("%s has mode %v though its folder's umask does not count", f.Path, f.Mode)
		}
	}
}

func TestExecutableBitIsKept(t *testing.T) {
	at := tree(t, "run")
	if err := os.Chmod(filepath.Join(at.Dir(), "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	files, err := at.Walk(context.Background(), "", everything, func(string) {})
	if err != nil || len(files) != 1 || files[0].Mode != 0o755 {
		t.Errorf("files = %v, %v", files, err)
	}
}

func TestLinksThatLeaveAreRefused(t *testing.T) {
	for _, entries := range [][]string{
		{"x -> /etc/passwd"},
		{"x -> ../secret"},
		{"a/x -> ../../secret"},
		{"x -> ../fn/../secret"},
		{"x -> .."},
		{"x -> ../nowhere"},
		{"x -> a/../../secret", "a/"},
		{"sub/up -> ..", "sub/x -> up/../../secret"},    // two hops
		{"y/z/up -> ../..", "y/x -> z/up/../../secret"}, // two hops, deeper
		{"a/b -> ../..", "x -> a/b/secret"},
		{"x -> x"}, // a loop has no end that could be inside
	} {
		at := tree(t, entries...)
		files, err := at.Walk(context.Background(), "", everything, func(string) {})
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), IgnoreFile) {
			t.Errorf("%v: files %v, err %v", entries, paths(files), err)
		}
	}
}

// A link put in a file's place after the walk must not be followed.
func TestSwapsBetweenListAndRead(t *testing.T) {
	swaps := map[string]func(file string) error{
		"outside link": func(file string) error { return errors.Join(os.Remove(file), os.Symlink("../secret", file)) },
		"inside link":  func(file string) error { return errors.Join(os.Remove(file), os.Symlink("other", file)) },
		"other file": func(file string) error {
			return errors.Join(os.Remove(file), os.WriteFile(file, []byte("file"), 0o600))
		},
		"grown":   func(file string) error { return os.WriteFile(file, []byte("file, longer"), 0o600) },
		"touched": func(file string) error { return os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)) },
		"folder":  func(file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o755)) },
		"gone":    os.Remove,
	}
	for name, swap := range swaps {
		at := tree(t, "file", "other")
		files, err := at.Walk(context.Background(), "", everything, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := swap(filepath.Join(at.Dir(), "file")); err != nil {
			t.Fatal(err)
		}
		if r, err := files[0].Open(); err == nil {
			content, _ := io.ReadAll(r)
			t.Errorf("%s: read %q", name, content)
		}
	}
}

func TestChangeWhileReading(t *testing.T) {
	at := tree(t, "file")
	files, err := at.Walk(context.Background(), "", everything, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	r, err := files[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at.Dir(), "file"), []byte("rewritten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); !errors.Is(err, layer.ErrChanged) {
		t.Errorf("close = %v", err)
	}
}

func TestOpenFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); fault.KindOf(err) != fault.Usage {
		t.Errorf("a file: %v", err)
	}
	if _, err := Open(file + "-not-there"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("nothing: %v", err)
	}
}

func TestIgnore(t *testing.T) {
	defaults := []string{
		".git/config", ".env", ".env.local", "sub/.env", "a/b/server.key", "cert.pem", "id_rsa", ".aws/credentials",
		".npmrc", ".docker/config.json", ".kube/config", ".netrc", ".terraform/x", ".func/built", ".kn-lite/build/index.json", "node_modules/x/index.js", "func.yaml", ".funcignore",
	}
	plain := []string{"index.js", "lib/a.js", "public/env.js", "keys.js", "lib/func.yaml"}
	tests := []struct {
		name, rules string
		in, out     []string
		warned      int
	}{
		{"defaults", "", plain, defaults, 1},
		{"any depth", "*.log\n", []string{"log.js"}, []string{"a.log", "x/y/b.log"}, 0},
		{"anchored", "/build\n", []string{"x/build/a"}, []string{"build/a"}, 0},
		{"folder slash", "tmp/\n", nil, []string{"tmp/a", "x/tmp/b"}, 0},
		{"inner slash anchors", "docs/*.md\n", []string{"x/docs/a.md", "docs/x.txt"}, []string{"docs/a.md"}, 0},
		{"double star", "docs/**/*.md\n", nil, []string{"docs/a/b/c.md"}, 0},
		{"negation", "*.md\n!README.md\n", []string{"README.md", "x/README.md"}, []string{"a.md"}, 0},
		{"comments and blanks", "# *.js\n\n   \n\\#x\n", []string{"a.js"}, []string{"#x"}, 0},
		{"secret brought back", "!.env.local\n", []string{".env.local"}, []string{".env"}, 2},
		{"secret below what is brought back", "src\n!src\n", []string{"src/a.js"}, []string{"src/.env", "src/x/id_rsa"}, 1},
		{"brought back by a wildcard", "*\n!src/**\n!*\n", []string{"src/a.js"}, []string{"src/.env"}, 1},
		{"secret folder brought back", "!.aws\n", []string{".aws/config"}, []string{".ssh/config"}, 2},
		{"file of a secret folder", "!.aws/config\n", []string{".aws/config"}, []string{".aws/credentials"}, 2},
		{"secret of a folder by its extension", "!conf/*.tfvars\n", []string{"conf/a.tfvars"}, []string{"a.tfvars"}, 2},
		{"state is never brought back", "!.kn-lite\n", nil, []string{".kn-lite/build/index.json", "a/.kn-lite/x"}, 0},
		{"dependency brought back", "!/node_modules/mine\n", []string{"node_modules/mine/a.js"}, []string{"node_modules/other/a.js"}, 0},
		{"windows line ends", "*.log\r\n", nil, []string{"a.log"}, 0},
		{"byte order mark", "\ufeff*.log\n", nil, []string{"a.log"}, 0},
	}
	for _, tt := range tests {
		warned := 0
		ignore, err := ReadIgnore(fstest.MapFS{IgnoreFile: {Data: []byte(tt.rules)}}, func(string) { warned++ }, "node_modules")
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		for _, name := range tt.in {
			if out, _ := ignore.Filter(name, false); out {
				t.Errorf("%s: %s is left out", tt.name, name)
			}
		}
		for _, name := range tt.out {
			if out, _ := ignore.Filter(name, false); !out {
				t.Errorf("%s: %s is in the image", tt.name, name)
			}
		}
		ignore.secrets.Report()
		if warned != tt.warned {
			t.Errorf("%s: %d warnings, want %d", tt.name, warned, tt.warned)
		}
	}
}

func TestIgnoreFileMistakes(t *testing.T) {
	_, err := ReadIgnore(fstest.MapFS{IgnoreFile: {Data: []byte("*.log\n[a-\n")}}, func(string) {})
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Usage || e.Subject != ".funcignore:2" {
		t.Errorf("err = %v", err)
	}
	if _, err := ReadIgnore(fstest.MapFS{IgnoreFile: {Mode: fs.ModeDir}}, func(string) {}); err == nil {
		t.Error("a folder named .funcignore is no error")
	}
}

// An ignored folder that a later rule looks into must not be in the image empty.
func TestIgnoredFolderLeavesNoTrace(t *testing.T) {
	at := tree(t, ".git/config", "x/.env", "x/a.js", "logs/a.log", "logs/keep.log")
	ignore, err := ReadIgnore(fstest.MapFS{IgnoreFile: {Data: []byte("logs\n!logs/keep.log\n")}}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	files, err := at.Walk(context.Background(), "", ignore.Filter, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := paths(files), []string{"logs/keep.log", "x", "x/a.js"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWalkManyFiles(t *testing.T) {
	var names []string
	for i := range 2000 {
		names = append(names, fmt.Sprintf("d%02d/f%d", i%40, i))
	}
	files, err := tree(t, names...).Walk(context.Background(), "", everything, func(string) {})
	if err != nil || len(files) != 2040 {
		t.Errorf("%d files, %v", len(files), err)
	}
}
