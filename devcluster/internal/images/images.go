// Package images makes container images out of static programs, without a base
// image to pull and without a container engine: the same program gives the same
// digest on any machine.
package images

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is the unprivileged identity that images run as. Numeric, because the
// kubelet cannot check a name against runAsNonRoot.
const User = "65532:65532"

// Program is one image: a static binary over a minimal root.
type Program struct {
	// Name is the file's name in the image, run as its entry point.
	Name string
	// Binary is the file on this machine.
	Binary string
	// Roots is a PEM bundle of certificate authorities; may be empty.
	Roots []byte
	// OS and Arch name the platform that Binary was compiled for.
	OS, Arch string
}

// file is one entry of a layer; a nil Body is a folder.
type file struct {
	path string
	mode int64
	body []byte
}

// Build assembles the image. Layers are not compressed: these images only ever
// travel over loopback, where compressing costs more than it saves.
func Build(p Program) (v1.Image, error) {
	binary, err := os.ReadFile(p.Binary)
	if err != nil {
		return nil, err
	}
	base, err := layer(root(p.Roots))
	if err != nil {
		return nil, err
	}
	entry := "/app/" + p.Name
	app, err := layer([]file{{"app", 0o755, nil}, {strings.TrimPrefix(entry, "/"), 0o755, binary}})
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.AppendLayers(img, base, app)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = p.OS, p.Arch
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{
		User:       User,
		Entrypoint: []string{entry},
		WorkingDir: "/home/nonroot",
		Env: []string{
			"PATH=/app:/usr/bin:/bin",
			"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
			"KO_DATA_PATH=/var/run/ko", // Knative's programs look for their data there
		},
	}
	return mutate.ConfigFile(img, config)
}

// root is what a static program may expect of a file system.
func root(roots []byte) []file {
	return []file{
		{"etc", 0o755, nil},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n")},
		{"etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n")},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		{"etc/ssl", 0o755, nil},
		{"etc/ssl/certs", 0o755, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, append([]byte{}, roots...)},
		{"home", 0o755, nil},
		{"home/nonroot", 0o777, nil},
		{"tmp", 0o1777, nil},
		{"var", 0o755, nil},
		{"var/run", 0o755, nil},
		{"var/run/ko", 0o755, nil},
	}
}

// layer writes files in path order with no owner but root and no time but the
// epoch, so that the digest depends on their content alone.
func layer(files []file) (v1.Layer, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: path.Clean(f.path), Mode: f.mode, Typeflag: tar.TypeReg, Size: int64(len(f.body)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if f.body == nil {
			h.Name, h.Typeflag, h.Size = h.Name+"/", tar.TypeDir, 0
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
		if _, err := io.Copy(w, bytes.NewReader(f.body)); err != nil {
			return nil, fmt.Errorf("%s: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return static.NewLayer(out.Bytes(), types.OCIUncompressedLayer), nil
}

// Save writes img as the only image of an OCI layout in dir, which it makes,
// and returns the image's digest.
func Save(img v1.Image, dir string) (string, error) {
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", err
	}
	if err := l.AppendImage(img); err != nil {
		return "", err
	}
	digest, err := img.Digest()
	return digest.String(), err
}

// Load opens the only image of the layout in dir.
func Load(dir string) (v1.Image, error) {
	l, err := layout.FromPath(dir)
	if err != nil {
		return nil, err
	}
	index, err := l.ImageIndex()
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(m.Manifests) != 1 {
		return nil, fmt.Errorf("%s: %d images in a layout of one", dir, len(m.Manifests))
	}
	return index.Image(m.Manifests[0].Digest)
}
