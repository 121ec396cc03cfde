package image_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/attest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/image/layout"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/server"
)

func amd64() v1.Platform { return v1.Platform{OS: "linux", Architecture: "amd64"} }

// imageFor makes an image of some layers for a platform.
func imageFor(t *testing.T, p v1.Platform) v1.Image {
	t.Helper()
	made, err := random.Image(300, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = p.OS, p.Architecture
	if made, err = mutate.ConfigFile(made, config); err != nil {
		t.Fatal(err)
	}
	return made
}

func digestOf(t *testing.T, of interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	digest, err := of.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// documentsOf makes an SBOM and a provenance of an image.
func documentsOf(t *testing.T, made v1.Image) []attest.Artifact {
	t.Helper()
	raw, err := made.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	subject := attest.Descriptor{MediaType: string(types.OCIManifestSchema1), Digest: digestOf(t, made).String(), Size: int64(len(raw))}
	var out []attest.Artifact
	for _, kind := range []string{attest.SPDXType, attest.InTotoType} {
		out = append(out, attest.Artifact{Type: kind, Subject: subject, Blobs: []attest.Blob{{MediaType: kind, Content: []byte(`{"kind":"` + kind + `"}`)}}})
	}
	return out
}

// writeLayout writes a layout with our own writer.
func writeLayout(t *testing.T, dir string, made v1.Image, attached ...attest.Artifact) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := layout.Writer{Root: root}
	if err := errors.Join(w.Start(), w.Image(made, func(v1.Hash) bool { return true })); err != nil {
		t.Fatal(err)
	}
	raw, err := made.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	all := []v1.Descriptor{{MediaType: types.OCIManifestSchema1, Digest: digestOf(t, made), Size: int64(len(raw))}}
	for _, a := range attached {
		d, err := w.Artifact(a)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *d)
	}
	if err := w.Finish(all); err != nil {
		t.Fatal(err)
	}
}

// newRegistry serves a registry and returns its host and a client of it.
func newRegistry(t *testing.T) (string, *registry.Client) {
	t.Helper()
	handler, err := server.Open(t.Context(), t.TempDir(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	client, err := registry.New(registry.Options{Auths: [][]byte{server.ClientConfig(host, "secret")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return host, client
}

// One image is the same, with what is attached to it, by whatever name it is opened.
func TestOpen(t *testing.T) {
	host, client := newRegistry(t)
	made := imageFor(t, amd64())
	documents := documentsOf(t, made)
	ref := host + "/team/app:v1"
	all := func(context.Context) ([]attest.Artifact, error) { return documents, nil }
	if _, err := client.PushWith(t.Context(), made, ref, registry.Attached{Documents: all}); err != nil {
		t.Fatal(err)
	}
	dir, file, project := t.TempDir(), filepath.Join(t.TempDir(), "image.tar"), t.TempDir()
	writeLayout(t, dir, made, documents...)
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(file, tag, made); err != nil {
		t.Fatal(err)
	}
	opener := image.Opener{
		Registry: func() (*registry.Client, error) { return client, nil },
		Project: func(_ context.Context, at string, _ *registry.Client) (*image.Artifact, error) {
			if at != project {
				t.Errorf("the project in %s", at)
			}
			return &image.Artifact{Top: made, Attached: documents}, nil
		},
	}
	for _, tt := range []struct {
		name     string
		local    bool
		attached int
	}{{ref, false, 2}, {"oci:" + dir, true, 2}, {"tar:" + file, true, 0}, {project, true, 2}} {
		for _, only := range []*v1.Platform{nil, {OS: "linux", Architecture: "amd64"}} {
			found, err := opener.Open(t.Context(), tt.name, only)
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			// A tarball has no manifest, so its image may have another digest.
			if got := digestOf(t, made); found.Digest != got && tt.attached > 0 || found.Index || found.Local != tt.local || len(found.Images) != 1 {
				t.Errorf("%s: %+v, want the digest %s", tt.name, found, got)
			}
			attached, err := found.Attached(t.Context(), found.Digest)
			if err != nil || len(attached) != tt.attached {
				t.Errorf("%s: attached are %v, %v", tt.name, attached, err)
			}
			document, err := found.Document(t.Context(), attest.SPDXType, "SBOM")
			switch {
			case tt.attached == 0 && fault.KindOf(err) != fault.NotFound:
				t.Errorf("%s: an SBOM from nowhere: %v", tt.name, err)
			case tt.attached > 0 && (err != nil || string(document.Text) != string(documents[0].Blobs[0].Content)):
				t.Errorf("%s: the SBOM is %+v, %v", tt.name, document, err)
			}
			if n, err := found.Signatures(t.Context()); n != 0 || err != nil {
				t.Errorf("%s: %d signatures, %v", tt.name, n, err)
			}
			images, err := found.Read(t.Context(), map[v1.Hash][]contents.Entry{})
			if err != nil || len(images) != 1 || len(images[0].Layers) != 2 || images[0].Layers[0].Files() != 1 {
				t.Errorf("%s: read %+v, %v", tt.name, images, err)
			}
		}
		if _, err := opener.Open(t.Context(), tt.name, &v1.Platform{OS: "linux", Architecture: "s390x"}); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s for s390x: %v", tt.name, err)
		}
	}
}

// What another tool writes, with an index in the index, is opened too, also where its
// files are links to elsewhere.
func TestOpenLayoutOfOthers(t *testing.T) {
	arm := v1.Platform{OS: "linux", Architecture: "arm64"}
	var index v1.ImageIndex = empty.Index
	for _, p := range []v1.Platform{amd64(), arm} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: imageFor(t, p), Descriptor: v1.Descriptor{Platform: &p}})
	}
	dir, linked := t.TempDir(), t.TempDir()
	path, err := ggcr.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.json", "oci-layout", "blobs"} {
		if err := os.Symlink(filepath.Join(dir, name), filepath.Join(linked, name)); err != nil {
			t.Fatal(err)
		}
	}
	host, client := newRegistry(t)
	opener := image.Opener{Registry: func() (*registry.Client, error) { return client, nil }}
	for n, at := range []string{dir, linked} {
		found, err := opener.Open(t.Context(), "oci:"+at, nil)
		if err != nil || !found.Index || len(found.Images) != 2 || found.Digest != digestOf(t, index) {
			t.Fatalf("%s: %+v, %v", at, found, err)
		}
		artifact, err := image.OpenLayout(at)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := client.Push(t.Context(), artifact.Top, host+"/app:v"+string(rune('1'+n)))
		if err != nil || !strings.HasSuffix(ref, digestOf(t, index).String()) {
			t.Errorf("pushed %s, %v", ref, err)
		}
		pushed, err := opener.Open(t.Context(), ref, nil)
		if err != nil || len(pushed.Images) != 2 {
			t.Errorf("pulled %+v, %v", pushed, err)
		}
	}
}

// What is no layout, or a damaged one, is an error of the kind Usage that says so.
func TestOpenRefuses(t *testing.T) {
	made := imageFor(t, amd64())
	manifest, err := made.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	documents := documentsOf(t, made)
	for what, damage := range map[string]func(dir string) error{
		"no index":    func(dir string) error { return os.Remove(filepath.Join(dir, "index.json")) },
		"no JSON":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o600) },
		"no image":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "index.json"), []byte("{}"), 0o600) },
		"no manifest": func(dir string) error { return os.Remove(layout.BlobFile(dir, digestOf(t, made))) },
		"a manifest that was changed": func(dir string) error {
			return os.WriteFile(layout.BlobFile(dir, digestOf(t, made)), []byte("{}"), 0o600)
		},
		"a cut config": func(dir string) error { return os.Truncate(layout.BlobFile(dir, manifest.Config.Digest), 7) },
		"a document that was changed": func(dir string) error {
			hash, err := v1.NewHash(attest.Digest(documents[0].Blobs[0].Content))
			return errors.Join(err, os.WriteFile(layout.BlobFile(dir, hash), []byte("{}"), 0o600))
		},
	} {
		dir := t.TempDir()
		writeLayout(t, dir, made, documents...)
		if _, err := image.OpenLayout(dir); err != nil {
			t.Fatal(err)
		}
		if err := damage(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := image.OpenLayout(dir); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", what, err)
		}
	}
	missing := filepath.Join(t.TempDir(), "nowhere")
	for _, name := range []string{"oci:" + missing, "tar:" + missing} {
		if _, err := image.OpenFile(name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := image.OpenFile("tar:" + text); fault.KindOf(err) != fault.Usage {
		t.Errorf("a text: %v", err)
	}
	for name, want := range map[string]bool{"oci:a": true, "tar:b": true, "oci:": false, "ghcr.io/me/x:v1": false, ".": false, "tar": false} {
		if image.IsFile(name) != want {
			t.Errorf("IsFile(%q) is %v", name, !want)
		}
	}
}

func TestDiff(t *testing.T) {
	arm := v1.Platform{OS: "linux", Architecture: "arm64"}
	one, two, other := imageFor(t, amd64()), imageFor(t, amd64()), imageFor(t, arm)
	open := func(images ...v1.Image) *image.Images {
		t.Helper()
		if len(images) == 1 {
			dir := t.TempDir()
			writeLayout(t, dir, images[0])
			found, err := (&image.Opener{}).Open(t.Context(), "oci:"+dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		var index v1.ImageIndex = empty.Index
		for _, i := range images {
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: i})
		}
		dir := t.TempDir()
		path, err := ggcr.Write(dir, empty.Index)
		if err == nil {
			err = path.AppendIndex(index)
		}
		if err != nil {
			t.Fatal(err)
		}
		found, err := (&image.Opener{}).Open(t.Context(), "oci:"+dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	read := func(i *image.Images, known map[v1.Hash][]contents.Entry) ([]*contents.Image, error) {
		return i.Read(t.Context(), known)
	}
	for _, tt := range []struct {
		name         string
		a, b         *image.Images
		same         bool
		platforms    int
		first        string
		onlyA, onlyB bool
	}{
		{"the same", open(one), open(one), true, 0, "", false, false},
		{"others", open(one), open(two), false, 1, "/random_file_", false, false},
		{"another platform", open(one), open(other), false, 2, "the platforms: linux/amd64", true, true},
		{"one more", open(one), open(one, other), false, 2, "the platforms: linux/arm64", false, true},
		{"one of two", open(one, other), open(two, other), false, 2, "for linux/amd64", false, false},
	} {
		d, err := image.Diff(tt.a, tt.b, read)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		onlyA, onlyB := false, false
		for _, p := range d.Platforms {
			onlyA, onlyB = onlyA || p.OnlyA, onlyB || p.OnlyB
		}
		if d.Same != tt.same || len(d.Platforms) != tt.platforms || !strings.Contains(d.First, tt.first) || onlyA != tt.onlyA || onlyB != tt.onlyB {
			t.Errorf("%s: %+v", tt.name, d)
		}
	}
}
