//go:build e2e

package robust

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// volume mounts a file system in memory, of so many KiB.
func volume(t *testing.T, kib int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk,mode=755", kib)); err != nil {
		t.Fatalf("mount: %v (these tests run as root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// remount changes the volume in dir.
func remount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, options); err != nil {
		t.Fatal(err)
	}
}

// used is what the files below dir take on a volume, in KiB.
func used(t *testing.T, dir string) int {
	t.Helper()
	pages := 0
	for _, at := range files(t, dir) {
		info, err := os.Lstat(at)
		if err != nil {
			t.Fatal(err)
		}
		pages += int(info.Size()/4096) + 1
	}
	return 4 * pages
}

// testFullDisks builds where there is too little space for the cache, for temporary
// files, for the image: either the build does without, or it fails and says why.
func testFullDisks(t *testing.T, l *lab) {
	for _, p := range projects() {
		if p.slow || p.language == "python" && os.Getenv("FULL") == "" {
			continue
		}
		whole := l.newPlace(t, p)
		out := filepath.Join(t.TempDir(), "out")
		build := func(w *place, out string) (int, string, string) {
			code, stdout, stderr := w.run("build", w.dir, "-o", "oci:"+out)
			_, digest, _ := strings.Cut(stdout, "@")
			return code, digest, stderr
		}
		code, right, stderr := build(whole, out)
		if code != 0 {
			t.Fatal(stderr)
		}
		for what, size := range map[string]int{"cache": used(t, whole.cache), "image": used(t, out), "temporary files": 64} {
			if what == "temporary files" && p.language != "go" {
				continue // only its compiler has some
			}
			full := 0
			for _, part := range []int{2, 7} {
				w := whole.elsewhere(t)
				dir, into := volume(t, max(4, size*part/10)), filepath.Join(t.TempDir(), "out")
				switch what {
				case "cache":
					w.cache = dir
				case "image":
					into = filepath.Join(dir, "out")
				default:
					w.temp = dir
				}
				code, digest, stderr := build(w, into)
				switch {
				case code == 0 && digest != right:
					t.Errorf("%s, %s of %d%%: %s, not %s", p.language, what, part*10, digest, right)
				case code != 0:
					if full++; !strings.Contains(strings.ToLower(stderr), "no space left on device") || code != 1 && code != 7 {
						t.Errorf("%s, %s of %d%%: exit %d: %s", p.language, what, part*10, code, stderr)
					}
				}
				for _, at := range files(t, dir) {
					for name := range strings.SplitSeq(at[len(dir):], "/") {
						if unfinished.MatchString(name) && what != "temporary files" {
							t.Errorf("%s, %s of %d%%: %s is left", p.language, what, part*10, at)
						}
					}
				}
				remount(t, dir, 0, "size=256m")
				if code, digest, stderr := build(w, into); code != 0 || digest != right {
					t.Errorf("%s, with space again for %s: exit %d, %s, not %s\n%s", p.language, what, code, digest, right, stderr)
				}
			}
			if full == 0 {
				t.Errorf("%s: the disk for %s was never full", p.language, what)
			}
		}
	}
}

// testReadOnly builds with a home, a cache and a project that nobody can write to.
func testReadOnly(t *testing.T, l *lab) {
	for _, p := range projects() {
		if p.slow {
			continue
		}
		w := l.newPlace(t, p)
		right := w.build()
		frozen := volume(t, 4096)
		dir := filepath.Join(frozen, "app")
		p.write(t, dir)
		remount(t, frozen, syscall.MS_RDONLY, "")
		if err := os.WriteFile(filepath.Join(frozen, "x"), nil, 0o644); err == nil {
			t.Fatal("it can be written to")
		}
		other := w.elsewhere(t)
		other.dir, other.home = dir, frozen
		if got := other.build(); got != right {
			t.Errorf("%s: from a read-only folder: %s, not %s", p.language, got, right)
		}
		other.cache = filepath.Join(frozen, "cache")
		code, _, stderr := other.run("build", other.dir, "-o", "oci:"+filepath.Join(t.TempDir(), "out"))
		if code != 1 || !strings.Contains(stderr, "XDG_CACHE_HOME") {
			t.Errorf("%s: with a read-only cache: exit %d: %s", p.language, code, stderr)
		}
	}
}

// testAtOnce starts builds at once on one empty cache, two of each project.
func testAtOnce(t *testing.T, l *lab) {
	cache := t.TempDir()
	var all []*place
	var right, got []string
	for _, p := range projects() {
		if p.slow && os.Getenv("FULL") == "" {
			continue
		}
		w := l.newPlace(t, p)
		digest := w.build()
		for range 2 {
			other := w.elsewhere(t)
			other.cache = cache
			all, right = append(all, other), append(right, digest)
		}
	}
	got = make([]string, len(all))
	var group sync.WaitGroup
	for i, w := range all {
		out := filepath.Join(t.TempDir(), "out")
		group.Go(func() {
			cmd := w.command("build", w.dir, "-o", "oci:"+out, "-q")
			text, err := cmd.Output()
			if err != nil {
				got[i] = err.Error()
				return
			}
			_, got[i], _ = strings.Cut(strings.TrimSpace(string(text)), "@")
		})
	}
	group.Wait()
	for i, w := range all {
		if got[i] != right[i] {
			t.Errorf("%s: %s, not %s", w.language, got[i], right[i])
		}
	}
	for _, at := range files(t, cache) {
		if unfinished.MatchString(filepath.Base(at)) {
			t.Errorf("%s is left", at)
		}
	}
}
