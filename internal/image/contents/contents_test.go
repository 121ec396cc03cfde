package contents

import (
	"archive/tar"
	"bytes"
	"context"
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
)

// layerOf makes a layer of tar headers; a regular file's content is its Linkname.
func layerOf(t *testing.T, compression int, headers ...tar.Header) v1.Layer {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }, tarball.WithCompressionLevel(compression))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Linkname: content}
}

func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }

func imageOf(t *testing.T, config v1.Config, layers ...v1.Layer) *Image {
	t.Helper()
	image := empty.Image
	for i, l := range layers {
		var err error
		image, err = mutate.Append(image, mutate.Addendum{Layer: l, History: v1.History{CreatedBy: "test", Comment: string(rune('a' + i))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	image, err := mutate.Config(image, config)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Load(context.Background(), image, map[v1.Hash][]Entry{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func names(tree map[string]Entry) []string { return union(tree, nil) }

func TestTreeAppliesWhiteouts(t *testing.T) {
	image := imageOf(t, v1.Config{},
		layerOf(t, 1, dir("./"), dir("etc/"), file("etc/passwd", "x"), file("etc/group", "y"), dir("opt/"), file("opt/old/a", "1"), file("opt/old/b", "2"), dir("var/"), file("var/x/y", "z")),
		layerOf(t, 1, file("etc/.wh.group", ""), file("opt/old/c", "3"), file("opt/old/.wh..wh..opq", ""), file("var", "a file now"), file("/abs", "q")),
	)
	want := []string{"abs", "etc", "etc/passwd", "opt", "opt/old/c", "var"}
	if diff := cmp.Diff(want, names(image.Tree())); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if n := image.Layers[0].Files(); n != 5 {
		t.Errorf("%d files in the first layer, want 5", n)
	}
	if l := image.Layers[1]; l.CreatedBy != "test" || l.Comment != "b" {
		t.Errorf("history: %q %q", l.CreatedBy, l.Comment)
	}
}

// Each kind of difference is found, and alone.
func TestCompareFiles(t *testing.T) {
	plain := file("a", "1")
	for want, other := range map[string]tar.Header{
		"content":       file("a", "2"),
		"content, size": file("a", "22"),
		"mode":          {Typeflag: tar.TypeReg, Name: "a", Mode: 0o4644, Linkname: "1"},
		"owner":         {Typeflag: tar.TypeReg, Name: "a", Mode: 0o644, Linkname: "1", Uid: 1},
		"time":          {Typeflag: tar.TypeReg, Name: "a", Mode: 0o644, Linkname: "1", ModTime: time.Unix(5, 0)},
		"type, mode":    {Typeflag: tar.TypeSymlink, Name: "a", Mode: 0o777, Linkname: "1"},
		"attributes":    {Typeflag: tar.TypeReg, Name: "a", Mode: 0o644, Linkname: "1", PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}},
	} {
		plain.ModTime = time.Unix(0, 0)
		if want != "time" {
			other.ModTime = plain.ModTime
		}
		d := Compare(imageOf(t, v1.Config{}, layerOf(t, 1, plain)), imageOf(t, v1.Config{}, layerOf(t, 1, other)))
		if len(d.Files) != 1 || len(d.Config) > 0 || d.Same() {
			t.Errorf("%s: %+v", want, d)
			continue
		}
		if got := strings.Join(d.Files[0].What, ", "); got != want {
			t.Errorf("what differs: %s, want %s", got, want)
		}
	}
}

func TestCompareNamesTheFirst(t *testing.T) {
	a := imageOf(t, v1.Config{User: "1"}, layerOf(t, 1, file("z", "1"), file("app/b", "1"), file("app/a", "1")))
	b := imageOf(t, v1.Config{User: "2", Env: []string{"A=1"}}, layerOf(t, 1, file("new", "1"), file("app/b", "2"), file("app/a", "1")))
	d := Compare(a, b)
	var got []string
	for _, f := range d.Files {
		got = append(got, string(f.Change)+" "+f.Path)
	}
	if diff := cmp.Diff([]string{"changed app/b", "added new", "removed z"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if d.First() != "/app/b (content)" {
		t.Errorf("first: %s", d.First())
	}
	want := []ConfigChange{{Name: "env A", Change: Added, After: "1"}, {Name: "user", Change: Changed, Before: "1", After: "2"}}
	if diff := cmp.Diff(want, d.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

// The same files in other layers are the same to a container.
func TestComparePacking(t *testing.T) {
	a := imageOf(t, v1.Config{}, layerOf(t, 1, file("a", "1"), file("b", "2")))
	split := imageOf(t, v1.Config{}, layerOf(t, 1, file("a", "1")), layerOf(t, 1, file("b", "2")))
	if d := Compare(a, split); !d.Same() || !slices.Contains(d.Packing, "the number of layers: 1 and 2") {
		t.Errorf("split: %+v", d)
	}
	harder := imageOf(t, v1.Config{}, layerOf(t, 9, file("a", strings.Repeat("1 2 3 4 ", 500)+"x")))
	softer := imageOf(t, v1.Config{}, layerOf(t, 0, file("a", strings.Repeat("1 2 3 4 ", 500)+"x")))
	if d := Compare(harder, softer); !d.Same() || d.First() != "layer 1 is compressed in another way" {
		t.Errorf("compressed: %+v", d)
	}
	if d := Compare(a, a); !d.Same() || len(d.Packing) > 0 || d.First() != "" {
		t.Errorf("with itself: %+v", d)
	}
}

func TestPairs(t *testing.T) {
	amd, arm := &Image{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}}, &Image{Platform: v1.Platform{OS: "linux", Architecture: "arm64"}}
	got := Pairs([]*Image{arm, amd}, []*Image{amd})
	want := []Pair{{"linux/amd64", amd, amd}, {"linux/arm64", arm, nil}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}

func TestLoadReadsEachLayerOnce(t *testing.T) {
	l := layerOf(t, 1, file("a", "1"))
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	id, err := l.DiffID()
	if err != nil {
		t.Fatal(err)
	}
	known := map[v1.Hash][]Entry{id: {{Path: "from before", Type: File}}}
	got, err := Load(context.Background(), image, known)
	if err != nil || got.Layers[0].Entries[0].Path != "from before" {
		t.Errorf("%+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Load(ctx, image, map[v1.Hash][]Entry{}); err == nil {
		t.Error("a cancelled context reads on")
	}
}

func TestWords(t *testing.T) {
	if got := Words([]string{"/bin/sh", "-c", "a b", ""}); got != `/bin/sh -c "a b" ""` {
		t.Errorf("got %s", got)
	}
}
