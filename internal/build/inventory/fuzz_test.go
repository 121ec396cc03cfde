package inventory

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"testing"
)

// What a layer's files hold is anybody's; an inventory passes over what it cannot read.
func FuzzFile(f *testing.F) {
	var jar bytes.Buffer
	zw := zip.NewWriter(&jar)
	w, err := zw.Create("META-INF/maven/a/b/pom.properties")
	if err == nil {
		_, err = w.Write([]byte("groupId=a\nartifactId=b\nversion=1\n"))
	}
	if err == nil {
		err = zw.Close()
	}
	if err != nil {
		f.Fatal(err)
	}
	for name, content := range map[string]string{
		"app/node_modules/a/package.json": `{"name":"a","version":"1"}`, "app/package-lock.json": `{"packages":{"node_modules/a":{"version":"1","integrity":"sha512-x"}}}`,
		"lib/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n", "var/lib/dpkg/status": "Package: a\nVersion: 1\n\n b\n", "lib/apk/db/installed": "P:a\nV:1\n", "etc/os-release": "ID=a\nVERSION_ID=\"1\n",
		"app/a.jar": jar.String(), "bin/a": "\x7fELF\x02\x01\x01", "a/.wh.b": "", "a/.wh..wh..opq": "",
	} {
		f.Add(name, []byte(content))
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		var archive bytes.Buffer
		tw := tar.NewWriter(&archive)
		if tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}) != nil {
			return
		}
		if _, err := tw.Write(content); err != nil || tw.Close() != nil {
			return
		}
		if found, err := Scan(context.Background(), &archive); err == nil {
			Merge([]*Found{found, found})
		}
	})
}

// A layer itself may be anything.
func FuzzLayer(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if found, err := Scan(context.Background(), bytes.NewReader(raw)); err == nil {
			Merge([]*Found{found})
		}
	})
}
