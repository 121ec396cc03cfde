package java

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// The layers, rarest changing first.
const (
	dependencies = "dependencies"
	snapshots    = "snapshot dependencies"
	application  = "application"
)

// app is a jar that can be started, as files of the image.
type app struct {
	jar    *zip.ReadCloser // nil when files are read from folders
	layers map[string][]layer.File
	major  int // of the main class's format; 0 when it is not in the jar
}

// close ends the use of the jar.
func (a *app) close() error {
	if a.jar == nil {
		return nil
	}
	return a.jar.Close()
}

// manifest are the main attributes of a jar's manifest. A line goes on in the
// next one after a space
// (https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html).
func manifest(jar *zip.Reader) (map[string]string, error) {
	raw, err := content(jar, "META-INF/MANIFEST.MF")
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	text, _, _ = strings.Cut(strings.ReplaceAll(text, "\n ", ""), "\n\n")
	attributes := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			attributes[name] = strings.TrimSpace(value)
		}
	}
	return attributes, err
}

// content is a file of a jar, nil when there is none.
func content(jar *zip.Reader, name string) ([]byte, error) {
	f, err := jar.Open(name)
	if errors.Is(err, fs.ErrNotExist) || name == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	return raw, errors.Join(err, f.Close())
}

// take makes the files of the image from the jar at file.
func take(file string) (a *app, err error) {
	jar, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	a = &app{jar: jar, layers: map[string][]layer.File{}}
	attributes, err := manifest(&jar.Reader)
	if err == nil && attributes["Start-Class"] != "" {
		err = a.explode(file, attributes)
	} else if err == nil {
		err = a.whole(file, attributes)
	}
	if err != nil {
		return nil, errors.Join(err, jar.Close())
	}
	return a, nil
}

// whole takes another jar as it is, with the jars beside it that its manifest
// names. Java finds these by itself.
func (a *app) whole(file string, attributes map[string]string) error {
	dir, name := filepath.Split(file)
	for entry := range strings.FieldsSeq(attributes["Class-Path"]) {
		at := filepath.Join(dir, filepath.FromSlash(entry))
		info, err := os.Stat(at)
		if !fs.ValidPath(entry) || err != nil || !info.Mode().IsRegular() {
			continue // also for Java a jar that is not there is no error
		}
		a.layers[dependencies] = append(a.layers[dependencies], onDisk(home+"/"+entry, at, info))
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	a.major, err = classMajor(&a.jar.Reader, strings.ReplaceAll(attributes["Main-Class"], ".", "/")+".class")
	a.layers[application] = []layer.File{onDisk(home+"/"+name, file, info), layer.Bytes(argFile, 0o644, argumentFile([]string{"-jar", "/" + home + "/" + name}))}
	return err
}

func (a *app) add(to, at string, f *zip.File) {
	a.layers[to] = append(a.layers[to], layer.File{
		Path: at, Mode: 0o644, Size: int64(f.UncompressedSize64),
		Open: func() (io.ReadCloser, error) { return f.Open() },
	})
}

func onDisk(at, file string, info fs.FileInfo) layer.File {
	return layer.File{Path: at, Mode: 0o644, Size: info.Size(), Open: func() (io.ReadCloser, error) { return regular.Open(file) }}
}
