package golang

import (
	"os"
	"path/filepath"
	"testing"
)

// The go command takes a program with the right head for the right program, so one
// that is not as it was given back is not taken.
func TestLastProgramIsWhole(t *testing.T) {
	dir := t.TempDir()
	last, program := filepath.Join(dir, "program-1"), filepath.Join(dir, "function")
	give := func() {
		t.Helper()
		if err := os.WriteFile(program, []byte("a program"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := giveBack(program, last); err != nil {
			t.Fatal(err)
		}
	}
	taken := func() bool {
		t.Helper()
		if err := takeProgram(last, program); err != nil {
			t.Fatal(err)
		}
		_, err := os.Lstat(program)
		return err == nil
	}
	if taken() {
		t.Error("there was none")
	}
	give()
	if !taken() {
		t.Error("one that is whole is not taken")
	}
	for what, harm := range map[string]func() error{
		"cut":       func() error { return os.Truncate(last, 3) },
		"no digest": func() error { return os.Remove(digestOf(last)) },
		"another's": func() error { return os.WriteFile(last, []byte("b program"), 0o755) },
		"a link": func() error {
			elsewhere := filepath.Join(dir, "elsewhere")
			if err := os.Rename(last, elsewhere); err != nil {
				return err
			}
			return os.Symlink(elsewhere, last)
		},
		"a folder": func() error {
			if err := os.Remove(last); err != nil {
				return err
			}
			return os.MkdirAll(filepath.Join(last, "below"), 0o755)
		},
	} {
		give()
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if taken() {
			t.Errorf("%s: it is taken", what)
		}
	}
}
