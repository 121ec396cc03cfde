//go:build unix

package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestLayoutAndTarball(t *testing.T) {
	needGo(t)
	r := build(t, spec(t, goProject(t)))
	out := filepath.Join(t.TempDir(), "a", "image")
	for range 2 { // the second replaces the first
		if err := r.WriteLayout(out, "reg.example/me/fn:v1"); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	if _, err := index.Image(r.Digest); err != nil {
		t.Error(err)
	}
	if err := r.WriteLayout(goProject(t), ""); fault.KindOf(err) != fault.Usage {
		t.Errorf("a folder with other files: %v", err)
	}
	saved := filepath.Join(t.TempDir(), "image.tar")
	if err := r.WriteTarball(saved, "reg.example/me/fn:v1"); err != nil {
		t.Fatal(err)
	}
	image, err := tarball.ImageFromPath(saved, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := r.Image.ConfigName()
	if got, err := image.ConfigName(); got != want || err != nil {
		t.Errorf("config of the tarball is %v, %v; want %v", got, err, want)
	}
	if err := r.WriteTarball(filepath.Join(t.TempDir(), "no", "folder.tar"), "reg.example/fn"); err == nil {
		t.Error("no error for a folder that does not exist")
	}
}

func TestKeepAndOpen(t *testing.T) {
	for _, platforms := range [][]v1.Platform{{amd64()}, {amd64(), {OS: "linux", Architecture: "arm64"}}} {
		dir := nodeProject(t)
		s := spec(t, dir)
		s.Base, s.Platforms = "reg.example:5000/node:22@sha256:"+strings.Repeat("0", 64), platforms
		r := build(t, s)
		if err := r.SaveLayout(dir, "reg.example/me/fn"); err != nil {
			t.Fatal(err)
		}
		asked := ""
		opened, tag, err := OpenLayout(context.Background(), dir, func(_ context.Context, ref string, p v1.Platform) (v1.Image, error) {
			asked = ref
			return nodeBase(t, p.Architecture), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if opened.Digest != r.Digest || tag != "reg.example/me/fn" || (opened.Index == nil) != (r.Index == nil) {
			t.Errorf("opened %s %q, want %s", opened.Digest, tag, r.Digest)
		}
		if !strings.HasPrefix(asked, "reg.example:5000/node@sha256:") {
			t.Errorf("asked for %s", asked)
		}
		layers, err := opened.Builds[0].Image.Layers()
		if err != nil || len(layers) != 2 {
			t.Fatalf("layers = %v, %v", layers, err)
		}
		// A later build of the same project does not pick up what was kept.
		if again := build(t, s); again.Digest != r.Digest {
			t.Error("the kept image is part of the next one")
		}
	}
}

func TestOpenKeptDamaged(t *testing.T) {
	if _, _, err := OpenLayout(context.Background(), t.TempDir(), nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("nothing kept: %v", err)
	}
	dir := nodeProject(t)
	r := build(t, spec(t, dir))
	pull := func(_ context.Context, _ string, p v1.Platform) (v1.Image, error) {
		return nodeBase(t, p.Architecture), nil
	}
	manifest, err := r.Image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]string{
		"index":    "index.json",
		"manifest": filepath.Join("blobs", "sha256", r.Digest.Hex),
		"config":   filepath.Join("blobs", "sha256", manifest.Config.Digest.Hex),
		"layer":    filepath.Join("blobs", "sha256", manifest.Layers[len(manifest.Layers)-1].Digest.Hex),
	} {
		if err := r.SaveLayout(dir, "x"); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(LayoutDir(dir), at), 7); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenLayout(context.Background(), dir, pull); err == nil || !strings.Contains(fault.HintOf(err), "build again") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
