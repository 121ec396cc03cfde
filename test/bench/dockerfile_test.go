//go:build bench

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/image/contents"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/test/bases"
)

// TestDockerfile builds each corpus and pushes: with nothing known from before,
// with one file changed, and with nothing changed. buildkit builds the same folder,
// and of one corpus buildah and kaniko do.
func TestDockerfile(t *testing.T) {
	host := serveRegistry(t)
	for _, c := range corpora() {
		t.Run(c.name, func(t *testing.T) { c.measure(t, host) })
	}
}

func (c corpus) measure(t *testing.T, host string) {
	runs := 3
	if full() {
		runs = 11
	}
	starts := []func(*testing.T, string, string) *dockerfileBuild{knLiteDockerfile, buildkitDockerfile}
	if c.all {
		starts = append(starts, buildah, kaniko)
	}
	base := pushBase(t, host, c.base)
	var all []*dockerfileBuild
	var contenders []*contender
	for _, start := range starts {
		dir := openFolder(t)
		c.write(t, filepath.Join(dir, "context"), base)
		b := start(t, host, dir)
		all, contenders = append(all, b), append(contenders, b.contender)
	}
	stage := func(what string, before func(*dockerfileBuild) func(*testing.T, int)) {
		t.Run(what, func(t *testing.T) {
			for _, b := range all {
				b.results, b.before, b.contender.commands = nil, before(b), b.commands(what != "cold")
			}
			measure(t, runs, contenders...)
			compare(t, c.name+", "+what, contenders...)
			for _, other := range contenders[1:min(len(contenders), 3)] { // kaniko is for information
				atMost(t, 1.0, contenders[0], other)
			}
			sameContent(t, host, contenders...)
		})
	}
	stage("cold", func(b *dockerfileBuild) func(*testing.T, int) {
		return func(t *testing.T, run int) {
			t.Helper()
			// A layer that is new to the registry has to be uploaded, too.
			b.change(t, c.changed, fmt.Sprint("cold ", run))
			b.forget(t)
		}
	})
	stage("one file changed", func(b *dockerfileBuild) func(*testing.T, int) {
		return func(t *testing.T, run int) {
			t.Helper()
			b.change(t, c.changed, fmt.Sprint("changed ", run))
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
	forget   func(t *testing.T) // empties the caches
}

// change gives one file of the folder another content.
func (b *dockerfileBuild) change(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, file), []byte(content+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// open makes the caches, and forget what empties them.
func (b *dockerfileBuild) open(t *testing.T, dir string) {
	t.Helper()
	b.folder, b.caches = filepath.Join(dir, "context"), filepath.Join(dir, "caches")
	b.forget = func(t *testing.T) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(b.caches), os.Mkdir(b.caches, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	b.forget(t)
}

func knLiteDockerfile(t *testing.T, host, dir string) *dockerfileBuild {
	t.Helper()
	b := &dockerfileBuild{}
	b.open(t, dir)
	b.contender = &contender{
		name: "kn-lite", dir: dir, env: environment(t, "XDG_CACHE_HOME="+b.caches, "TMPDIR="+filepath.Join(dir, "tmp")),
	}
	b.commands = func(bool) [][]string {
		return [][]string{{program(t, "kn-lite"), "build", b.folder, "--builder", "dockerfile", "--image", host + "/kn-lite:1", "--push"}}
	}
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
	b := &dockerfileBuild{}
	b.open(t, dir)
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

// pushBase puts the base of a language on the registry.
func pushBase(t *testing.T, host, language string) (ref string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	index, err := bases.Index(t.Context(), language, filepath.Join(cache, "kn-lite-test-bases"), "amd64")
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
	ref = host + "/" + language + ":1"
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
