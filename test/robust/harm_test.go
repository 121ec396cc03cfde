//go:build e2e

package robust

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

const stranger = 65534

// harm does something to the file of a cache.
type harm struct {
	name string
	do   func(t *testing.T, at string, others []string)
}

func harms() []harm {
	write := func(t *testing.T, at string, content []byte) {
		t.Helper()
		if err := os.WriteFile(at, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(t *testing.T, at string) []byte {
		t.Helper()
		raw, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	instead := func(t *testing.T, at string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
	}
	return []harm{
		{"gone", func(t *testing.T, at string, _ []string) { instead(t, at, os.Remove(at)) }},
		{"empty", func(t *testing.T, at string, _ []string) { write(t, at, nil) }},
		{"cut", func(t *testing.T, at string, _ []string) { raw := read(t, at); write(t, at, raw[:len(raw)/2]) }},
		{"changed at its end", func(t *testing.T, at string, _ []string) {
			if raw := read(t, at); len(raw) > 0 {
				raw[len(raw)-1] ^= 1
				write(t, at, raw)
			}
		}},
		{"changed in the middle", func(t *testing.T, at string, _ []string) {
			if raw := read(t, at); len(raw) > 0 {
				raw[len(raw)/2] ^= 1
				write(t, at, raw)
			}
		}},
		{"another entry", func(t *testing.T, at string, others []string) {
			for _, other := range others {
				if raw := read(t, other); other != at && !bytes.Equal(raw, read(t, at)) {
					write(t, at, raw)
					return
				}
			}
		}},
		{"of another release", func(t *testing.T, at string, _ []string) {
			instead(t, at, sealed.Write(at, []byte(`{"schema":99,"builds":"none","top":[]}`)))
		}},
		{"a link to elsewhere", func(t *testing.T, at string, _ []string) {
			instead(t, at, os.Remove(at))
			instead(t, at, os.Symlink("/etc/hostname", at))
		}},
		{"a link to nothing", func(t *testing.T, at string, _ []string) {
			instead(t, at, os.Remove(at))
			instead(t, at, os.Symlink("/nowhere", at))
		}},
		{"a pipe", func(t *testing.T, at string, _ []string) {
			instead(t, at, os.Remove(at))
			instead(t, at, syscall.Mkfifo(at, 0o600))
		}},
		{"a folder", func(t *testing.T, at string, _ []string) {
			instead(t, at, os.Remove(at))
			instead(t, at, os.MkdirAll(filepath.Join(at, "below"), 0o700))
		}},
		// One that is whole, sealed under this name, and about another image.
		{"a stranger's", func(t *testing.T, at string, others []string) {
			for _, other := range others {
				if raw, err := sealed.Read(other); err == nil && other != at {
					instead(t, at, sealed.Write(at, raw))
					instead(t, at, os.Chown(at, stranger, stranger))
					return
				}
			}
		}},
	}
}

// testHarmedCaches harms the files of caches, of one kind at a time. The next build
// gives the right image, and the one after that finds a cache that is whole.
func testHarmedCaches(t *testing.T, l *lab) {
	for _, p := range projects() {
		if (p.slow || p.language == "python") && os.Getenv("FULL") == "" {
			continue // the languages share what reads caches, and Go has more of its own
		}
		t.Run(p.language, func(t *testing.T) {
			w := l.newPlace(t, p)
			w.edit("other")
			w.build()
			w.edit("next")
			right := w.build()
			kinds := map[string][]string{}
			for _, at := range files(t, w.cache) {
				kind := strings.SplitN(at[len(w.cache):], "/", 4)[2]
				kinds[kind] = append(kinds[kind], at)
			}
			for _, want := range []string{"keys", "layers", "blobs", "stat", "last", "made", "files-1", "packages-1"} {
				if len(kinds[want]) == 0 {
					t.Errorf("the cache has no %s: this test is broken", want)
				}
			}
			whole := filepath.Join(t.TempDir(), "whole")
			copyAll(t, w.cache, whole)
			tried := 0
			try := func(what string, h harm, harmed ...string) {
				if err := os.RemoveAll(w.cache); err != nil {
					t.Fatal(err)
				}
				copyAll(t, whole, w.cache)
				for _, at := range harmed {
					h.do(t, at, slices.DeleteFunc(slices.Clone(harmed), func(other string) bool { return filepath.Dir(other) != filepath.Dir(at) }))
				}
				tried++
				for _, when := range []string{"harmed", "healed"} {
					code, stdout, stderr := w.run("build", w.dir, "-o", "oci:"+filepath.Join(t.TempDir(), "out"))
					if _, got, _ := strings.Cut(stdout, "@"); code != 0 || got != right {
						t.Errorf("%s %s, %s: exit %d, %s, not %s\n%s", what, h.name, when, code, got, right, stderr)
					}
				}
			}
			for _, h := range harms() {
				switch {
				case os.Getenv("FULL") != "":
					for kind, members := range kinds {
						try(kind, h, members...)
					}
				case p.language == "node" || h.name == "cut" || h.name == "of another release":
					try("all", h, slices.Concat(slices.Collect(maps.Values(kinds))...)...)
				}
			}
			t.Logf("%d harms to %d kinds of files", tried, len(kinds))
		})
	}
}

// copyAll copies a folder as it is, with its times.
func copyAll(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// testUnreadable builds as a user whose cache has files that only root can read, as
// a build with sudo leaves them.
func testUnreadable(t *testing.T, l *lab) {
	w := l.newPlace(t, projects()[1])
	right := w.build()
	w.edit("other")
	w.build()
	w.edit("first")
	out := t.TempDir()
	open := func(dir string) {
		for parent := dir; len(parent) > len(os.TempDir()); parent = filepath.Dir(parent) {
			if err := os.Chmod(parent, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(filepath.Dir(w.program))
	for _, dir := range []string{w.dir, w.home, w.temp, w.cache, out} {
		open(dir)
		err := filepath.WalkDir(dir, func(at string, entry os.DirEntry, err error) error {
			if err == nil && (entry.IsDir() || !strings.HasPrefix(at, w.cache)) {
				err = os.Lchown(at, stranger, stranger)
			} else if err == nil {
				err = os.Chmod(at, 0)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.uid = stranger
	for _, when := range []string{"unreadable", "healed"} {
		code, stdout, stderr := w.run("build", w.dir, "-o", "oci:"+filepath.Join(out, when))
		if _, got, _ := strings.Cut(stdout, "@"); code != 0 || got != right {
			t.Errorf("%s: exit %d, %s, not %s\n%s", when, code, got, right, stderr)
		}
	}
}
