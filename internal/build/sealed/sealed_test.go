package sealed

import (
	"bytes"
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
