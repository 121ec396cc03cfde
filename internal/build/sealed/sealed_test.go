package sealed

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Each byte that is changed, each cut, each swap is seen.
func TestDamageIsSeen(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "below", "two")
	content := []byte("{\"digest\": \"sha256:1234\"}\nand more\n")
	for _, file := range []string{one, two} {
		if err := Write(file, content); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(file); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	whole, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(what string, at int, raw []byte) {
		t.Helper()
		if err := os.WriteFile(one, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(one); err == nil {
			t.Errorf("%s at %d: read %q", what, at, got)
		}
	}
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 1
		damaged("changed", i, changed)
		damaged("cut", i, whole[:i])
	}
	damaged("longer", len(whole), append(bytes.Clone(whole), '\n'))
	other, err := os.ReadFile(two)
	if err != nil {
		t.Fatal(err)
	}
	damaged("swapped", 0, other)
	if err := Write(one, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(one); err != nil || len(got) > 0 {
		t.Errorf("nothing: %q, %v", got, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What another user, a link or a folder has put in the entry's place is none, and is
// replaced.
func TestOthersAreReplaced(t *testing.T) {
	for what, put := range map[string]func(file string) error{
		"a link": func(file string) error {
			real := filepath.Join(t.TempDir(), filepath.Base(file))
			return errors.Join(Write(real, []byte("x")), os.Remove(file), os.Symlink(real, file))
		},
		"a folder": func(file string) error {
			return errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "below"), 0o700))
		},
		"another user's": func(file string) error {
			if os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			return os.Chown(file, 65534, 65534)
		},
	} {
		t.Run(what, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "entry")
			if err := Write(file, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := put(file); err != nil {
				t.Fatal(err)
			}
			if got, err := Read(file); err == nil {
				t.Errorf("read %q", got)
			}
			if err := Write(file, []byte("y")); err != nil {
				t.Fatal(err)
			}
			if got, err := Read(file); err != nil || string(got) != "y" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
