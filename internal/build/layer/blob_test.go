package layer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/kn-lite/kn-lite/internal/build/sealed"
)

// remote is a layer in a registry that counts its downloads.
type remote struct {
	packed         []byte
	digest, diffID v1.Hash

	mutex     sync.Mutex
	downloads int
}

func newRemote(t *testing.T, packed []byte, content string) *remote {
	t.Helper()
	digest, _, err := v1.SHA256(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	diffID, _, err := v1.SHA256(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return &remote{packed: packed, digest: digest, diffID: diffID}
}

func (r *remote) Digest() (v1.Hash, error)             { return r.digest, nil }
func (r *remote) DiffID() (v1.Hash, error)             { return r.diffID, nil }
func (r *remote) Size() (int64, error)                 { return int64(len(r.packed)), nil }
func (r *remote) MediaType() (types.MediaType, error)  { return types.DockerLayer, nil }
func (r *remote) Uncompressed() (io.ReadCloser, error) { return nil, errors.ErrUnsupported }
func (r *remote) Compressed() (io.ReadCloser, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.downloads++
	return io.NopCloser(bytes.NewReader(r.packed)), nil
}

func gzipped(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readBlob(s *Store, l v1.Layer) (string, error) {
	b, err := s.Fetch(context.Background(), l)
	if err != nil {
		return "", err
	}
	content, err := b.Uncompressed()
	if err != nil {
		return "", err
	}
	raw, err := io.ReadAll(content)
	return string(raw), errors.Join(err, content.Close())
}

func TestFetch(t *testing.T) {
	const content = "the files"
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, packed := range map[string][]byte{
		"gzip": gzipped(t, content), "zstd": z.EncodeAll([]byte(content), nil), "plain": []byte(content),
		"two gzip members": append(gzipped(t, content[:4]), gzipped(t, content[4:])...),
	} {
		s, r := open(t), newRemote(t, packed, content)
		for range 2 {
			if got, err := readBlob(s, r); got != content || err != nil || r.downloads != 1 {
				t.Errorf("%s: %q after %d downloads, %v", name, got, r.downloads, err)
			}
		}
	}
}

func TestFetchHeals(t *testing.T) {
	r := newRemote(t, gzipped(t, "the files"), "the files")
	for name, damage := range map[string]func(file string) error{
		"cut":     func(file string) error { return os.Truncate(file, 7) },
		"empty":   func(file string) error { return os.Truncate(file, 0) },
		"foreign": func(file string) error { return os.WriteFile(file, gzipped(t, "other files"), 0o644) },
		"gone":    os.Remove,
	} {
		s := open(t)
		b, err := s.Fetch(context.Background(), r)
		if err == nil {
			err = damage(b.file)
		}
		if err != nil {
			t.Fatal(err)
		}
		r.downloads = 0
		if got, err := readBlob(s, r); got != "the files" || err != nil || r.downloads != 1 {
			t.Errorf("%s: %q after %d downloads, %v", name, got, r.downloads, err)
		}
	}
}

func TestFetchTrustsNobody(t *testing.T) {
	s := open(t)
	r := newRemote(t, gzipped(t, "the files"), "the files")
	r.packed = gzipped(t, "other files")
	if _, err := readBlob(s, r); err == nil || !strings.Contains(err.Error(), "arrived with the digest") {
		t.Errorf("other bytes than asked for: %v", err)
	}
	if entries, err := os.ReadDir(s.blobs()); len(entries) > 0 || err != nil {
		t.Errorf("the store has %v, %v", entries, err)
	}
	r = newRemote(t, gzipped(t, "the files"), "other files")
	if _, err := readBlob(s, r); err == nil || !strings.Contains(err.Error(), "the image's configuration says") {
		t.Errorf("other files than promised: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Fetch(ctx, newRemote(t, gzipped(t, "new"), "new")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestFetchOnceAtATime(t *testing.T) {
	s, r := open(t), newRemote(t, gzipped(t, "the files"), "the files")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := s.Fetch(context.Background(), r); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if r.downloads != 1 {
		t.Errorf("%d downloads", r.downloads)
	}
}

func TestPruneBoundsTheStore(t *testing.T) {
	s := open(t)
	s.limit = 100
	put := func(name string, age time.Duration) {
		file := filepath.Join(s.blobs(), name)
		at := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(file, make([]byte, 60), 0o644), os.Chtimes(file, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	put("oldest", 5*time.Hour)
	put("old", 4*time.Hour)
	put("in-use", time.Minute)
	put(sealed.TempPrefix+"abandoned", 25*time.Hour)
	left := func() string {
		s.Prune()
		entries, err := os.ReadDir(s.blobs())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	if got := left(); got != "in-use" {
		t.Errorf("left: %s", got)
	}
	put("in-use-too", time.Minute)
	if got := left(); got != "in-use in-use-too" {
		t.Errorf("left: %s, although a build may be reading them", got)
	}
}
