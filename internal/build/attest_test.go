//go:build unix

package build

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/build/inventory"
	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

// lister is a language that knows of packages which its files do not show.
type lister struct{ fickle }

func (lister) Packages(context.Context, *lang.Project, *lang.Plan, v1.Platform) ([]attest.Package, error) {
	return []attest.Package{attest.Crate("serde", "1.0.1"), attest.Crate("anyhow", "1.0.2")}, nil
}

func documentsOf(t *testing.T, r *Result, facts Facts) []attest.Artifact {
	t.Helper()
	out, err := r.Attest(context.Background(), facts, AllDocuments())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func content(t *testing.T, a attest.Artifact, kind string) string {
	t.Helper()
	text, ok := a.Content(kind)
	if !ok {
		t.Fatalf("no %s in %+v", kind, a)
	}
	return string(text)
}

// What is written about an image is the same on another machine.
func TestDocumentsAreReproducible(t *testing.T) {
	needGo(t)
	both := []v1.Platform{amd64(), {OS: "linux", Architecture: "arm64"}}
	for name, make := range map[string]func(*testing.T) string{"go": goProject, "node": nodeProject} {
		var all [][]attest.Artifact
		for range 2 {
			s := spec(t, make(t))
			s.Platforms, s.Epoch = both, time.Unix(1_700_000_000, 0)
			if name == "node" {
				s.Base = "reg.example:5000/node:22@sha256:" + strings.Repeat("0", 64)
			}
			all = append(all, documentsOf(t, build(t, s), Facts{Name: "fn", Version: "v1", Builder: "layers", Epoch: s.Epoch, CacheDir: s.CacheDir}))
		}
		if len(all[0]) != 4 {
			t.Fatalf("%s: %d documents, want two for each platform", name, len(all[0]))
		}
		for i := range all[0] {
			one, err := all[0][i].RawManifest()
			if err != nil {
				t.Fatal(err)
			}
			two, err := all[1][i].RawManifest()
			if err != nil || string(one) != string(two) {
				t.Errorf("%s: documents differ: %s %s", name, all[0][i].Blobs[0].Content, all[1][i].Blobs[0].Content)
			}
		}
		sbom := content(t, all[0][0], attest.SPDXType)
		if !strings.Contains(sbom, "2023-11-14T22:13:20Z") || strings.Contains(sbom, "DESCENDANT_OF") != (name == "node") {
			t.Errorf("%s: %s", name, sbom)
		}
		if name == "node" && !strings.Contains(sbom, "pkg:oci/node@sha256%3A") {
			t.Errorf("the base is not there by its digest: %s", sbom)
		}
		if name == "go" && !strings.Contains(sbom, "pkg:golang/stdlib@1.") {
			t.Errorf("the modules are not there: %s", sbom)
		}
		if p := content(t, all[0][1], attest.InTotoType); !strings.Contains(p, `"sourceDateEpoch": 1700000000`) || strings.Contains(p, os.TempDir()) {
			t.Errorf("%s: %s", name, p)
		}
	}
}

// The documents follow the image: through a record, a folder and a layout.
func TestDocumentsTravel(t *testing.T) {
	s := keyedSpec(t, nodeProject(t))
	s.language = lister{fickle{}}
	built := build(t, s)
	facts := Facts{Name: "fn", CacheDir: s.CacheDir}
	built.Attached = documentsOf(t, built, facts)
	sbom := content(t, built.Attached[0], attest.SPDXType)
	if a, b := strings.Index(sbom, "pkg:cargo/anyhow@1.0.2"), strings.Index(sbom, "pkg:cargo/serde@1.0.1"); a < 0 || b < a {
		t.Errorf("what only the language knows is not there, or not in order: %s", sbom)
	}
	if err := built.SaveLayout(s.Dir, "example/x:latest"); err != nil {
		t.Fatal(err)
	}
	if !LayoutMatches(s.Dir, built.Digest, "example/x:latest", AllDocuments()) || LayoutMatches(s.Dir, built.Digest, "example/x:latest", Documents{}) {
		t.Error("LayoutMatches does not look at the documents")
	}
	kept, _, err := OpenLayout(context.Background(), s.Dir, s.Pull)
	if err != nil {
		t.Fatal(err)
	}
	if len(kept.Attached) != 2 || content(t, kept.Attached[0], attest.SPDXType) != sbom {
		t.Errorf("kept with %d documents", len(kept.Attached))
	}
	out := filepath.Join(t.TempDir(), "image")
	if err := kept.WriteLayout(out, "x"); err != nil {
		t.Fatal(err)
	}
	var index v1.IndexManifest
	raw, err := os.ReadFile(filepath.Join(out, "index.json"))
	if err == nil {
		err = json.Unmarshal(raw, &index)
	}
	if err != nil || len(index.Manifests) != 3 || index.Manifests[0].Digest != built.Digest || index.Manifests[1].ArtifactType != attest.SPDXType {
		t.Errorf("layout: %s %v", raw, err)
	}
}

func TestRecordKeepsPackages(t *testing.T) {
	s := keyedSpec(t, nodeProject(t))
	p := prepare(t, s)
	id := identify(t, s)
	built, err := p.Build(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	built.Builds[0].Packages = []attest.Package{attest.Crate("serde", "1.0.1")}
	if err := p.writeRecord(id, built); err != nil {
		t.Fatal(err)
	}
	r, ok := p.LookupRecord(id)
	if !ok {
		t.Fatal("no record")
	}
	opened, err := r.Open(context.Background())
	if err != nil || len(opened.Builds[0].Packages) != 1 {
		t.Errorf("opened with %+v, %v", opened.Builds[0].Packages, err)
	}
}

// A layer is read once, and never one of the base.
func TestLayersAreReadOnce(t *testing.T) {
	s := spec(t, nodeProject(t))
	r := build(t, s)
	facts := Facts{Name: "fn", CacheDir: s.CacheDir}
	first := documentsOf(t, r, facts)
	files, err := os.ReadDir(inventories(s.CacheDir))
	if err != nil || len(files) != 1 {
		t.Fatalf("remembered %v, %v; the base's layer is no tar and cannot be among them", files, err)
	}
	at := filepath.Join(inventories(s.CacheDir), files[0].Name())
	known, err := json.Marshal(inventory.Found{Files: map[string][]attest.Package{"x": {attest.NPM("remembered", "1")}}})
	if err == nil {
		err = sealed.Write(at, known)
	}
	if err != nil {
		t.Fatal(err)
	}
	if second := content(t, documentsOf(t, r, facts)[0], attest.SPDXType); !strings.Contains(second, "pkg:npm/remembered@1") {
		t.Errorf("the layer was read again: %s", second)
	}
	if err := os.WriteFile(at, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if third := documentsOf(t, r, facts); content(t, third[0], attest.SPDXType) != content(t, first[0], attest.SPDXType) {
		t.Error("a damaged note is believed")
	}
}

// A build with other documents is another build.
func TestKeyTellsDocuments(t *testing.T) {
	s := keyedSpec(t, nodeProject(t))
	keys := map[string]bool{}
	for _, d := range []Documents{AllDocuments(), {SBOM: true}, {Provenance: true}, {}} {
		s.Documents = d
		keys[identify(t, s).String()] = true
	}
	if len(keys) != 4 {
		t.Errorf("%d keys for four choices", len(keys))
	}
}

func TestCheckout(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("there is no git")
	}
	top := t.TempDir()
	environ := append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") }),
		"HOME="+t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CEILING_DIRECTORIES="+filepath.Dir(top))
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(git, args...)
		cmd.Dir, cmd.Env = top, environ
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	look := func(dir string) *attest.Source {
		return Checkout(context.Background(), filepath.Join(top, dir), environ)
	}
	put(t, top, "fn/main.go", "package main")
	if s := look("fn"); s != nil {
		t.Errorf("no repository, and %+v", s)
	}
	run("init", "-q")
	if s := look("fn"); s != nil {
		t.Errorf("no commit, and %+v", s)
	}
	put(t, top, ".gitignore", "build/\n")
	run("add", ".")
	run("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "first")
	commit := run("rev-parse", "HEAD")
	if s := look("fn"); s == nil || *s != (attest.Source{Commit: commit, Folder: "fn"}) {
		t.Errorf("got %+v, want %s", s, commit)
	}
	run("remote", "add", "origin", "git@git.example:team/repo.git")
	if s := look(""); s == nil || *s != (attest.Source{Commit: commit, Remote: "ssh://git.example/team/repo.git"}) {
		t.Errorf("got %+v", s)
	}
	put(t, top, "build/out.go", "package x")
	if s := look("build"); s != nil {
		t.Errorf("an ignored folder is in no commit: %+v", s)
	}
	put(t, top, "fn/new.go", "package main")
	if s := look("fn"); s != nil {
		t.Errorf("there is a file that is not in the commit: %+v", s)
	}
}

// A Dockerfile's image has documents too: the base by its digest, and no more of
// it than that.
func TestDocumentsOfADockerfile(t *testing.T) {
	base, err := nodeBase(t, "amd64").Digest()
	if err != nil {
		t.Fatal(err)
	}
	below, err := layer.OfBase(nodeBase(t, "amd64"))
	if err != nil {
		t.Fatal(err)
	}
	image, err := layer.Assemble(below, amd64(), map[string]string{
		layer.AnnotationBaseName: "registry.example/node:22", layer.AnnotationBaseDigest: base.String(),
	}, func(*v1.ConfigFile) {})
	if err != nil {
		t.Fatal(err)
	}
	r := &Result{Language: DockerfileLanguage, Builds: []PlatformBuild{{
		Platform: amd64(), Image: image, Base: "registry.example/node:22",
		used: map[string]string{"registry.example/node:22": base.String(), "registry.example/tools:1": "sha256:" + strings.Repeat("7", 64)},
	}}}
	all := documentsOf(t, r, Facts{Name: "fn", Builder: "dockerfile"})
	sbom, origin := content(t, all[0], attest.SPDXType), content(t, all[1], attest.InTotoType)
	if !strings.Contains(sbom, "pkg:oci/node@sha256%3A"+base.Hex+"?arch=amd64&repository_url=registry.example%2Fnode") &&
		!strings.Contains(sbom, `pkg:oci/node@sha256%3A`+base.Hex+`?arch=amd64\u0026repository_url=registry.example%2Fnode`) {
		t.Errorf("the base is not there: %s", sbom)
	}
	if !strings.Contains(sbom, "are not listed") {
		t.Errorf("what is not known is not told: %s", sbom)
	}
	if strings.Count(origin, "registry.example/node:22") != 2 || !strings.Contains(origin, `"uri": "docker://registry.example/tools:1"`) {
		t.Errorf("the images that it was made from: %s", origin)
	}
	if !strings.Contains(origin, `"builder": "dockerfile"`) || strings.Contains(origin, `"language"`) || !strings.Contains(origin, base.Hex) {
		t.Errorf("provenance: %s", origin)
	}
}

func TestDocumentsThatAreNotWanted(t *testing.T) {
	s := spec(t, nodeProject(t))
	r := build(t, s)
	for _, test := range []struct {
		want  Documents
		kinds []string
	}{
		{Documents{}, nil},
		{Documents{SBOM: true}, []string{attest.SPDXType}},
		{Documents{Provenance: true}, []string{attest.InTotoType}},
	} {
		all, err := r.Attest(context.Background(), Facts{Name: "fn", CacheDir: s.CacheDir}, test.want)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, a := range all {
			kinds = append(kinds, a.Type)
		}
		if !slices.Equal(kinds, test.kinds) {
			t.Errorf("%+v gives %v", test.want, kinds)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Attest(ctx, Facts{Name: "fn"}, AllDocuments()); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
