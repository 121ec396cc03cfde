package image_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// serviceImage makes an image with one layer, that of a service: its program with this
// content and mode, a link to it and a folder.
func serviceImage(t *testing.T, content string, mode int64, config v1.Config) v1.Image {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, h := range []tar.Header{
		{Name: "app/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "app/run", Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content)), Uid: 65532},
		{Name: "run", Typeflag: tar.TypeSymlink, Linkname: "app/run", Mode: 0o777},
	} {
		err := w.WriteHeader(&h)
		if err == nil && h.Size > 0 {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	made, err := mutate.Append(empty.Image, mutate.Addendum{Layer: layer, History: v1.History{Comment: "application", CreatedBy: "kn-lite"}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config, file.Created = "linux", "amd64", config, v1.Time{Time: time.Unix(0, 0)}
	if made, err = mutate.ConfigFile(made, file); err != nil {
		t.Fatal(err)
	}
	return made
}

// openImage writes images into a layout and opens that.
func openImage(t *testing.T, made v1.Image, attached ...attest.Artifact) *image.Images {
	t.Helper()
	dir := t.TempDir()
	writeLayout(t, dir, made, attached...)
	found, err := (&image.Opener{}).Open(t.Context(), "oci:"+dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSummarize(t *testing.T) {
	made := serviceImage(t, "#!/bin/sh", 0o4755, v1.Config{
		User: "65532", Entrypoint: []string{"/app/run"}, Env: []string{"A=1"},
		ExposedPorts: map[string]struct{}{"9090/tcp": {}, "8080/tcp": {}}, Labels: map[string]string{"l": "v"},
	})
	made, ok := mutate.Annotations(made, map[string]string{
		"org.opencontainers.image.base.name": "docker.io/library/alpine:3", "org.opencontainers.image.base.digest": "sha256:abc",
	}).(v1.Image)
	if !ok {
		t.Fatal("no image any more")
	}
	found := openImage(t, made, documentsOf(t, made)...)
	seen := &progresstest.Recorder{}
	got, err := found.Summarize(t.Context(), seen, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Images) != 1 || got.Index || got.Digest != digestOf(t, made).String() || got.Signatures != 0 {
		t.Fatalf("%+v", got)
	}
	one := got.Images[0]
	if one.Platform != "linux/amd64" || one.Base.String() != "docker.io/library/alpine:3 sha256:abc" || one.Config.User != "65532" ||
		!slices.Equal(one.Config.Ports, []string{"8080/tcp", "9090/tcp"}) || len(one.Attached) != 2 || one.Attached[0].Kind != image.SBOM {
		t.Errorf("%+v", one)
	}
	if len(one.Layers) != 1 || one.Layers[0].Name != "application" || one.Layers[0].FileCount != 2 || one.Size != one.Layers[0].Size || one.Size == 0 {
		t.Fatalf("%+v", one.Layers)
	}
	var lines []string
	for _, f := range one.Layers[0].Files {
		lines = append(lines, strings.Join([]string{f.Permissions, f.Mode, f.Type, f.Path, f.Target}, " "))
	}
	want := []string{"drwxr-xr-x 0755 folder /app ", "urwxr-xr-x 4755 file /app/run ", "Lrwxrwxrwx 0777 link /run app/run"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"start reading " + got.Name, "drop reading " + got.Name}, seen.Lines()); diff != "" {
		t.Error(diff)
	}
	if brief, err := found.Summarize(t.Context(), progress.Nop(), false); err != nil || len(brief.Images[0].Layers[0].Files) != 0 {
		t.Errorf("without files: %+v, %v", brief, err)
	}
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"base":{"name":"docker.io/library/alpine:3"`, `"fileCount":2`, `"attached":[{"kind":"sbom","type":`, `"signatures":0`, `"mode":"4755"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s lacks %s", raw, want)
		}
	}
	if strings.Contains(string(raw), "ermissions") {
		t.Errorf("%s shows a mode twice", raw)
	}
}

// A layer that cannot be read ends the task as a failure.
func TestSummarizeFails(t *testing.T) {
	found := openImage(t, serviceImage(t, "x", 0o755, v1.Config{}))
	found.Images[0] = broken{found.Images[0]}
	seen := &progresstest.Recorder{}
	if _, err := found.Summarize(t.Context(), seen, false); err == nil || !strings.Contains(err.Error(), "no layers today") {
		t.Errorf("%v", err)
	}
	if len(seen.Texts(progresstest.Fail)) != 1 {
		t.Errorf("%v", seen.Lines())
	}
}

type broken struct{ v1.Image }

func (broken) Layers() ([]v1.Layer, error) { return nil, errors.New("no layers today") }

func TestCompare(t *testing.T) {
	config := v1.Config{User: "65532", Env: []string{"A=1"}}
	before := openImage(t, serviceImage(t, "one", 0o755, config))
	for _, tt := range []struct {
		name  string
		b     *image.Images
		same  bool
		lines []string
		note  string
	}{
		{"the same", before, true, nil, "the same image: sha256:"},
		{"a file", openImage(t, serviceImage(t, "four", 0o700, config)), false, []string{"~ /app/run  content, size 3 → 4, mode 0755 → 0700"}, ""},
		{"a setting", openImage(t, serviceImage(t, "one", 0o755, v1.Config{User: "0", Env: []string{"A=1", "B=2"}})), false, []string{"~ config user: 65532 → 0", "+ config env B: 2"}, ""},
		{"nothing in it", openImage(t, serviceImage(t, "one", 0o755, v1.Config{User: "65532"})), false, []string{"- config env A: 1"}, ""},
	} {
		got, err := image.Compare(t.Context(), progress.Nop(), before, tt.b)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		slices.Sort(tt.lines)
		lines := slices.Sorted(slices.Values(got.Lines()))
		if diff := cmp.Diff(tt.lines, lines); diff != "" || got.Same != tt.same {
			t.Errorf("%s: same %v, %s", tt.name, got.Same, diff)
		}
		if notes := strings.Join(got.Notes(), "\n"); !strings.HasPrefix(notes, tt.note) || (tt.note == "") != (notes == "") {
			t.Errorf("%s: notes %q", tt.name, notes)
		}
	}
	other := openImage(t, serviceImage(t, "four", 0o755, config))
	got, err := image.Compare(t.Context(), progress.Nop(), before, other)
	if err != nil || !slices.Equal(got.Paths(), []string{"/app/run"}) || got.First != "/app/run (content, size)" {
		t.Errorf("%+v, %v", got, err)
	}
	arm := imageFor(t, v1.Platform{OS: "linux", Architecture: "arm64"})
	got, err = image.Compare(t.Context(), progress.Nop(), before, openImage(t, arm))
	if err != nil || !slices.Equal(got.Lines(), []string{"- platform linux/amd64", "+ platform linux/arm64"}) {
		t.Errorf("%q, %v", got.Lines(), err)
	}
}
