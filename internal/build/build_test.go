//go:build unix

package build

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/kn-lite/kn-lite/internal/build/basetest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

const handler = `package function

import (
	"io"
	"net/http"
)

func Handle(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }
`

// files are written in this order.
type file struct{ name, text string }

func project(t *testing.T, files ...file) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		at := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(f.text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func goProject(t *testing.T) string {
	return project(t, file{"go.mod", "module function\n\ngo 1.21\n"}, file{"handle.go", handler})
}

func nodeProject(t *testing.T) string {
	return project(t, file{"package.json", `{"scripts":{"start":"node index.js"}}`}, file{"index.js", "1"}, file{"lib/a.js", "2"}, file{"lib/b.js", "3"}, file{".env", "canary"})
}

func amd64() v1.Platform { return v1.Platform{OS: "linux", Architecture: "amd64"} }

// nodeBase is an image as Docker Hub has them.
func nodeBase(t *testing.T, arch string) v1.Image {
	t.Helper()
	programs, err := basetest.Layer("base for " + arch)
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{Layer: programs, MediaType: types.DockerLayer})
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Config = v1.Config{
		Env: []string{"PATH=/usr/local/bin:/bin", "NODE_VERSION=22.1.0", "NODE_ENV=test"}, Cmd: []string{"node"}, Entrypoint: []string{"docker-entrypoint.sh"},
		Labels: map[string]string{"maintainer": "somebody"}, User: "root", OnBuild: []string{"RUN x"},
	}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func spec(t *testing.T, dir string) Spec {
	return Spec{
		Dir: dir, Environ: append(os.Environ(), "CI="), CacheDir: t.TempDir(),
		Pull: func(_ context.Context, _ string, p v1.Platform) (v1.Image, error) {
			return nodeBase(t, p.Architecture), nil
		},
	}
}

func build(t *testing.T, s Spec) *Result {
	t.Helper()
	r, err := Build(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func needGo(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command")
	}
}

func TestGoImage(t *testing.T) {
	needGo(t)
	r := build(t, spec(t, goProject(t)))
	if err := validate.Image(r.Image); err != nil {
		t.Error(err)
	}
	config, err := r.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Entrypoint: []string{"/app/function"}, WorkingDir: "/app", User: "65532:65532",
		Env:          []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Labels:       map[string]string{"org.opencontainers.image.created": "1970-01-01T00:00:00Z"},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if !config.Created.Time.Equal(time.Unix(0, 0)) {
		t.Errorf("created %v", config.Created)
	}
	got := entriesOf(t, r.Image)
	for name, mode := range map[string]int64{"app/function": 0o755, "etc/ssl/certs/ca-certificates.crt": 0o644, "tmp/": 0o1777, "etc/passwd": 0o644} {
		if h := got[name]; h == nil || h.Mode != mode {
			t.Errorf("%s: %+v, want mode %o", name, h, mode)
		}
	}
}

// entriesOf are the headers of all layers.
func entriesOf(t *testing.T, image v1.Image) map[string]*tar.Header {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*tar.Header{}
	for _, l := range layers {
		if s, _ := l.Size(); s < 30 {
			continue // the made-up base is no tar
		}
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
			out[h.Name] = h
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestNodeImage(t *testing.T) {
	s := spec(t, nodeProject(t))
	s.Base, s.Labels = "reg.example/node:22", map[string]string{"org.opencontainers.image.source": "x"}
	r := build(t, s)
	config, err := r.Image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		Entrypoint: []string{"node", "index.js"}, WorkingDir: "/app", User: "65532:65532",
		Env:          []string{"PATH=/app/node_modules/.bin:/usr/local/bin:/bin", "NODE_VERSION=22.1.0", "NODE_ENV=production"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Labels:       map[string]string{"org.opencontainers.image.created": "1970-01-01T00:00:00Z", "org.opencontainers.image.source": "x", "maintainer": "somebody"},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	manifest, err := r.Image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(manifest.Layers, manifest.Config) {
		if strings.Contains(string(d.MediaType), "docker") {
			t.Errorf("an OCI manifest lists %s", d.MediaType)
		}
	}
	if manifest.Annotations["org.opencontainers.image.base.name"] != s.Base {
		t.Errorf("annotations = %v", manifest.Annotations)
	}
	files := entriesOf(t, r.Image)
	if files["app/index.js"] == nil || files["app/lib/b.js"] == nil || files["app/.env"] != nil {
		t.Errorf("files = %v", slices.Sorted(keys(files)))
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Where, when and by whom an image is built does not show in its digest.
func TestReproducible(t *testing.T) {
	needGo(t)
	kinds := map[string][]file{
		"go":   {{"go.mod", "module function\n\ngo 1.21\n"}, {"handle.go", handler}, {"sub/x.go", "package sub\n"}},
		"node": {{"package.json", `{"scripts":{"start":"node index.js"}}`}, {"index.js", "1"}, {"lib/a.js", "2"}, {"lib/b.js", "3"}},
	}
	for kind, files := range kinds {
		digests := map[string][]string{}
		for i := range 4 {
			ordered := slices.Clone(files)
			if i&1 != 0 {
				slices.Reverse(ordered)
			}
			mask := syscall.Umask([]int{0o022, 0o077, 0o002, 0o027}[i])
			dir := project(t, ordered...)
			stamp := time.Unix(int64(1e9+i*1e7), 0)
			err := filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
				return errors.Join(err, os.Chtimes(at, stamp, stamp))
			})
			if err != nil {
				t.Fatal(err)
			}
			procs := runtime.GOMAXPROCS([]int{1, 8}[i&1])
			s := spec(t, dir)
			s.Environ = append(s.Environ, "TZ="+[]string{"UTC", "Asia/Tokyo"}[i/2], "LC_ALL="+[]string{"C", "de_DE.UTF-8"}[i&1], "GOMAXPROCS="+strconv.Itoa(1+i))
			digest := build(t, s).Digest.String()
			runtime.GOMAXPROCS(procs)
			syscall.Umask(mask)
			digests[digest] = append(digests[digest], strconv.Itoa(i))
		}
		if len(digests) != 1 {
			t.Errorf("%s: %v", kind, digests)
		}
	}
}

func TestEpochChangesTheDigest(t *testing.T) {
	s := spec(t, nodeProject(t))
	first := build(t, s)
	s.Epoch = time.Unix(1700000000, 0)
	second := build(t, s)
	if first.Digest == second.Digest {
		t.Error("same digest")
	}
	if h := entriesOf(t, second.Image)["app/index.js"]; h == nil || !h.ModTime.Equal(s.Epoch) {
		t.Errorf("header = %+v", h)
	}
}

func TestPlatforms(t *testing.T) {
	arm := v1.Platform{OS: "linux", Architecture: "arm64"}
	s := spec(t, nodeProject(t))
	s.Platforms = []v1.Platform{arm, amd64()}
	r := build(t, s)
	s.Platforms = []v1.Platform{amd64(), arm}
	if again := build(t, s); again.Digest != r.Digest {
		t.Error("the order of platforms changes the digest")
	}
	index, err := r.Index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range index.Manifests {
		got = append(got, m.Platform.String()+" "+string(m.MediaType))
	}
	want := []string{"linux/amd64 application/vnd.oci.image.manifest.v1+json", "linux/arm64 application/vnd.oci.image.manifest.v1+json"}
	if diff := cmp.Diff(want, got); diff != "" || index.MediaType != types.OCIImageIndex {
		t.Errorf("manifests (-want +got):\n%s, %s", diff, index.MediaType)
	}
}

func TestRefused(t *testing.T) {
	node := func(change func(*Spec)) Spec {
		s := spec(t, nodeProject(t))
		change(&s)
		return s
	}
	tests := []struct {
		name string
		spec Spec
		kind fault.Kind
		says string
	}{
		{"unknown language", node(func(s *Spec) { s.Language = "nod" }), fault.Usage, `does not know the language "nod"`},
		{"no folder", node(func(s *Spec) { s.Dir = filepath.Join(s.Dir, "nope") }), fault.NotFound, "no such file"},
		{"nothing in it", node(func(s *Spec) { s.Dir = t.TempDir() }), fault.Usage, "cannot tell the language"},
		{"two languages", node(func(s *Spec) {
			s.Dir = project(t, file{"go.mod", "module x\n"}, file{"package.json", "{}"})
		}), fault.Usage, "files of several"},
		{"same platform twice", node(func(s *Spec) { s.Platforms = []v1.Platform{amd64(), amd64()} }), fault.Usage, "named twice"},
		{"base for another platform", node(func(s *Spec) {
			s.Pull = func(context.Context, string, v1.Platform) (v1.Image, error) { return nodeBase(t, "s390x"), nil }
		}), fault.Usage, "is for linux/s390x, not for linux/amd64"},
		{"base that cannot be pulled", node(func(s *Spec) {
			s.Pull = func(context.Context, string, v1.Platform) (v1.Image, error) {
				return nil, fault.New(fault.Auth, "registry.pull", "node", "401")
			}
		}), fault.Auth, "401"},
		{"no client", node(func(s *Spec) { s.Pull = nil }), fault.Failure, "no registry client"},
		{
			"code that does not compile", spec(t, project(t, file{"go.mod", "module function\n\ngo 1.21\n"}, file{"handle.go", strings.Replace(handler, `"hello"`, "undefinedName", 1)})),
			fault.Build, "./handle.go:8:73: undefined: undefinedName",
		},
		{
			"code that does not parse", spec(t, project(t, file{"go.mod", "module function\n"}, file{"handle.go", "package f\n\nfunc {\n"})),
			fault.Build, "handle.go:3:6: syntax error",
		},
		{"a file that is no code", spec(t, project(t, file{"go.mod", "module function\n"}, file{"handle.go", ""})), fault.Build, "handle.go:1:1: expected 'package'"},
		{"a name that the wrapper needs", spec(t, project(t, file{"go.mod", "module function\n"}, file{"handle.go", handler}, file{"kn-lite-main/x.go", "package x\n"})), fault.Usage, "kn-lite-main"},
		{"link out of the folder", node(func(s *Spec) {
			if err := os.Symlink("/etc/passwd", filepath.Join(s.Dir, "x")); err != nil {
				t.Fatal(err)
			}
		}), fault.Usage, "x: the link points to /etc/passwd"},
	}
	for _, tt := range tests {
		_, err := Build(context.Background(), tt.spec)
		if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v (%v)", tt.name, err, fault.KindOf(err))
		}
	}
}

func TestNoGoCommand(t *testing.T) {
	dir := goProject(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Build(context.Background(), spec(t, dir))
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Conflict || e.Subject != "go" || !strings.Contains(e.Hint, "go.dev") {
		t.Errorf("err = %v", err)
	}
}

func TestUserTreeIsNotWritten(t *testing.T) {
	needGo(t)
	dir := goProject(t)
	before := listing(t, dir)
	build(t, spec(t, dir))
	if diff := cmp.Diff(before, listing(t, dir)); diff != "" {
		t.Errorf("the build changed the folder:\n%s", diff)
	}
}

func listing(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(at)
		out[at] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCompiledFunctionServes(t *testing.T) {
	needGo(t)
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("runs what was built for linux/amd64")
	}
	styles := map[string]string{
		"static":    handler,
		"instanced": strings.Replace(handler, "func Handle", "type F struct{}\n\nfunc New() *F { return &F{} }\n\nfunc (*F) Handle", 1),
	}
	for name, text := range styles {
		dir := project(t, file{"go.mod", "module example.com/fn\n\ngo 1.21\n"}, file{"handle.go", text})
		if got := ask(t, extract(t, build(t, spec(t, dir)).Image, "app/function")); got != "hello" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestParsePlatform(t *testing.T) {
	for text, want := range map[string]v1.Platform{
		"linux/amd64": amd64(), "linux/arm64/v8": {OS: "linux", Architecture: "arm64"}, " linux/arm/v7": {OS: "linux", Architecture: "arm", Variant: "v7"},
	} {
		if got, err := ParsePlatform(text); err != nil || !got.Equals(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for text, hint := range map[string]string{
		"": "linux/amd64", "linux": "linux/amd64", "linux/": "linux/amd64", "darwin/arm64": "use linux/arm64", "linux/amd46": "did you mean linux/amd64", "linux/a/b/c": "for example", "linux/sparc": "known:",
	} {
		if _, err := ParsePlatform(text); fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), hint) {
			t.Errorf("%q: %v, %s", text, err, fault.HintOf(err))
		}
	}
}
