//go:build e2e

package dockerfiles

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// plainFolder is how files shows a folder of root's with the usual mode.
const plainFolder = "5 0755 0:0 "

func open(t *testing.T, dir string) v1.Image {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// files is what a container would see: the layers on top of each other, each
// path with its type, mode, owner, content, link and attributes.
func files(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{"/": plainFolder} // most layers have no entry for it
	for _, l := range layers {
		content, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(addLayer(seen, content), content.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return seen
}

func addLayer(seen map[string]string, content io.Reader) error {
	remove := func(at string) {
		for name := range seen {
			if name == at || strings.HasPrefix(name, at+"/") {
				delete(seen, name)
			}
		}
	}
	reader := tar.NewReader(content)
	for {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean("/" + h.Name)
		if deleted, ok := strings.CutPrefix(path.Base(name), ".wh."); ok {
			if deleted == ".wh..opq" {
				old := seen[path.Dir(name)]
				remove(path.Dir(name))
				seen[path.Dir(name)] = old
			} else {
				remove(path.Join(path.Dir(name), deleted))
			}
			continue
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, reader); err != nil {
			return err
		}
		text := fmt.Sprintf("%c %04o %d:%d %s", h.Typeflag, h.Mode&0o7777, h.Uid, h.Gid, h.Linkname)
		switch h.Typeflag {
		case tar.TypeReg:
			text += fmt.Sprintf("%d %.4x", h.Size, sum.Sum(nil))
		case tar.TypeLink:
			text = seen[path.Clean("/"+h.Linkname)]
		}
		for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
			if attribute, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok && h.Typeflag != tar.TypeLink {
				text += fmt.Sprintf(" %s=%x", attribute, h.PAXRecords[key])
			}
		}
		if h.Typeflag != tar.TypeDir {
			remove(name)
		}
		seen[name] = text
	}
}

// config is the configuration as it is written, with every field that there is.
func config(t *testing.T, image v1.Image) map[string]any {
	t.Helper()
	raw, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Config map[string]any `json:"config"`
		Author string         `json:"author"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if file.Author != "" {
		file.Config["author"] = file.Author
	}
	return file.Config
}
