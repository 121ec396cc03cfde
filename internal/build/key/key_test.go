package key

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The key is a promise between releases and machines: whoever changes how it is
// made changes format too.
func TestKeyIsPinned(t *testing.T) {
	k := &Key{}
	k.Add("toolchain", "go1.26")
	k.AddDigest("build variable A", "secret")
	k.AddFiles("files of .", map[string]string{"a": "file 1", "b": "file 2"})
	const want = "2793e8f2ef04fb17fc7ec6db85ca9d412be5dc365036e148447455076693516b"
	if got := k.String(); got != want {
		t.Errorf("key = %s, want %s; if the change is intended, change format too", got, want)
	}
}

// No two lists of parts may look the same to the hash.
func TestKeyIsUnambiguous(t *testing.T) {
	seen := map[string]int{}
	for i, parts := range [][]Part{
		{{Name: "a", Value: "bc"}},
		{{Name: "ab", Value: "c"}},
		{{Name: "a", Value: "b"}, {Name: "c", Value: ""}},
		{{Name: "a", Value: "b"}, {Name: "", Value: "c"}},
		{{Name: "a", Value: "1:b,"}},
	} {
		k := &Key{Parts: parts}
		if j, twice := seen[k.String()]; twice {
			t.Errorf("%d and %d have the same key", i, j)
		}
		seen[k.String()] = i
	}
}

func TestChanges(t *testing.T) {
	before, after := &Key{}, &Key{}
	before.Add("toolchain", "1")
	before.Add("gone", "x")
	before.AddFiles("files", map[string]string{"a": "1", "b": "1", "c": "1"})
	after.Add("toolchain", "2")
	after.AddFiles("files", map[string]string{"a": "1", "b": "2", "d": "1"})
	want := []Change{
		{Part: "toolchain", Before: "1", After: "2"},
		{Part: "files", Before: before.Parts[2].Value, After: after.Parts[1].Value, Files: []string{"changed b", "removed c", "added d"}},
		{Part: "gone", Before: "x"},
	}
	if diff := cmp.Diff(want, Changes(before, after)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if got := Changes(after, after); len(got) > 0 {
		t.Errorf("with itself: %+v", got)
	}
}

// later is a clock that is far enough ahead for files to count as settled.
func later() time.Time { return time.Now().Add(time.Hour) }

func remembers() bool { return runtime.GOOS == "linux" || runtime.GOOS == "darwin" }

// sum reads file through a cache that is opened and saved for it.
func sum(t *testing.T, cacheFile, file string, now func() time.Time) string {
	t.Helper()
	c := OpenCache(cacheFile, now)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := c.Digest(file, info)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	return digest
}

// Stages of a Dockerfile that are built at the same time share a cache.
func TestCacheIsShared(t *testing.T) {
	dir := t.TempDir()
	c := OpenCache(filepath.Join(dir, "cache"), later)
	var group sync.WaitGroup
	for i := range 8 {
		file := filepath.Join(dir, fmt.Sprint(i))
		write(t, file, "content")
		group.Go(func() {
			for range 50 {
				info, err := os.Stat(file)
				if err == nil {
					_, err = c.Digest(file, info)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := c.Save(); err != nil {
		t.Error(err)
	}
}

// Every way to change a file gives a new digest, whatever happens to its time.
func TestCacheSeesEveryChange(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, file string){
		"content of the same size": func(t *testing.T, file string) { write(t, file, "two!") },
		"and the old time": func(t *testing.T, file string) {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, file, "two!")
			if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		},
		"another file in its place": func(t *testing.T, file string) {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, file+".new", "two!")
			if err := os.Chtimes(file+".new", info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".new", file); err != nil {
				t.Fatal(err)
			}
		},
	} {
		dir := t.TempDir()
		file, cache := filepath.Join(dir, "file"), filepath.Join(dir, "cache")
		write(t, file, "one!")
		before := sum(t, cache, file, later)
		if again := sum(t, cache, file, later); again != before {
			t.Errorf("%s: two digests of one content", name)
		}
		time.Sleep(20 * time.Millisecond) // kernels stamp files in steps of up to 10 ms
		change(t, file)
		if after := sum(t, cache, file, later); after == before {
			t.Errorf("%s: not seen", name)
		}
	}
}

// A cache that is used is seen to be used: a digest put there comes out. A file
// that has just changed is not put there.
func TestCacheRemembersSettledFilesOnly(t *testing.T) {
	if !remembers() {
		t.Skip("this system has no change time")
	}
	dir := t.TempDir()
	file, cache := filepath.Join(dir, "file"), filepath.Join(dir, "cache")
	write(t, file, "text")
	sum(t, cache, file, time.Now)
	if raw, err := os.ReadFile(cache); err == nil && len(raw) > 0 {
		t.Errorf("a file of now was remembered: %s", raw)
	}
	sum(t, cache, file, later)
	raw, err := sealed.Read(cache)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	stamp, _, _ := stampOf(info)
	if want := stamp + " 982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1\t" + file + "\n"; string(raw) != want {
		t.Errorf("cache %q, want %q", raw, want)
	}
	if err := sealed.Write(cache, []byte(stamp+" planted\t"+file+"\n")); err != nil {
		t.Fatal(err)
	}
	if got := sum(t, cache, file, later); got != "planted" {
		t.Errorf("the cache was not asked: %s", got)
	}
	if got := sum(t, cache, file, nil); got == "planted" {
		t.Error("a cache without a clock was asked")
	}
}

func TestFolder(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "a/b"), "1")
	write(t, filepath.Join(dir, "skipped/x"), "1")
	write(t, filepath.Join(elsewhere, "c"), "2")
	for link, target := range map[string]string{"in": "a", "file": filepath.Join(elsewhere, "c"), "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	f := lang.Folder{Dir: dir, Follow: true, Skip: func(name string, _ bool) (out, prune bool) { return name == "skipped", true }}
	cache := OpenCache(filepath.Join(t.TempDir(), "cache"), nil)
	got, err := Folder(context.Background(), f, cache)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"a/b":      "file 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
		"in":       "link to a",
		"file":     "link to file d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35",
		"dangling": "link to nothing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	f.Dirs, f.Follow = true, false
	if got, err = Folder(context.Background(), f, cache); err != nil || got["a"] != "folder" || got["file"] != "link to "+filepath.ToSlash(filepath.Join(elsewhere, "c")) {
		t.Errorf("%v %v", got, err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	f.Follow = true
	if _, err := Folder(context.Background(), f, cache); err == nil {
		t.Error("a folder elsewhere is no reason to stop")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Folder(ctx, f, cache); err == nil {
		t.Error("a cancelled context looks on")
	}
}

func TestFileThatIsMissing(t *testing.T) {
	got, err := File(filepath.Join(t.TempDir(), "go.work.sum"), OpenCache("", nil))
	if got != "missing" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}
