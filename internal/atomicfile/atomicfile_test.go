package atomicfile

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// onlyFile wants name to be all there is in dir, with this content.
func onlyFile(t *testing.T, dir, name, content string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Fatalf("in the folder are %v, %v; want %s alone", entries, err, name)
	}
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, content)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	for _, tt := range []struct {
		opts Options
		mode os.FileMode
	}{
		{Options{}, 0o600},
		{Options{Mode: 0o644}, 0o644},
		{Options{Mode: 0o666, Disposable: true}, 0o666},
		{Options{Mode: 0o400}, 0o400},
		{Options{TempPrefix: ".other-"}, 0o600},
	} {
		content := tt.mode.String()
		if err := Write(file, []byte(content), tt.opts); err != nil {
			t.Fatal(err)
		}
		onlyFile(t, dir, "file", content)
		if info, err := os.Stat(file); err != nil || info.Mode() != tt.mode {
			t.Errorf("mode %v, %v; want %v", info.Mode(), err, tt.mode)
		}
	}
	if err := Write(filepath.Join(dir, "missing", "file"), nil, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	onlyFile(t, dir, "file", os.FileMode(0o600).String())
}

// Whatever fails, the old file is there and nothing else.
func TestFailureLeavesTheOldFile(t *testing.T) {
	broken := errors.New("broken")
	for name, write := range map[string]func(f *os.File) error{
		"the writer": func(f *os.File) error {
			_, err := f.WriteString("half")
			return errors.Join(err, broken)
		},
		"the close": func(f *os.File) error { return f.Close() }, // the second one fails
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		if err := Write(file, []byte("old"), Options{}); err != nil {
			t.Fatal(err)
		}
		if err := WriteTo(file, Options{Disposable: true}, write); err == nil {
			t.Errorf("%s: no error", name)
		}
		onlyFile(t, dir, "file", "old")
	}
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "file"), []byte("old"), Options{}); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		_ = WriteTo(filepath.Join(dir, "file"), Options{}, func(*os.File) error { panic("broken") })
	}()
	onlyFile(t, dir, "file", "old")
}

func TestLinks(t *testing.T) {
	for _, follow := range []bool{false, true} {
		real, dir := t.TempDir(), t.TempDir()
		link := filepath.Join(dir, "link")
		if err := errors.Join(Write(filepath.Join(real, "file"), []byte("old"), Options{}), os.Symlink(filepath.Join(real, "file"), link)); err != nil {
			t.Fatal(err)
		}
		if err := Write(link, []byte("new"), Options{FollowLink: follow}); err != nil {
			t.Fatal(err)
		}
		onlyFile(t, dir, "link", "new")
		want := "old"
		if follow {
			want = "new"
		}
		onlyFile(t, real, "file", want)
		info, err := os.Lstat(link)
		if err != nil || (info.Mode()&os.ModeSymlink != 0) != follow {
			t.Errorf("follow %v: %v, %v", follow, info.Mode(), err)
		}
	}
	// A link that leads nowhere is replaced: there is no file whose place is kept.
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "link"), []byte("new"), Options{FollowLink: true}); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "link", "new")
}

func TestFolderInTheWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "file", "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "file"), []byte("new"), Options{}); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := Write(filepath.Join(dir, "file"), []byte("new"), Options{ReplaceFolder: true}); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "file", "new")
}

func TestCreateNamesWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	err := Create(dir, Options{}, func(f *os.File) (string, error) {
		_, err := f.WriteString("content")
		return "by-content", err
	})
	if err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "by-content", "content")
}

// A reader finds one content or the other, however many write.
func TestReadersSeeWholeFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	contents := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 50_000)}
	if err := Write(file, contents[0], Options{Disposable: true}); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	stop := make(chan struct{})
	for _, content := range contents {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := Write(file, content, Options{Disposable: true}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 300 {
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
			t.Errorf("read %d bytes, %v", len(got), err)
			break
		}
	}
	close(stop)
	writers.Wait()
}

// TestKilled is its own child, which is killed while it writes one file again and
// again.
func TestKilled(t *testing.T) {
	if file := os.Getenv("ATOMICFILE_TEST"); file != "" {
		for n := 0; ; n++ {
			if err := Write(file, bytes.Repeat([]byte{'a' + byte(n%26)}, 200_000), Options{Disposable: n%2 == 0}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range 8 {
		file := filepath.Join(t.TempDir(), "file")
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "ATOMICFILE_TEST="+file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(file); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(n) * 1700 * time.Microsecond)
		if err := errors.Join(cmd.Process.Signal(syscall.SIGKILL), ignoreExit(cmd.Wait())); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || len(got) != 200_000 || strings.Count(string(got), string(got[:1])) != len(got) {
			t.Errorf("a killed writer left %d bytes, %v", len(got), err)
		}
		entries, err := os.ReadDir(filepath.Dir(file))
		for _, e := range entries {
			if e.Name() != "file" && !strings.HasPrefix(e.Name(), TempPrefix) {
				t.Errorf("left behind: %s, %v", e.Name(), err)
			}
		}
	}
}

func ignoreExit(err error) error {
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}
