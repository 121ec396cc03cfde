package rootfs

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFollowLinks(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"file": "real", "nowhere": "a/b", "up": "../" + filepath.Base(dir) + "/real", "absolute": dir + "/real", "loop": "loop",
		"chain": "up", "above": "../../../../../../../../../../etc",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"file": dir + "/real", "nowhere": dir + "/a/b", "nowhere/c": dir + "/a/b/c", "up": dir + "/real", "absolute": dir + "/real",
		"chain": dir + "/real", "new/../file": dir + "/real", "not/there": dir + "/not/there", "above": "/etc",
	} {
		if got, err := followLinks(filepath.Join(dir, name)); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	if got, err := followLinks(filepath.Join(dir, "loop")); err == nil {
		t.Errorf("a loop leads to %s", got)
	}
}
