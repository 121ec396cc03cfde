package images

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

func program(t *testing.T, dir, content string) Program {
	t.Helper()
	bin := filepath.Join(dir, "prog")
	if err := os.WriteFile(bin, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return Program{Name: "prog", Binary: bin, Roots: []byte("PEM"), OS: "linux", Arch: "amd64"}
}

func digest(t *testing.T, p Program) string {
	t.Helper()
	img, err := Build(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img, validate.Fast); err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestDigestDependsOnContentOnly(t *testing.T) {
	p := program(t, t.TempDir(), "one")
	first := digest(t, p)
	// Another folder, another mode, another time.
	q := program(t, t.TempDir(), "one")
	if err := os.Chmod(q.Binary, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := digest(t, q); got != first {
		t.Errorf("same program in another folder: %s, want %s", got, first)
	}
	changed := map[string]func(*Program){
		"binary": func(p *Program) { p.Binary = program(t, t.TempDir(), "two").Binary },
		"name":   func(p *Program) { p.Name = "other" },
		"roots":  func(p *Program) { p.Roots = []byte("other PEM") },
		"arch":   func(p *Program) { p.Arch = "arm64" },
	}
	for what, change := range changed {
		q := p
		change(&q)
		if got := digest(t, q); got == first {
			t.Errorf("another %s, but the same digest", what)
		}
	}
}

func TestImageRunsAsNumericNonRootWithWritableTmp(t *testing.T) {
	img, err := Build(program(t, t.TempDir(), "one"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("65532:65532", config.Config.User); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/app/prog"}, config.Config.Entrypoint); diff != "" {
		t.Error(diff)
	}
	modes := modes(t, img)
	want := map[string]int64{"app/prog": 0o755, "tmp/": 0o1777, "etc/passwd": 0o644, "etc/ssl/certs/ca-certificates.crt": 0o644}
	for name, mode := range want {
		if got, ok := modes[name]; !ok || got != mode {
			t.Errorf("%s has mode %o (there: %v), want %o", name, got, ok, mode)
		}
	}
}

func modes(t *testing.T, img v1.Image) map[string]int64 {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for tr := tar.NewReader(r); ; {
			h, err := tr.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
				t.Errorf("%s: owner %d:%d, time %s: not normalised", h.Name, h.Uid, h.Gid, h.ModTime)
			}
			out[h.Name] = h.Mode
		}
		r.Close()
	}
	return out
}

func TestSaveAndLoadKeepTheDigest(t *testing.T) {
	img, err := Build(program(t, t.TempDir(), "one"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	saved, err := Save(img, dir)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back, validate.Fast); err != nil {
		t.Error(err)
	}
	if d, _ := back.Digest(); d.String() != saved {
		t.Errorf("loaded %s, saved %s", d, saved)
	}
}

func TestBuildReportsAMissingProgram(t *testing.T) {
	if _, err := Build(Program{Name: "x", Binary: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want a not-exist error", err)
	}
}
