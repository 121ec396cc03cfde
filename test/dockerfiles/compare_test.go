//go:build e2e

// Package dockerfiles builds a corpus with kn-lite and with buildah and compares
// what came out, path by path.
package dockerfiles

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/bases"
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
	var raw bytes.Buffer
	tw := tar.NewWriter(&raw)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "p/", Mode: 0o750, Uid: 3, Gid: 4},
		{Typeflag: tar.TypeReg, Name: "p/f", Mode: 0o640, Uid: 3, Gid: 4, Size: 2},
		{Typeflag: tar.TypeSymlink, Name: "p/l", Linkname: "f", Mode: 0o777},
		{Typeflag: tar.TypeLink, Name: "p/h", Linkname: "p/f", Mode: 0o640, Uid: 3, Gid: 4},
	} {
		err := tw.WriteHeader(&h)
		if h.Size > 0 && err == nil {
			_, err = tw.Write([]byte("T\n"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	_, err := zw.Write(raw.Bytes())
	err = errors.Join(tw.Close(), err, zw.Close(),
		os.WriteFile(filepath.Join(dir, "t.tar"), raw.Bytes(), 0o644), os.WriteFile(filepath.Join(dir, "t.tar.gz"), zipped.Bytes(), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

func TestSameAsBuildah(t *testing.T) {
	kn, err := filepath.Abs("../../bin/kn-lite")
	if bin := os.Getenv("KN_LITE_BIN"); bin != "" {
		kn = bin
	}
	if _, statErr := os.Stat(kn); err != nil || statErr != nil {
		t.Fatalf("no kn-lite to test: run `make build` (%v)", statErr)
	}
	buildah, err := exec.LookPath("buildah")
	if err != nil {
		t.Fatal("no buildah to compare with: apt-get install buildah")
	}
	address, stop, err := regtest.Listen(regtest.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	base, err := bases.Busybox(context.Background(), filepath.Join(cache, "kn-lite-test-bases"))
	if err != nil {
		t.Fatal(err)
	}
	ref := address + "/busybox:1"
	if err := bases.Push(context.Background(), base, ref); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	folder := filepath.Join(work, "context")
	writeContext(t, folder)
	all := corpus()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	var ours, theirs time.Duration
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(work, name)
			if err := os.WriteFile(file, []byte(strings.ReplaceAll(all[name], "BASE", ref)), 0o644); err != nil {
				t.Fatal(err)
			}
			started := time.Now()
			run(t, []string{"HOME=" + filepath.Join(work, "home")}, kn, "build", folder, "--builder", "dockerfile", "--file", file,
				"--image", address+"/ours:1", "-o", "oci:"+file+".ours")
			ours += time.Since(started)
			started = time.Now()
			storage := []string{"--storage-driver", "vfs", "--root", filepath.Join(work, "storage"), "--runroot", filepath.Join(work, "run")}
			run(t, nil, buildah, append(storage, "bud", "-q", "--isolation", "chroot", "--tls-verify=false", "--layers=false", "-f", file, "-t", name, folder)...)
			run(t, nil, buildah, append(storage, "push", "-q", name, "oci:"+file+".theirs")...)
			theirs += time.Since(started)
			a, b := open(t, file+".ours"), open(t, file+".theirs")
			if diff := cmp.Diff(files(t, b), files(t, a)); diff != "" {
				t.Errorf("files (-buildah +kn-lite):\n%s", diff)
			}
			if diff := cmp.Diff(config(t, b), config(t, a)); diff != "" {
				t.Errorf("config (-buildah +kn-lite):\n%s", diff)
			}
		})
	}
	t.Logf("%d Dockerfiles: kn-lite %v, buildah (vfs) %v", len(names), ours.Round(time.Second/10), theirs.Round(time.Second/10))
}

func run(t *testing.T, env []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

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

// files is what a container would see: the layers on top of each other. What
// each builder leaves to mount on is no difference worth a word.
func files(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	remove := func(at string) {
		for name := range seen {
			if name == at || strings.HasPrefix(name, at+"/") {
				delete(seen, name)
			}
		}
	}
	for _, l := range layers {
		content, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		reader := tar.NewReader(content)
		for {
			h, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			name := path.Clean("/" + h.Name)
			if deleted, ok := strings.CutPrefix(path.Base(name), ".wh."); ok {
				remove(path.Join(path.Dir(name), deleted))
				continue
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, reader); err != nil {
				t.Fatal(err)
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
		if err := content.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, stub := range []string{"/", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"} {
		delete(seen, stub)
	}
	return seen
}

func config(t *testing.T, image v1.Image) v1.Config {
	t.Helper()
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := file.Config
	delete(c.Labels, "io.buildah.version")
	if len(c.Labels) == 0 {
		c.Labels = nil
	}
	// buildah leaves out what the OCI configuration has no word for.
	c.Shell, c.Healthcheck, c.OnBuild = nil, nil, nil
	slices.Sort(c.Env)
	return c
}
