//go:build e2e

package registries

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/test/bases"
)

// dockerfile has something of everything that a layer can hold.
const dockerfile = `FROM BASE AS tools
RUN mkdir -p /opt/tools && echo 1 > /opt/tools/one && ln /opt/tools/one /opt/tools/two && ln -s one /opt/tools/three
FROM BASE
RUN rm /bin/wget && rm -r /var/run && mkdir -m 1777 /data && echo hello > /data/file && chown 1000:2000 /data/file && chmod 4750 /data/file && mkfifo /data/pipe
COPY --from=tools /opt /opt
COPY --chown=1000:1000 . /app/
RUN rm /app/gone && mkdir /app/gone && touch "/app/gone/with space" /app/ümlaut
USER app
CMD ["cat", "/data/file"]
`

// TestPeers: everything that kn-lite pushes or writes is read, validated and
// unpacked by skopeo and umoci, and the trees that come out are what kn-lite
// itself says is in the image.
func TestPeers(t *testing.T) {
	address := startRegistry(t)
	d := newDesk(t)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	base, err := bases.Busybox(context.Background(), filepath.Join(cache, "kn-lite-test-bases"))
	if err != nil {
		t.Fatal(err)
	}
	if err := bases.Push(context.Background(), base, address+"/base/busybox:1"); err != nil {
		t.Fatal(err)
	}
	d.write(t, map[string]string{
		"docker/Dockerfile": strings.ReplaceAll(dockerfile, "BASE", address+"/base/busybox:1"),
		"docker/gone":       "x", "docker/" + strings.Repeat("long/", 40) + "file": "deep", "docker/script": "#!/bin/sh\n",
	})
	d.run(t, "kn-lite", "func", "create", "hello", "-l", "go")

	tests := []struct {
		name      string
		dir       string
		args      []string
		platforms []string
		tar       bool
	}{
		{"single image", "hello", nil, []string{"amd64"}, true},
		{"index of two", "hello", []string{"--platform", "linux/amd64,linux/arm64"}, []string{"amd64", "arm64"}, false},
		{"Dockerfile", "docker", []string{"--builder", "dockerfile"}, []string{"amd64"}, true},
	}
	for n, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tag := fmt.Sprintf("%s/peers/image%d:v1", address, n)
			layout, file := fmt.Sprintf("layout%d", n), fmt.Sprintf("image%d.tar", n)
			args := append([]string{"build", tt.dir, "--image", tag, "--push", "-o", "oci:" + layout}, tt.args...)
			ref := d.run(t, "kn-lite", args...)
			_, digest, _ := strings.Cut(ref, "@")
			d.sameDigest(t, tag, digest)
			// The layout holds the image's documents too, so the image goes by its name.
			layout += ":" + tag
			d.copyWhole(t, n, tag, layout)
			d.hasDocuments(t, tag)
			for _, arch := range tt.platforms {
				want := d.inspect(t, tag, arch)
				place := fmt.Sprintf("%d-%s", n, arch)
				d.unpacksTo(t, want, "docker://"+tag, place+"-pushed", arch)
				d.unpacksTo(t, want, "oci:"+layout, place+"-layout", arch)
				if tt.tar {
					d.run(t, "kn-lite", append([]string{"build", tt.dir, "--image", tag, "-o", "tar:" + file}, tt.args...)...)
					d.unpacksTo(t, want, "docker-archive:"+file, place+"-tar", arch)
				}
			}
		})
	}
}

// sameDigest asks docker-registry through skopeo what the tag names.
func (d *desk) sameDigest(t *testing.T, tag, digest string) {
	t.Helper()
	raw := d.run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+tag)
	if sum := sha256.Sum256([]byte(raw)); "sha256:"+hex.EncodeToString(sum[:]) != digest {
		t.Errorf("skopeo reads another manifest than %s:\n%s", digest, raw)
	}
	var seen struct{ Digest, Os string }
	if err := json.Unmarshal([]byte(d.run(t, "skopeo", "inspect", "--override-arch", "amd64", "--tls-verify=false", "docker://"+tag)), &seen); err != nil {
		t.Fatal(err)
	}
	if seen.Digest != digest || seen.Os != "linux" {
		t.Errorf("skopeo inspect says %+v, want %s", seen, digest)
	}
}

// copyWhole copies all of an image, from the registry and from the layout, to
// another layout and back to the registry. skopeo checks each blob against its
// digest; no image may change on the way. An index does: skopeo 1.9 writes it anew.
func (d *desk) copyWhole(t *testing.T, n int, tag, layout string) {
	t.Helper()
	want := d.images(t, tag)
	for i, from := range []string{"docker://" + tag, "oci:" + layout} {
		to := fmt.Sprintf("oci:copy%d-%d", n, i)
		skopeo := []string{"--insecure-policy", "copy", "-q", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"}
		d.run(t, "skopeo", append(skopeo, from, to)...)
		again := fmt.Sprintf("%s-%d", tag, i)
		d.run(t, "skopeo", append(skopeo, to, "docker://"+again)...)
		if diff := cmp.Diff(want, d.images(t, again)); diff != "" {
			t.Errorf("%s and back (-before +after):\n%s", from, diff)
		}
	}
}

// hasDocuments finds the documents of each image where registries of before OCI
// 1.1, as docker-registry 2.8, list them: under a tag made of the digest.
func (d *desk) hasDocuments(t *testing.T, tag string) {
	t.Helper()
	repository := tag[:strings.LastIndex(tag, ":")]
	for _, image := range d.images(t, tag) {
		var index struct {
			Manifests []struct{ ArtifactType, Digest string }
		}
		raw := d.run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+repository+":"+strings.Replace(image, ":", "-", 1))
		if err := json.Unmarshal([]byte(raw), &index); err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, m := range index.Manifests {
			kinds = append(kinds, m.ArtifactType)
			var document struct{ Subject struct{ Digest string } }
			if err := json.Unmarshal([]byte(d.run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+repository+"@"+m.Digest)), &document); err != nil {
				t.Fatal(err)
			}
			if document.Subject.Digest != image {
				t.Errorf("%s is about %q, want %s", m.Digest, document.Subject.Digest, image)
			}
		}
		slices.Sort(kinds)
		if diff := cmp.Diff([]string{"application/spdx+json", "application/vnd.in-toto+json"}, kinds); diff != "" {
			t.Errorf("documents of %s (-want +got):\n%s", image, diff)
		}
	}
}

// images are the digests of an index's images, or of the one that is no index.
func (d *desk) images(t *testing.T, tag string) []string {
	t.Helper()
	raw := d.run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+tag)
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal([]byte(raw), &index); err != nil {
		t.Fatal(err)
	}
	if len(index.Manifests) == 0 {
		sum := sha256.Sum256([]byte(raw))
		return []string{"sha256:" + hex.EncodeToString(sum[:])}
	}
	var digests []string
	for _, m := range index.Manifests {
		digests = append(digests, m.Digest)
	}
	return digests
}

// node is a path of an unpacked image.
type node struct {
	Type     string
	Mode     string
	UID, GID int
	Target   string
	Digest   string
}

// unpacksTo has skopeo copy an image to a layout, umoci unpack that, and compares.
func (d *desk) unpacksTo(t *testing.T, want map[string]node, from, place, arch string) {
	t.Helper()
	d.run(t, "skopeo", "--insecure-policy", "--override-arch", arch, "--override-os", "linux", "copy", "-q", "--src-tls-verify=false", from, "oci:"+place+":image")
	bundle := filepath.Join(d.dir, place+"-bundle")
	d.run(t, "umoci", "unpack", "--image", place+":image", bundle)
	got := walk(t, filepath.Join(bundle, "rootfs"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-kn-lite +umoci):\n%s", from, diff)
	}
	if len(got) < 10 {
		t.Errorf("%s has %d paths only: the test is broken", from, len(got))
	}
}

// inspect is the tree that kn-lite says is in the image. It goes by layers, as
// the answer does, with whiteouts applied in the order of the specification.
func (d *desk) inspect(t *testing.T, ref, arch string) map[string]node {
	t.Helper()
	var answer struct {
		Images []struct {
			Layers []struct {
				Files []struct {
					Path, Type, Mode, Target, Digest string
					UID, GID                         int
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(d.run(t, "kn-lite", "image", "inspect", ref, "--platform", "linux/"+arch, "--files", "-o", "json")), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Images) != 1 {
		t.Fatalf("%d images of %s", len(answer.Images), arch)
	}
	tree := map[string]node{}
	below := func(at string) {
		for name := range tree {
			if strings.HasPrefix(name, at+"/") {
				delete(tree, name)
			}
		}
	}
	for _, layer := range answer.Images[0].Layers {
		for _, f := range layer.Files {
			if hidden, ok := strings.CutPrefix(filepath.Base(f.Path), ".wh."); ok {
				at := filepath.Join(filepath.Dir(f.Path), hidden)
				if hidden == ".wh..opq" {
					at = filepath.Dir(f.Path)
				} else {
					delete(tree, at)
				}
				below(at)
			}
		}
		for _, f := range layer.Files {
			if strings.HasPrefix(filepath.Base(f.Path), ".wh.") {
				continue
			}
			n := node{f.Type, f.Mode, f.UID, f.GID, f.Target, strings.TrimPrefix(f.Digest, "sha256:")}
			switch f.Type {
			case "hard link":
				n = tree["/"+strings.TrimPrefix(f.Target, "/")]
			case "link":
				n.Mode = "" // a link has none
			}
			if f.Type != "folder" {
				below(f.Path)
			}
			tree[f.Path] = n
		}
	}
	return tree
}

// walk reads an unpacked tree.
func walk(t *testing.T, root string) map[string]node {
	t.Helper()
	tree := map[string]node{}
	err := filepath.WalkDir(root, func(at string, _ fs.DirEntry, err error) error {
		if err != nil || at == root {
			return err
		}
		name, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		var stat syscall.Stat_t
		if err := syscall.Lstat(at, &stat); err != nil {
			return err
		}
		n := node{Mode: fmt.Sprintf("%04o", stat.Mode&0o7777), UID: int(stat.Uid), GID: int(stat.Gid)}
		switch stat.Mode & syscall.S_IFMT {
		case syscall.S_IFDIR:
			n.Type = "folder"
		case syscall.S_IFLNK:
			n.Type, n.Mode = "link", ""
			if n.Target, err = os.Readlink(at); err != nil {
				return err
			}
		case syscall.S_IFREG:
			n.Type = "file"
			raw, err := os.ReadFile(at)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(raw)
			n.Digest = hex.EncodeToString(sum[:])
		default:
			n.Type = "special file"
		}
		tree["/"+name] = n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}
