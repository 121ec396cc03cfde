//go:build unix

package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// A clone can bring links where a build writes; nothing behind them may change.
func TestStateFolderIsNeverALink(t *testing.T) {
	needGo(t)
	r := build(t, spec(t, goProject(t)))
	for name, plant := range map[string]func(dir, victim string) error{
		"the folder":              func(dir, victim string) error { return os.Symlink(victim, filepath.Join(dir, ".kn-lite")) },
		"the folder, to a folder": func(dir, _ string) error { return os.Symlink("src", filepath.Join(dir, ".kn-lite")) },
		"the folder, to nothing":  func(dir, _ string) error { return os.Symlink("nowhere", filepath.Join(dir, ".kn-lite")) },
		"a file":                  func(dir, _ string) error { return os.WriteFile(filepath.Join(dir, ".kn-lite"), nil, 0o600) },
	} {
		dir, victim := t.TempDir(), plantVictim(t)
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "src/build"), 0o755), plant(dir, victim)); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"SaveLayout": r.SaveLayout(dir, "x"), "CheckState": CheckState(dir)} {
			if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), "remove it") {
				t.Errorf("%s is %s: %s: %v", ".kn-lite", name, what, err)
			}
		}
		if _, _, err := OpenLayout(context.Background(), dir, nil); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: OpenLayout: %v", name, err)
		}
		checkVictim(t, name, victim)
		if _, err := os.Stat(filepath.Join(dir, "src/build")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLinksInTheStateFolderAreReplaced(t *testing.T) {
	needGo(t)
	r := build(t, spec(t, goProject(t)))
	for _, name := range []string{".gitignore", "build"} {
		dir, victim := t.TempDir(), plantVictim(t)
		target := victim
		if name == ".gitignore" {
			target = filepath.Join(victim, "precious")
		}
		state := filepath.Join(dir, ".kn-lite")
		if err := errors.Join(os.Mkdir(state, 0o755), os.Symlink(target, filepath.Join(state, name))); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenLayout(context.Background(), dir, nil); err == nil {
			t.Errorf("%s: an image was read through a link", name)
		}
		if err := r.SaveLayout(dir, "x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkVictim(t, name, victim)
		if info, err := os.Lstat(filepath.Join(state, name)); err != nil || info.Mode()&os.ModeSymlink != 0 {
			t.Errorf("%s is %v, %v", name, info.Mode(), err)
		}
		if !LayoutMatches(dir, r.Digest, "x", Documents{}) {
			t.Errorf("%s: the image is not whole", name)
		}
		left, err := os.ReadDir(state)
		if err != nil || len(left) != 2 {
			t.Errorf("%s: left over: %v, %v", name, left, err)
		}
	}
}

// plantVictim is a folder elsewhere that has what a build would delete or write.
func plantVictim(t *testing.T) string {
	t.Helper()
	victim := t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(victim, "build"), 0o755), os.WriteFile(filepath.Join(victim, "build", "work"), []byte("mine"), 0o600),
		os.WriteFile(filepath.Join(victim, "precious"), []byte("mine"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return victim
}

func checkVictim(t *testing.T, name, victim string) {
	t.Helper()
	for _, file := range []string{"build/work", "precious"} {
		if raw, err := os.ReadFile(filepath.Join(victim, file)); err != nil || string(raw) != "mine" {
			t.Errorf("%s: %s elsewhere is %q, %v", name, file, raw, err)
		}
	}
	if entries, err := os.ReadDir(victim); err != nil || len(entries) != 2 {
		t.Errorf("%s: the folder elsewhere has %v, %v", name, entries, err)
	}
}

// What builds that were killed have left is taken away when it is old, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, old := range map[string]bool{
		".kn-lite-0123abcd": true, ".kn-lite-4455667788": true, ".kn-lite-ffffffff": false, ".kn-lite": true, ".kn-lite-notes": true, "kn-lite-0123abcd": true,
	} {
		if err := os.MkdirAll(filepath.Join(dir, name, "new"), 0o755); err != nil {
			t.Fatal(err)
		}
		if old {
			if err := os.Chtimes(filepath.Join(dir, name), now.Add(-25*time.Hour), now.Add(-25*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	sweep(root, now)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{".kn-lite", ".kn-lite-ffffffff", ".kn-lite-notes", "kn-lite-0123abcd"}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
}
