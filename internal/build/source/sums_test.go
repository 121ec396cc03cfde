package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// remembered is digests by path; what is not there is read, and counted.
type remembered struct {
	known map[string]string
	reads int
}

func (r *remembered) DigestBy(path string, _ fs.FileInfo, hash func() (string, error)) (string, error) {
	if sum, ok := r.known[path]; ok {
		return sum, nil
	}
	r.reads++
	sum, err := hash()
	if err == nil {
		r.known[path] = sum
	}
	return sum, err
}

func TestContentKeyTakesRememberedSums(t *testing.T) {
	at := tree(t, "a", "b", "folder/c")
	key := func() (string, error) {
		t.Helper()
		files, err := at.Walk(context.Background(), "", everything, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		return layer.ContentKey(context.Background(), files)
	}
	plain, err := key()
	if err != nil {
		t.Fatal(err)
	}
	sums := &remembered{known: map[string]string{}}
	at.Remember(sums)
	for _, reads := range []int{3, 3} {
		if got, err := key(); err != nil || got != plain || sums.reads != reads {
			t.Errorf("%v after %d reads, %v, want %v after %d", got, sums.reads, err, plain, reads)
		}
	}
	sums.known[filepath.Join(at.Dir(), "b")] = "another"
	if got, err := key(); err != nil || got == plain {
		t.Errorf("%v, %v: the sum of b does not count", got, err)
	}
}

func TestSumOfAFileThatChanges(t *testing.T) {
	at := tree(t, "file")
	at.Remember(&remembered{known: map[string]string{}})
	files, err := at.Walk(context.Background(), "", everything, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at.Dir(), "file"), []byte("rewritten"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := layer.ContentKey(context.Background(), files); !errors.Is(err, layer.ErrChanged) {
		t.Errorf("err = %v", err)
	}
}
