//go:build unix

package build

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/key"
	"github.com/kn-lite/kn-lite/internal/image/layout"
)

// keyedSpec is a spec that has a key.
func keyedSpec(t *testing.T, dir string) Spec {
	s := spec(t, dir)
	s.Builder = "test"
	s.Now = time.Now
	s.Resolve = func(context.Context, string) (v1.Hash, error) {
		return v1.Hash{Algorithm: "sha256", Hex: "1111111111111111111111111111111111111111111111111111111111111111"}, nil
	}
	return s
}

func prepare(t *testing.T, s Spec) *Prepared {
	t.Helper()
	p, err := Prepare(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func identify(t *testing.T, s Spec) *key.Key {
	t.Helper()
	id, why, err := prepare(t, s).ComputeKey(context.Background())
	if err != nil || id == nil {
		t.Fatalf("no key: %q %v", why, err)
	}
	return id
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The key is the same in another folder, with other times, an empty cache and
// whatever stands beside the inputs.
func TestKeyIsAboutContentOnly(t *testing.T) {
	needGo(t)
	for name, make := range map[string]func(*testing.T) string{"go": goProject, "node": nodeProject} {
		one, two := make(t), make(t)
		past := time.Unix(1e9, 0)
		err := filepath.Walk(two, func(at string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Chtimes(at, past, past)
		})
		if err != nil {
			t.Fatal(err)
		}
		put(t, two, ".git/HEAD", "ref")
		put(t, two, ".kn-lite/build/index.json", "{}")
		a, b := identify(t, keyedSpec(t, one)), identify(t, keyedSpec(t, two))
		if a.String() != b.String() {
			t.Errorf("%s: two keys: %+v", name, key.Changes(a, b))
		}
	}
}

// Whatever can change the image changes the key, and the part is named.
func TestKeyChanges(t *testing.T) {
	needGo(t)
	other := v1.Hash{Algorithm: "sha256", Hex: "2222222222222222222222222222222222222222222222222222222222222222"}
	tests := []struct {
		name, part, file string
		project          func(*testing.T) string
		change           func(t *testing.T, s *Spec)
	}{
		{"a source", "files of .", "changed handle.go", goProject, func(t *testing.T, s *Spec) { put(t, s.Dir, "handle.go", handler+"// x\n") }},
		{"an embeddable file", "files of .", "added secret.pem", goProject, func(t *testing.T, s *Spec) { put(t, s.Dir, "secret.pem", "x") }},
		{"another platform", "platforms", "", goProject, func(_ *testing.T, s *Spec) { s.Platforms = []v1.Platform{{OS: "linux", Architecture: "arm64"}} }},
		{"time stamps", "time stamps", "", goProject, func(_ *testing.T, s *Spec) { s.Epoch = time.Unix(5, 0) }},
		{"another kn-lite", "kn-lite", "", goProject, func(_ *testing.T, s *Spec) { s.Builder = "other" }},
		{"a base", "base", "", goProject, func(_ *testing.T, s *Spec) { s.Base = "example/base" }},
		{"flags of go", "go setting GOFLAGS", "", goProject, func(_ *testing.T, s *Spec) { s.Environ = append(s.Environ, "GOFLAGS=-tags=x") }},
		{"an experiment", "go setting GOEXPERIMENT", "", goProject, func(_ *testing.T, s *Spec) { s.Environ = append(s.Environ, "GOEXPERIMENT=jsonv2") }},
		{"a build variable", "build variable TOKEN", "", goProject, func(_ *testing.T, s *Spec) { s.BuildEnv = []string{"TOKEN=x"} }},
		{"a setting of npm", "setting npm_config_omit", "", nodeProject, func(_ *testing.T, s *Spec) { s.Environ = append(s.Environ, "npm_config_omit=optional") }},
		{"a build variable that the machine has too", "build variable NODE_OPTIONS", "", nodeProject, func(_ *testing.T, s *Spec) {
			s.Environ, s.BuildEnv = append(s.Environ, "NODE_OPTIONS=--x"), []string{"NODE_OPTIONS=--y"}
		}},
		{"a label", "label a", "", goProject, func(_ *testing.T, s *Spec) { s.Labels = map[string]string{"a": "b"} }},
		{"the base's tag", "base", "", nodeProject, func(_ *testing.T, s *Spec) {
			s.Resolve = func(context.Context, string) (v1.Hash, error) { return other, nil }
		}},
		{"a file", "files of .", "removed lib/a.js", nodeProject, func(t *testing.T, s *Spec) {
			if err := os.Remove(filepath.Join(s.Dir, "lib/a.js")); err != nil {
				t.Fatal(err)
			}
		}},
		{"an executable bit", "files of .", "changed index.js", nodeProject, func(t *testing.T, s *Spec) {
			if err := os.Chmod(filepath.Join(s.Dir, "index.js"), 0o755); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		s := keyedSpec(t, tt.project(t))
		before := identify(t, s)
		tt.change(t, &s)
		after := identify(t, s)
		changes := key.Changes(before, after)
		if len(changes) != 1 || changes[0].Part != tt.part || before.String() == after.String() {
			t.Errorf("%s: %+v", tt.name, changes)
			continue
		}
		if tt.file != "" && !slices.Equal(changes[0].Files, []string{tt.file}) {
			t.Errorf("%s: files %v", tt.name, changes[0].Files)
		}
	}
}

// What does not get into the image of a Node project, and is no input of npm, does not count.
func TestKeyOmitsWhatIsLeftOut(t *testing.T) {
	s := keyedSpec(t, nodeProject(t))
	s.Environ = append(s.Environ, "HOME="+t.TempDir())
	before := identify(t, s)
	put(t, s.Dir, ".env", "another canary")
	put(t, s.Dir, "node_modules/x/index.js", "1")
	s.Environ = append(s.Environ, "HOME="+t.TempDir(), "PUBLIC_API_URL=x", "npm_config_registry=https://mirror.example", "TZ=Asia/Tokyo", "USER=ada", "LANG=tr_TR.UTF-8")
	if after := identify(t, s); after.String() != before.String() {
		t.Errorf("changes: %+v", key.Changes(before, after))
	}
}

// Modules that a go.mod or go.work replaces with folders are inputs.
func TestKeySeesModulesBeside(t *testing.T) {
	needGo(t)
	top := t.TempDir()
	put(t, top, "fn/go.mod", "module function\n\ngo 1.21\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n")
	put(t, top, "fn/handle.go", handler)
	put(t, top, "lib/go.mod", "module example.com/lib\n\ngo 1.21\n")
	put(t, top, "lib/lib.go", "package lib\n")
	put(t, top, "shared.go", "package function\n")
	if err := os.Symlink("../shared.go", filepath.Join(top, "fn/shared.go")); err != nil {
		t.Fatal(err)
	}
	s := keyedSpec(t, filepath.Join(top, "fn"))
	edit := func(file, text, part string) {
		t.Helper()
		before := identify(t, s)
		put(t, top, file, text)
		changes := key.Changes(before, identify(t, s))
		if len(changes) == 0 || !slices.ContainsFunc(changes, func(c key.Change) bool { return c.Part == part }) {
			t.Errorf("%s: %+v", file, changes)
		}
	}
	edit("lib/lib.go", "package lib\n\nconst X = 1\n", "files of ../lib")
	edit("shared.go", "package function\n\nconst Y = 1\n", "files of .")
	put(t, top, "tools/go.mod", "module example.com/tools\n\ngo 1.21\n")
	edit("go.work", "go 1.21\n\nuse ./fn\nuse ./tools\n", "file go.work")
	edit("tools/tool.go", "package tools\n", "files of workspace/./tools")
}

func TestNoKey(t *testing.T) {
	needGo(t)
	s := keyedSpec(t, goProject(t))
	s.Builder = ""
	if id, why, err := prepare(t, s).ComputeKey(context.Background()); id != nil || why == "" || err != nil {
		t.Errorf("no builder: %v %q %v", id, why, err)
	}
	s = keyedSpec(t, goProject(t))
	s.Environ = append(s.Environ, "GOFLAGS=-overlay=/tmp/x.json")
	if id, why, err := prepare(t, s).ComputeKey(context.Background()); id != nil || why == "" || err != nil {
		t.Errorf("overlay: %v %q %v", id, why, err)
	}
	elsewhere := t.TempDir()
	s = keyedSpec(t, goProject(t))
	if err := os.Symlink(elsewhere, filepath.Join(s.Dir, "assets")); err != nil {
		t.Fatal(err)
	}
	if id, why, err := prepare(t, s).ComputeKey(context.Background()); id != nil || why == "" || err != nil {
		t.Errorf("a link to elsewhere: %v %q %v", id, why, err)
	}
	s = keyedSpec(t, project(t, file{"package.json", `{"scripts":{"start":"node index.js"},"dependencies":{"x":"1"}}`}, file{"index.js", "1"}))
	if id, why, err := prepare(t, s).ComputeKey(context.Background()); id != nil || why == "" || err != nil {
		t.Errorf("no lockfile: %v %q %v", id, why, err)
	}
}

func TestRecord(t *testing.T) {
	s := keyedSpec(t, nodeProject(t))
	ctx := context.Background()
	p := prepare(t, s)
	id, _, err := p.ComputeKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.LookupRecord(id); ok {
		t.Fatal("a record of nothing")
	}
	built, err := p.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := p.SaveRecord(ctx, id, built); !ok || err != nil {
		t.Fatalf("not remembered: %v", err)
	}
	r, ok := p.LookupRecord(id)
	if !ok || r.Result().Digest != built.Digest {
		t.Fatalf("record %+v, %v", r, ok)
	}
	again, err := r.Open(ctx)
	if err != nil || again.Digest != built.Digest || len(again.Builds) != 1 || again.Builds[0].Layers[0].Name != "application" {
		t.Fatalf("opened %+v, %v", again, err)
	}
	if err := built.SaveLayout(s.Dir, "example/x:latest"); err != nil {
		t.Fatal(err)
	}
	if !LayoutMatches(s.Dir, built.Digest, "example/x:latest", Documents{}) || LayoutMatches(s.Dir, built.Digest, "example/y:latest", Documents{}) || LayoutMatches(t.TempDir(), built.Digest, "", Documents{}) {
		t.Error("LayoutMatches is wrong")
	}
	own := built.Builds[0].Layers[0].Digest
	if err := os.Remove(layout.BlobFile(LayoutDir(s.Dir), own)); err != nil {
		t.Fatal(err)
	}
	if LayoutMatches(s.Dir, built.Digest, "example/x:latest", Documents{}) {
		t.Error("kept without its layer")
	}

	// A blob of the same size and another content.
	at := r.blob(own)
	raw, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(at, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, ok := p.LookupRecord(id); ok {
		if _, err := r.Open(ctx); err == nil {
			t.Error("a damaged layer was accepted")
		}
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.LookupRecord(id); ok {
		t.Error("a record without its layer was accepted")
	}
}

// A source that changes while the toolchain runs must not be remembered under
// the key of what it was.
func TestChangedMeanwhile(t *testing.T) {
	s := keyedSpec(t, nodeProject(t))
	ctx := context.Background()
	p := prepare(t, s)
	id, _, err := p.ComputeKey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	built, err := p.Build(ctx)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s.Dir, "index.js", "2")
	if ok, err := p.SaveRecord(ctx, id, built); ok || err != nil {
		t.Errorf("remembered=%v %v", ok, err)
	}
	if _, ok := p.LookupRecord(id); ok {
		t.Error("there is a record")
	}
}

// The base that the key was made with is the one that is used.
func TestBaseIsPinned(t *testing.T) {
	s := keyedSpec(t, nodeProject(t))
	var asked []string
	pull := s.Pull
	s.Pull = func(ctx context.Context, ref string, p v1.Platform) (v1.Image, error) {
		asked = append(asked, ref)
		return pull(ctx, ref, p)
	}
	p := prepare(t, s)
	if _, _, err := p.ComputeKey(context.Background()); err != nil {
		t.Fatal(err)
	}
	keyed, err := p.Build(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := "docker.io/library/node@sha256:1111111111111111111111111111111111111111111111111111111111111111"
	if !slices.Equal(asked, []string{want}) {
		t.Errorf("asked for %v", asked)
	}
	if plain := build(t, s); plain.Digest != keyed.Digest {
		t.Error("the digest depends on whether there is a key")
	}
}

// Caches inside of the project, as CI systems have them, are no inputs.
func TestKeyOmitsCaches(t *testing.T) {
	needGo(t)
	s := keyedSpec(t, goProject(t))
	s.CacheDir = filepath.Join(s.Dir, ".cache", "kn-lite")
	s.Environ = append(s.Environ, "GOMODCACHE="+filepath.Join(s.Dir, ".go/mod"), "HOME="+filepath.Join(s.Dir, ".home"), "GOFLAGS=-mod=mod")
	before := identify(t, s)
	for _, name := range []string{".cache/kn-lite/x", ".go/mod/y/z.go", ".home/.cache/w", ".home/.config/go/telemetry/v"} {
		put(t, s.Dir, name, "1")
	}
	if after := identify(t, s); after.String() != before.String() {
		t.Errorf("changes: %+v", key.Changes(before, after))
	}
}
