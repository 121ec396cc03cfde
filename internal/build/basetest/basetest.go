// Package basetest makes layers of base images for tests: they have the programs
// that images of the languages are started with, as far as a build looks at them.
package basetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Programs returns the paths of the programs in Layer.
func Programs() []string {
	return []string{
		"bin/sh", "usr/bin/env", "usr/local/bin/docker-entrypoint.sh", "usr/local/bin/node", "usr/local/bin/npm", "usr/local/bin/python3",
		"opt/java/openjdk/bin/java", "usr/local/bin/java",
	}
}

// Layer returns a layer with the programs. They cannot be run. mark makes one layer
// another than the next.
func Layer(mark string) (v1.Layer, error) {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	var err error
	for _, name := range Programs() {
		err = errors.Join(err, add(tw, name, 0o755, head))
	}
	// A module that Python itself has.
	err = errors.Join(err, add(tw, "usr/local/lib/python3.13/http/__init__.py", 0o644, nil))
	if err = errors.Join(err, add(tw, "etc/mark", 0o644, []byte(mark)), tw.Close(), zw.Close()); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.DockerLayer))
}

func add(tw *tar.Writer, name string, mode int64, content []byte) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := tw.Write(content)
	return err
}
