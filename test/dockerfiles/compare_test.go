//go:build e2e

// Package dockerfiles builds a corpus with kn-lite, with buildkit, which is the
// reference, and with buildah, and compares what came out, path by path.
package dockerfiles

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// writeContext makes the folder that all of the corpus is built in.
func writeContext(t *testing.T, dir string) {
	t.Helper()
	for name, content := range map[string]string{
		"a.txt": "A\n", "b.txt": "B\n", "dir/x": "X\n", "dir/sub/y": "Y\n", "node_modules/m.js": "m\n", ".dockerignore": "node_modules\n",
	} {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("x", filepath.Join(dir, "dir/link")), os.Chmod(filepath.Join(dir, "b.txt"), 0o755)); err != nil {
		t.Fatal(err)
	}
	writeArchive(t, filepath.Join(dir, "t.tar"), []tar.Header{
		{Typeflag: tar.TypeDir, Name: "p/", Mode: 0o750, Uid: 3, Gid: 4},
		{Typeflag: tar.TypeReg, Name: "p/f", Mode: 0o640, Uid: 3, Gid: 4, Size: 2},
		{Typeflag: tar.TypeSymlink, Name: "p/l", Linkname: "f", Mode: 0o777},
		{Typeflag: tar.TypeLink, Name: "p/h", Linkname: "p/f", Mode: 0o640, Uid: 3, Gid: 4},
	})
	writeArchive(t, filepath.Join(dir, "parents.tar"), []tar.Header{
		{Typeflag: tar.TypeReg, Name: "q/r/f", Mode: 0o600, Uid: 3, Gid: 4, Size: 2},
		{Typeflag: tar.TypeDir, Name: "q/s/", Mode: 0o700, Uid: 5, Gid: 6},
	})
	writeArchive(t, filepath.Join(dir, "root.tar"), []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700, Uid: 3, Gid: 4},
		{Typeflag: tar.TypeReg, Name: "./f", Mode: 0o640, Uid: 3, Gid: 4, Size: 2},
		{Typeflag: tar.TypeDir, Name: "./home/", Mode: 0o711, Uid: 3, Gid: 4},
	})
	writeArchive(t, filepath.Join(dir, "inner.tar"), []tar.Header{
		{Typeflag: tar.TypeSymlink, Name: "there", Linkname: "/etc/there", Mode: 0o777},
		{Typeflag: tar.TypeReg, Name: "there/f", Mode: 0o644, Size: 2},
		{Typeflag: tar.TypeSymlink, Name: "up", Linkname: "../../../home", Mode: 0o777},
		{Typeflag: tar.TypeReg, Name: "up/f", Mode: 0o644, Size: 2},
	})
}

// writeArchive writes an archive, and the same compressed beside it.
func writeArchive(t *testing.T, file string, headers []tar.Header) {
	t.Helper()
	var raw, zipped bytes.Buffer
	tw, zw := tar.NewWriter(&raw), gzip.NewWriter(&zipped)
	var err error
	for _, h := range headers {
		err = errors.Join(err, tw.WriteHeader(&h))
		if h.Size > 0 {
			_, writeErr := tw.Write([]byte("T\n"))
			err = errors.Join(err, writeErr)
		}
	}
	err = errors.Join(err, tw.Close())
	_, writeErr := zw.Write(raw.Bytes())
	err = errors.Join(err, writeErr, zw.Close(), os.WriteFile(file, raw.Bytes(), 0o644), os.WriteFile(file+".gz", zipped.Bytes(), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// reference is a builder that kn-lite's images are compared with.
type reference struct {
	name string
	// build writes the image as a layout into out. What it prints is returned.
	build func(c *testCase, file, out string) (string, error)
	// Differences that no case is to blame for.
	trim func(files map[string]string, config map[string]any)
}

// TestSameAsBuildkit builds the corpus with kn-lite and with buildkit, and a part
// of it with buildah too. FULL=1 builds all that buildah can with buildah.
func TestSameAsBuildkit(t *testing.T) {
	s := newSuite(t)
	buildkit, buildah := s.buildkit(t), s.buildah(t)
	all := corpus(t)
	t.Run("builds", func(t *testing.T) {
		for i, name := range slices.Sorted(maps.Keys(all)) {
			c := all[name]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c.prepare(t, s, name)
				ours, said, err := s.ours(t, c)
				s.compare(t, c, buildkit, ours, said, err)
				if c.buildah && (i%12 == 0 || os.Getenv("FULL") == "1") {
					s.compare(t, c, buildah, ours, said, err)
				}
			})
		}
	})
	t.Logf("%d Dockerfiles: %s", len(all), s.times())
}

// compare builds c with a reference and compares the result with ours.
func (s *suite) compare(t *testing.T, c *testCase, r reference, ours v1.Image, oursSaid string, oursErr error) {
	t.Helper()
	out := c.file + "." + r.name
	started := time.Now()
	said, err := r.build(c, c.file, out)
	s.took(r.name, time.Since(started))
	if c.fails != "" {
		if err == nil {
			t.Errorf("%s builds it, and it should not", r.name)
		}
		if oursErr == nil || !strings.Contains(oursSaid, c.fails) {
			t.Errorf("kn-lite: %v, want an error with %q\n%s", oursErr, c.fails, oursSaid)
		}
		return
	}
	if err != nil && (c.differs == "" || oursErr != nil) {
		t.Fatalf("%s: %v\n%s", r.name, err, said)
	}
	if err != nil {
		return // we build what it does not
	}
	if oursErr != nil {
		t.Fatalf("kn-lite: %v\n%s", oursErr, oursSaid)
	}
	theirs := open(t, out)
	wantFiles, wantConfig, gotFiles, gotConfig := files(t, theirs), config(t, theirs), files(t, ours), config(t, ours)
	for _, pair := range []struct {
		files  map[string]string
		config map[string]any
	}{{wantFiles, wantConfig}, {gotFiles, gotConfig}} {
		if r.trim != nil {
			r.trim(pair.files, pair.config)
		}
	}
	filesDiff, configDiff := cmp.Diff(wantFiles, gotFiles), cmp.Diff(wantConfig, gotConfig)
	if c.differs != "" {
		if filesDiff == "" && configDiff == "" {
			t.Errorf("the same as %s's, although documented as different: %s", r.name, c.differs)
		}
		return
	}
	if filesDiff != "" {
		t.Errorf("files (-%s +kn-lite):\n%s", r.name, filesDiff)
	}
	if configDiff != "" {
		t.Errorf("config (-%s +kn-lite):\n%s", r.name, configDiff)
	}
}
