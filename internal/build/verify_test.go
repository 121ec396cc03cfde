//go:build unix

package build

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// fickle is a language whose image depends on what the test says.
type fickle struct{ text func(p *lang.Project) string }

func (fickle) Name() string      { return "fickle" }
func (fickle) Detect(fs.FS) bool { return true }
func (fickle) Plan(context.Context, *lang.Project) (*lang.Plan, error) {
	return &lang.Plan{Base: lang.Base{BuiltIn: true}}, nil
}

func (fickle) Variables(*lang.Project) lang.Variables {
	return lang.Variables{Means: []string{"TZ", "LC_ALL", "GOMAXPROCS"}}
}

func (f fickle) Layers(_ context.Context, p *lang.Project, _ *lang.Plan, _ lang.Target) ([]lang.Layer, error) {
	return []lang.Layer{{Name: "application", Files: func(context.Context) ([]layer.File, func() error, error) {
		return []layer.File{layer.Bytes("app/same", 0o644, []byte("same")), layer.Bytes("app/told", 0o644, []byte(f.text(p)))}, nil, nil
	}}}, nil
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
	for name, text := range map[string]func(*lang.Project) string{
		"folder":      func(p *lang.Project) string { return p.Dir },
		"time zone":   func(p *lang.Project) string { return lang.Lookup(p.Environ, "TZ") },
		"locale":      func(p *lang.Project) string { return lang.Lookup(p.Environ, "LC_ALL") },
		"temp folder": func(p *lang.Project) string { return lang.Lookup(p.Environ, "TMPDIR") },
		"CPUs":        func(p *lang.Project) string { return lang.Lookup(p.Environ, "GOMAXPROCS") },
		"file time": func(p *lang.Project) string {
			info, err := os.Stat(filepath.Join(p.Dir, "index.js"))
			if err != nil {
				return err.Error()
			}
			return info.ModTime().String()
		},
		"umask": func(p *lang.Project) string {
			at := filepath.Join(t.TempDir(), "made")
			if err := os.WriteFile(at, nil, 0o666); err != nil {
				return err.Error()
			}
			info, err := os.Stat(at)
			if err != nil {
				return err.Error()
			}
			return info.Mode().String()
		},
	} {
		s := keyedSpec(t, dir)
		s.language = fickle{text}
		_, _, err := Verify(context.Background(), s)
		if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "first in /app/told (content") {
			t.Errorf("%s: %v", name, err)
		}
		if hint := fault.HintOf(err); !strings.HasSuffix(hint, "\n/app/told") {
			t.Errorf("%s: hint %q", name, hint)
		}
	}
}
