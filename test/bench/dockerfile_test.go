//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/build/contents"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/test/bases"
)

// TestDockerfile builds 50 MB in 5,000 files and a RUN that reads all of them,
// on a base of Debian with Python, and pushes: with nothing known from before,
// with one file changed, and with nothing changed. buildah and kaniko build the
// same folder.
func TestDockerfile(t *testing.T) {
	runs := 3
	if full() {
		runs = 11
	}
	host := serveRegistry(t)
	base := pushBase(t, host)
	var all []*dockerfileBuild
	for _, start := range []func(*testing.T, string, string) *dockerfileBuild{knLiteDockerfile, buildah, kaniko} {
		dir := openFolder(t)
		writeTree(t, filepath.Join(dir, "context"), base)
		all = append(all, start(t, host, dir))
	}
	var contenders []*contender
	for _, b := range all {
		contenders = append(contenders, b.contender)
	}
	stage := func(what string, before func(*dockerfileBuild) func(*testing.T, int)) {
		t.Run(what, func(t *testing.T) {
			for _, b := range all {
				b.results, b.before, b.contender.commands = nil, before(b), b.commands(what != "cold")
			}
			measure(t, runs, contenders...)
			compare(t, what, contenders...)
			atMost(t, 1.0, contenders[0], contenders[1])
			sameContent(t, host, contenders...)
		})
	}
	stage("cold", func(b *dockerfileBuild) func(*testing.T, int) {
		return func(t *testing.T, run int) {
			t.Helper()
			// A layer that is new to the registry has to be uploaded, too.
			b.change(t, fmt.Sprint("cold ", run))
			b.forget(t)
		}
	})
	stage("one file changed", func(b *dockerfileBuild) func(*testing.T, int) {
		return func(t *testing.T, run int) {
			t.Helper()
			b.change(t, fmt.Sprint("changed ", run))
		}
	})
	stage("nothing changed", func(*dockerfileBuild) func(*testing.T, int) { return nil })
}

// dockerfileBuild is a contender with the folder that it builds.
type dockerfileBuild struct {
	*contender
	folder string // the context
	caches string // all that it keeps from one build to the next
	// commands are those that build fastest, with or without layers that are kept
	// for the next build.
	commands func(keep bool) [][]string
}

// change gives one file of the folder another content.
func (b *dockerfileBuild) change(t *testing.T, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, "src-25", "changed.txt"), []byte(content+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// forget empties the caches.
func (b *dockerfileBuild) forget(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(b.caches), os.Mkdir(b.caches, 0o755)); err != nil {
		t.Fatal(err)
	}
}

func knLiteDockerfile(t *testing.T, host, dir string) *dockerfileBuild {
	t.Helper()
	b := &dockerfileBuild{folder: filepath.Join(dir, "context"), caches: filepath.Join(dir, "caches")}
	b.contender = &contender{
		name: "kn-lite", dir: dir, env: environment(t, "XDG_CACHE_HOME="+b.caches, "TMPDIR="+filepath.Join(dir, "tmp")),
	}
	b.commands = func(bool) [][]string {
		return [][]string{{program(t, "kn-lite"), "build", b.folder, "--builder", "dockerfile", "--image", host + "/kn-lite:1", "--push"}}
	}
	b.forget(t)
	return b
}

// buildah runs as root does: with overlay where the kernel lets it, which makes
// layers faster than vfs does, and with RUN in a chroot, for want of an OCI runtime.
func buildah(t *testing.T, host, dir string) *dockerfileBuild {
	t.Helper()
	path, err := exec.LookPath("buildah")
	if err != nil {
		t.Fatal("no buildah to compare with; `make bench` installs it")
	}
	b := &dockerfileBuild{folder: filepath.Join(dir, "context"), caches: filepath.Join(dir, "caches")}
	b.forget(t)
	with := func(driver string, args ...string) []string {
		return append([]string{
			path, "--storage-driver", driver, "--root", filepath.Join(b.caches, "storage"), "--runroot", filepath.Join(b.caches, "run"),
		}, args...)
	}
	env := environment(t, "TMPDIR="+filepath.Join(dir, "tmp"))
	driver := "overlay"
	try := exec.CommandContext(t.Context(), path, with(driver, "info")[1:]...)
	try.Env = env
	if out, err := try.CombinedOutput(); err != nil {
		t.Logf("buildah takes vfs: %v\n%s", err, out)
		driver = "vfs"
	}
	image := host + "/buildah:1"
	t.Cleanup(func() {
		// A run that was cut short has left something mounted.
		remove := exec.Command(path, with(driver, "rm", "--all")[1:]...)
		remove.Env = env
		if out, err := remove.CombinedOutput(); err != nil {
			t.Errorf("buildah rm: %v\n%s", err, out)
		}
	})
	b.contender = &contender{name: "buildah (" + driver + ")", dir: dir, env: env}
	b.commands = func(keep bool) [][]string {
		return [][]string{
			with(driver, "bud", "-q", fmt.Sprintf("--layers=%t", keep), "--isolation", "chroot", "--tls-verify=false", "-t", image, b.folder),
			with(driver, "push", "-q", "--tls-verify=false", image, "docker://"+image),
		}
	}
	return b
}

// pushBase puts the base on the registry.
func pushBase(t *testing.T, host string) (ref string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	index, err := bases.Index(t.Context(), "python", filepath.Join(cache, "kn-lite-test-bases"), "amd64")
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
	ref = host + "/python:3"
	if err := bases.Push(t.Context(), image, ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// openFolder is like t.TempDir, and every user gets in: sandboxes run as nobody.
// It is in memory where there is enough: a disk has times of its own, and some
// file systems (ext4 without a journal) make new files ten times slower in the
// minutes after others were deleted.
func openFolder(t *testing.T) string {
	t.Helper()
	in := os.TempDir()
	var shm unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &shm); err == nil && shm.Flags&(unix.ST_NOEXEC|unix.ST_NOSUID) == 0 && shm.Bavail*uint64(shm.Bsize) > 8<<30 {
		in = "/dev/shm"
	}
	dir, err := os.MkdirTemp(in, "kn-lite-bench-*")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "tmp"), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

const (
	treeFolders = 50
	treeFiles   = 100 // in each folder
	treeSize    = 50_000_000
)

// writeTree makes the folder: the same bytes every time, a third of them as hard
// to compress as a program and the rest like source text.
func writeTree(t *testing.T, dir, base string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the function returns an error when it has no image to push func return if err != nil { } := range for string int context layer")
	for i := range treeFolders {
		folder := filepath.Join(dir, fmt.Sprintf("src-%02d", i))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for j := range treeFiles {
			content := make([]byte, 0, treeSize/treeFolders/treeFiles+20)
			for len(content) < treeSize/treeFolders/treeFiles {
				if j%3 == 0 {
					content = append(content, byte(random.Uint32()))
				} else {
					content = append(append(content, words[random.IntN(len(words))]...), ' ')
				}
			}
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%03d.txt", j)), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	file := "FROM " + base + "\nWORKDIR /app\nCOPY . .\nRUN cat */* | sha256sum > SUM && mkdir data\nCMD [\"cat\", \"/app/SUM\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
}

// sameContent fails unless RUN has made the same in each image: all have built
// the whole folder, as it is now.
func sameContent(t *testing.T, host string, contenders ...*contender) {
	t.Helper()
	want := ""
	for _, c := range contenders {
		repository, _, _ := strings.Cut(c.name, " ")
		got, err := fileDigest(t.Context(), host+"/"+repository+":1", "app/SUM")
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case want == "":
			want = got
		case got != want:
			t.Errorf("%s has made another app/SUM: %s instead of %s", c.name, got, want)
		}
	}
}

// fileDigest is that of a file's content in an image.
func fileDigest(ctx context.Context, ref, file string) (string, error) {
	client, err := registry.New(registry.Options{Env: func(string) string { return "" }})
	if err != nil {
		return "", err
	}
	defer client.Close()
	image, err := client.Pull(ctx, ref, v1.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		return "", err
	}
	loaded, err := contents.Load(ctx, image, map[v1.Hash][]contents.Entry{})
	if err != nil {
		return "", err
	}
	for _, l := range slices.Backward(loaded.Layers) {
		for _, e := range l.Entries {
			if e.Path == file {
				return e.Digest, nil
			}
		}
	}
	return "", fmt.Errorf("%s has no %s", ref, file)
}
