package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"testing"
	"time"
)

// What comes out of a sandbox was packed by our own program, from files that a RUN made.
func FuzzRepack(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{},
		{{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "a/b", Typeflag: tar.TypeReg}, {Name: "c", Linkname: "a/b", Typeflag: tar.TypeLink}},
		{{Name: "../a", Typeflag: tar.TypeReg}},
		{{Name: "l", Linkname: "/etc", Typeflag: tar.TypeSymlink}},
		{{Name: "p", Typeflag: tar.TypeFifo}},
		{{Name: "x", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}, Format: tar.FormatPAX}},
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
	f.Fuzz(func(t *testing.T, raw []byte) {
		var made bytes.Buffer
		record, _, err := repack(context.Background(), &made, io.Discard, bytes.NewReader(raw), time.Unix(0, 0))
		if err != nil {
			return
		}
		zr, err := Gunzip(io.NopCloser(&made))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, zr); err != nil || record.Size == 0 {
			t.Errorf("a layer that cannot be read was made: %v", err)
		}
	})
}
