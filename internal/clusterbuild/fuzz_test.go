package clusterbuild

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// inside gives a folder to unpack into, and a check that nothing was made beside it.
func inside(t *testing.T) (dir string, check func()) {
	t.Helper()
	outer := t.TempDir()
	dir = filepath.Join(outer, "context")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, func() {
		t.Helper()
		_ = os.Chmod(dir, 0o700) // an archive may say what the folder itself is
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if d != nil && d.IsDir() {
				_ = os.Chmod(path, 0o700)
			}
			return nil
		})
		entries, err := os.ReadDir(outer)
		if err != nil || len(entries) != 1 {
			t.Errorf("beside the context there is %v, %v", entries, err)
		}
	}
}

// FuzzReceive: whatever comes in is an order with its context, or an error.
func FuzzReceive(f *testing.F) {
	for _, files := range [][]layer.File{nil, {layer.Bytes("a/b", 0o644, []byte("text")), layer.Symlink("l", "../../etc/passwd"), layer.Dir("d", 0o755)}} {
		var raw bytes.Buffer
		if err := writeOrder(context.Background(), &raw, &Order{Tag: "registry.example/app:v1"}, files, func(int64) {}); err != nil {
			f.Fatal(err)
		}
		f.Add(raw.Bytes())
		f.Add(raw.Bytes()[:raw.Len()-1])
	}
	f.Add([]byte(protocol))
	f.Add([]byte(protocol + "\xff\xff\xff\xff"))
	f.Add([]byte(protocol + "\x00\x00\x00\x02{}\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		dir, check := inside(t)
		ctx, client := Accept(t.Context(), bytes.NewReader(raw), time.Minute)
		order, err := client.Receive(ctx, dir)
		if (order == nil) != (err != nil) && err == nil {
			t.Error("neither an order nor an error")
		}
		check()
	})
}

// FuzzUnpack: no entry of an archive leaves the folder.
func FuzzUnpack(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{},
		{{Name: "a", Typeflag: tar.TypeReg, Mode: 0o644}, {Name: "a", Typeflag: tar.TypeReg}},
		{{Name: "../x", Typeflag: tar.TypeReg}},
		{{Name: "/x", Typeflag: tar.TypeReg}},
		{{Name: "a/../../x", Typeflag: tar.TypeDir}},
		{{Name: "l", Linkname: "..", Typeflag: tar.TypeSymlink}, {Name: "l/x", Typeflag: tar.TypeReg}},
		{{Name: "l", Linkname: "/tmp", Typeflag: tar.TypeSymlink}, {Name: "l", Typeflag: tar.TypeDir, Mode: 0o777}},
		{{Name: "h", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}},
		{{Name: "p", Typeflag: tar.TypeFifo}},
		{{Name: ".", Typeflag: tar.TypeDir}},
	} {
		var raw bytes.Buffer
		tw := tar.NewWriter(&raw)
		for i := range headers {
			if err := tw.WriteHeader(&headers[i]); err != nil {
				f.Fatal(err)
			}
		}
		if err := tw.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(raw.Bytes())
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		var packed bytes.Buffer
		zw := gzip.NewWriter(&packed)
		if _, err := zw.Write(archive); err != nil || zw.Close() != nil {
			t.Fatal(err)
		}
		dir, check := inside(t)
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		in := bytes.NewReader(packed.Bytes())
		if err := unpack(root, in); err == nil {
			if left, err := io.Copy(io.Discard, in); err != nil || left > 0 {
				t.Errorf("%d bytes are left", left)
			}
		}
		check()
	})
}
