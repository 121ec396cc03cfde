package dockerfile

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/bases"
)

// realRegistry is a registry on loopback with the image "base:1", and a client of it.
func realRegistry(t *testing.T) (server *regtest.Server, client *registry.Client, ref string) {
	t.Helper()
	server = regtest.New()
	address, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	client, err = registry.New(registry.Options{Env: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return server, client, address + "/base:1"
}

// once is the Pull of a build with client.
func once(t *testing.T, client *registry.Client) Pull {
	return PullOnce(
		func(ref string, p v1.Platform) (v1.Image, error) { return client.Pull(t.Context(), ref, p) },
		func(ref string) (v1.Hash, error) { return client.Resolve(t.Context(), ref) },
	)
}

func requests(server *regtest.Server) string {
	var out []string
	for _, kind := range []regtest.Request{regtest.HeadTag, regtest.GetTag, regtest.GetManifest, regtest.GetBlob} {
		out = append(out, fmt.Sprintf("%s %d", kind, server.Count(kind)))
	}
	return strings.Join(out, ", ")
}

func TestBasesAreFetchedOnce(t *testing.T) {
	image, err := busybox()
	if err != nil {
		t.Skipf("SKIPPED, no busybox from Debian: %v", err)
	}
	server, client, ref := realRegistry(t)
	if err := bases.Push(t.Context(), image, ref); err != nil {
		t.Fatal(err)
	}
	p := newProject(t, strings.ReplaceAll(`FROM BASE AS a
RUN echo a > /a
FROM BASE AS b
RUN echo b > /b
FROM BASE
COPY --from=a /a /
COPY --from=b /b /
COPY --from=BASE /etc/passwd /copied
RUN cat /a /b > /both
`, "BASE", ref), nil)
	// The push has asked for the tag, too.
	for _, want := range []string{
		"HEAD tag 2, GET tag 0, GET manifest 1, GET blob 2", // its config and its layer
		"HEAD tag 3, GET tag 0, GET manifest 2, GET blob 3", // all are known: the config
		"HEAD tag 4, GET tag 0, GET manifest 3, GET blob 4", // a step is new: the layer is here
	} {
		p.pull = once(t, client)
		p.must(Options{Args: map[string]string{}})
		if got := requests(server); got != want {
			t.Errorf("requests: %s, want %s", got, want)
		}
		if strings.HasPrefix(want, "HEAD tag 3") {
			file := filepath.Join(p.dir, DefaultFile)
			text, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file, append(text, "RUN echo new > /new\n"...), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A tag that moves while a build goes on means what it meant at first, for all
// stages and platforms.
func TestTagThatMoves(t *testing.T) {
	_, client, ref := realRegistry(t)
	for _, label := range []string{"first", "second"} {
		index := mutate.AppendManifests(empty.Index)
		for _, arch := range []string{"amd64", "arm64"} {
			file := &v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Labels: map[string]string{"is": label}}}
			image, err := mutate.ConfigFile(empty.Image, file)
			if err != nil {
				t.Fatal(err)
			}
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		}
		if label == "first" {
			if err := bases.Push(t.Context(), index, ref); err != nil {
				t.Fatal(err)
			}
			continue
		}
		pull := once(t, client)
		label := func(arch string) string {
			image, err := pull(ref, v1.Platform{OS: "linux", Architecture: arch})
			if err != nil {
				t.Fatal(err)
			}
			config, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			return config.Config.Labels["is"]
		}
		before := label("amd64")
		if err := bases.Push(t.Context(), index, ref); err != nil {
			t.Fatal(err)
		}
		if got := []string{before, label("amd64"), label("arm64")}; !slices.Equal(got, []string{"first", "first", "first"}) {
			t.Errorf("the tag meant %v", got)
		}
		pull = once(t, client)
		if got := label("arm64"); got != "second" {
			t.Errorf("the tag of the next build meant %s", got)
		}
	}
}

// sparse is a tar whose one file has size bytes, all but the last of them a hole.
func sparse(t *testing.T, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "big", Mode: 0o644, Size: 1, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return patch(out.Bytes(), func(block []byte) {
		block[156] = tar.TypeGNUSparse
		copy(block[386:], fmt.Sprintf("%011o\x00%011o\x00", size-1, 1)) // where its one byte is
		copy(block[483:], fmt.Sprintf("%011o\x00", size))
	})
}

// promising is the head of a tar whose one file has size bytes.
func promising(t *testing.T, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "big", Mode: 0o644, Size: size, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// paxSparse is what GNU tar makes of such a file today: records in front of it,
// and a map of its parts in its content.
func paxSparse(t *testing.T, size int64) []byte {
	t.Helper()
	records := ""
	for _, kv := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=big", fmt.Sprint("GNU.sparse.realsize=", size)} {
		records += fmt.Sprintf("%d %s\n", len(kv)+4, kv)
	}
	parts := make([]byte, 512)
	copy(parts, fmt.Sprintf("1\n%d\n1\n", size-1))
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(content string) {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "name", Mode: 0o644, Size: int64(len(content))})
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err = errors.Join(err, w.Flush()); err != nil {
			t.Fatal(err)
		}
	}
	add(records)
	patch(out.Bytes(), func(block []byte) { block[156] = tar.TypeXHeader })
	add(string(parts) + "x")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// baseOf is an image of one gzipped layer, which the config says has the files of diffID.
func baseOf(t *testing.T, raw []byte, diffID v1.Hash) v1.Image {
	t.Helper()
	l := promised{static.NewLayer(zipped(t, raw), types.DockerLayer), diffID}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

type promised struct {
	v1.Layer
	diffID v1.Hash
}

func (p promised) DiffID() (v1.Hash, error) { return p.diffID, nil }

func hashOf(t *testing.T, raw []byte) v1.Hash {
	t.Helper()
	h, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestArchivesThatFillTheDisk(t *testing.T) {
	const big = 2_600_000_000
	for name, raw := range map[string][]byte{"a file with a hole": sparse(t, big), "a file with a hole, by PAX": paxSparse(t, big), "a file of zeros": promising(t, big)} {
		t.Run(name, func(t *testing.T) {
			p := newProject(t, "FROM base\nRUN true\n", nil)
			p.bases["base"] = baseOf(t, raw, hashOf(t, raw))
			for from, packed := range map[string][]byte{"base layer": nil, "ADD of a tar": raw, "ADD of a tar.gz": zipped(t, raw)} {
				if packed != nil {
					p = newProject(t, "FROM scratch\nADD a.tar /x/\n", map[string]string{"a.tar": string(packed)})
				}
				_, err := p.build(Options{})
				if err == nil || !strings.Contains(err.Error(), "made to fill the disk") || fault.KindOf(err) != fault.Build {
					t.Errorf("%s: %v", from, err)
				}
			}
		})
	}
}

func TestSparseFilesAreUnpacked(t *testing.T) {
	for _, raw := range [][]byte{sparse(t, 5_000_000), paxSparse(t, 5_000_000)} {
		p := newProject(t, "FROM busybox\nADD a.tar /x/\nRUN wc -c < /x/big > /size && tail -c 1 /x/big >> /size && rm /x/big\n", map[string]string{"a.tar": string(raw)})
		wantContent(t, p.must(Options{}), "size", "5000000\nx")
	}
}

// What a base's configuration says about its layers is what everybody else goes by.
func TestBaseWithOtherFilesThanPromised(t *testing.T) {
	raw := sparse(t, 10)
	p := newProject(t, "FROM base\nWORKDIR /made\n", nil)
	p.bases["base"] = baseOf(t, raw, hashOf(t, []byte("something else")))
	_, err := p.build(Options{})
	if err == nil || !strings.Contains(err.Error(), "the image's configuration says") {
		t.Errorf("err = %v", err)
	}
	p.bases["base"] = baseOf(t, raw, hashOf(t, raw))
	p.must(Options{})
}

func wantContent(t *testing.T, image *Image, name, want string) {
	t.Helper()
	if got := contentOf(t, image, name); got != want {
		t.Errorf("%s = %q, want %q", name, got, want)
	}
}

// contentOf returns a file of the image's own layers.
func contentOf(t *testing.T, image *Image, name string) string {
	t.Helper()
	for _, l := range slices.Backward(image.Layers) {
		content, err := l.Layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		for reader := tar.NewReader(content); ; {
			h, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Name == name {
				raw, err := io.ReadAll(reader)
				if err != nil {
					t.Fatal(err)
				}
				return string(raw)
			}
		}
	}
	t.Errorf("the image has no %s", name)
	return ""
}
