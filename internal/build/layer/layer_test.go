package layer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func sample() []File {
	return []File{
		Bytes("app/main.js", 0o644, []byte("console.log(1)\n")),
		Bytes("app/run", 0o755, []byte("#!/bin/sh\n")),
		Dir("tmp", fs.ModeSticky|0o777),
		Symlink("app/link", "run"),
		Bytes("app/"+strings.Repeat("long/", 60)+"name", 0o644, nil),
		Bytes("app/größe.txt", 0o644, []byte("x")),
	}
}

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, s *Store, files []File, epoch time.Time) *Layer {
	t.Helper()
	l, _, err := s.Write(context.Background(), files, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The digest is a promise: it changes with a release that changes the compressor
// or the tar, and recipe changes with it.
func TestDigestIsPinned(t *testing.T) {
	l := write(t, open(t), sample(), time.Unix(0, 0))
	const want = "sha256:ea6e8fb534014ad946d673406ee50c4a7e396f9fe4593e4be3bd54d81b97d122"
	if got := l.digest.String(); got != want {
		t.Errorf("digest = %s, want %s; if the change is intended, change recipe too", got, want)
	}
}

func TestDigestDependsOnContentOnly(t *testing.T) {
	want := write(t, open(t), sample(), time.Unix(0, 0)).digest
	for _, procs := range []int{1, 8} {
		for turn := range 4 {
			files := sample()
			for range turn {
				files = append(files[1:], files[0])
			}
			old := runtime.GOMAXPROCS(procs)
			got := write(t, open(t), files, time.Unix(0, 0)).digest
			runtime.GOMAXPROCS(old)
			if got != want {
				t.Errorf("turned by %d with GOMAXPROCS=%d: %s, want %s", turn, procs, got, want)
			}
		}
	}
	if got := write(t, open(t), sample(), time.Unix(1, 0)).digest; got == want {
		t.Error("another epoch gives the same digest")
	}
}

func TestTarEntries(t *testing.T) {
	l := write(t, open(t), sample()[:4], time.Unix(1700000000, 5))
	content, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	sum := sha256.New()
	reader := tar.NewReader(io.TeeReader(content, sum))
	var got []string
	for {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(time.Unix(1700000000, 0)) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Format != tar.FormatUSTAR {
			t.Errorf("%s: %v %d:%d %q %v", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname, h.Format)
		}
		got = append(got, fmt.Sprintf("%c %04o %s %s", h.Typeflag, h.Mode, h.Name, h.Linkname))
	}
	want := []string{"5 0755 app/ ", "2 0777 app/link run", "0 0644 app/main.js ", "0 0755 app/run ", "5 1777 tmp/ "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if _, err := io.Copy(io.Discard, io.TeeReader(content, sum)); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != l.diffID.Hex {
		t.Errorf("diff ID is %s, and the tar's digest %s", l.diffID.Hex, got)
	}
}

func TestRefusedNames(t *testing.T) {
	for _, name := range []string{
		"", ".", "..", "../x", "/x", "a/../../x", "a/../b", "a//b", "./a", "a/", "a/.", "x\xff",
		".wh.x", "a/.wh..wh..opq", ".wh.dir/file",
	} {
		_, _, err := open(t).Write(context.Background(), []File{Bytes(name, 0o644, nil)}, time.Time{})
		if fault.KindOf(err) != fault.Usage {
			t.Errorf("%q: %v", name, err)
		}
	}
	// Odd, and harmless on Linux.
	for _, name := range []string{`..\x`, `C:\x`, "con", "a b", "-rf", "new\nline", ".whale"} {
		if _, _, err := open(t).Write(context.Background(), []File{Bytes(name, 0o644, nil)}, time.Time{}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestImpossibleTrees(t *testing.T) {
	for name, files := range map[string][]File{
		"twice":             {Bytes("a", 0o644, nil), Bytes("a", 0o644, nil)},
		"file as folder":    {Bytes("a", 0o644, nil), Bytes("a/b", 0o644, nil)},
		"link as folder":    {Symlink("a", "/etc"), Bytes("a/b", 0o644, nil)},
		"device":            {{Path: "a", Mode: fs.ModeDevice}},
		"folder and file":   {Dir("a", 0o755), Bytes("a", 0o644, nil)},
		"deep under a file": {Bytes("a", 0o644, nil), Bytes("a/b/c", 0o644, nil)},
	} {
		if _, _, err := open(t).Write(context.Background(), files, time.Time{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// reading gives a file whose content misbehaves.
func reading(size int64, content string, closeErr error) File {
	return File{Path: "f", Mode: 0o644, Size: size, Open: func() (io.ReadCloser, error) {
		return badClose{strings.NewReader(content), closeErr}, nil
	}}
}

type badClose struct {
	io.Reader
	err error
}

func (b badClose) Close() error { return b.err }

func TestFilesThatMove(t *testing.T) {
	closing := errors.New("late")
	for name, tt := range map[string]struct {
		file File
		want error
	}{
		"grew":       {reading(3, "four", nil), ErrChanged},
		"shrank":     {reading(5, "four", nil), ErrChanged},
		"close errs": {reading(4, "four", closing), closing},
		"vanished":   {File{Path: "f", Size: 1, Open: func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }}, fs.ErrNotExist},
	} {
		s := open(t)
		_, _, err := s.Write(context.Background(), []File{tt.file}, time.Time{})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		leftovers, _ := os.ReadDir(s.blobs())
		if len(leftovers) > 0 {
			t.Errorf("%s: left %v", name, leftovers)
		}
	}
}

// A file that turns bad only while it is packed, after its content was hashed.
func TestFileThatMovesLate(t *testing.T) {
	opened := 0
	f := File{Path: "f", Mode: 0o644, Size: 4, Open: func() (io.ReadCloser, error) {
		opened++
		if opened > 1 {
			return io.NopCloser(strings.NewReader("fo")), nil
		}
		return io.NopCloser(strings.NewReader("four")), nil
	}}
	s := open(t)
	if _, _, err := s.Write(context.Background(), []File{f}, time.Time{}); !errors.Is(err, ErrChanged) || opened != 2 {
		t.Errorf("err = %v after %d opens", err, opened)
	}
	if left, _ := os.ReadDir(s.blobs()); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestStoreFindsAndHeals(t *testing.T) {
	s, ctx, epoch := open(t), context.Background(), time.Unix(0, 0)
	first := write(t, s, sample(), epoch)
	if _, cached, err := s.Write(ctx, sample(), epoch); err != nil || !cached {
		t.Errorf("second write: cached=%v, %v", cached, err)
	}
	if err := s.Remember("lock", epoch, first); err != nil {
		t.Fatal(err)
	}
	if l, ok := s.Find("lock", epoch); !ok || l.digest != first.digest || l.size != first.size {
		t.Errorf("found %v, %v", l, ok)
	}
	if _, ok := s.Find("lock", time.Unix(1, 0)); ok {
		t.Error("found for another epoch")
	}
	for name, damage := range map[string]func() error{
		"truncated": func() error { return os.Truncate(first.file, first.size/2) },
		"flipped": func() error {
			raw, err := os.ReadFile(first.file)
			if err != nil {
				return err
			}
			raw[len(raw)/2] ^= 1
			return os.WriteFile(first.file, raw, 0o600)
		},
		"gone": func() error { return os.Remove(first.file) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Find("lock", epoch); ok {
			t.Errorf("%s blob was accepted", name)
		}
		again, cached, err := s.Write(ctx, sample(), epoch)
		if err != nil || cached || again.digest != first.digest || !again.intact() {
			t.Errorf("%s: not made again: cached=%v %v", name, cached, err)
		}
	}
}

func TestPruneKeepsWhatIsInUse(t *testing.T) {
	s, epoch := open(t), time.Unix(0, 0)
	old := write(t, s, sample()[:1], epoch)
	used := write(t, s, sample()[1:2], epoch)
	past := time.Now().Add(-2 * unusedFor)
	for _, dir := range []string{s.blobs(), s.records()} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if err := os.Chtimes(filepath.Join(dir, e.Name()), past, past); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, cached, err := s.Write(context.Background(), sample()[1:2], epoch); err != nil || !cached {
		t.Fatalf("cached=%v %v", cached, err)
	}
	s.Prune()
	if old.intact() || !used.intact() {
		t.Errorf("old is there: %v, used is there: %v", old.intact(), used.intact())
	}
}

func TestWriteStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := open(t).Write(ctx, sample(), time.Time{}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

func TestOpenNeedsAFolder(t *testing.T) {
	if _, err := Open("", nil); err == nil {
		t.Error("no error")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "below"), nil); fault.HintOf(err) == "" {
		t.Errorf("err = %v", err)
	}
}

func TestArrangeAddsFolders(t *testing.T) {
	files, err := arrange([]File{Bytes("a/b/c", 0o644, nil)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Path)
	}
	if want := []string{"a", "a/b", "a/b/c"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
