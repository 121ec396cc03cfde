package java

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// applicationJar is the program of a Spring Boot project: its own classes and
// resources, and the manifest, which only a jar can give to Java.
const applicationJar = "application.jar"

const manifestFile = "META-INF/MANIFEST.MF"

// explode takes Spring Boot's jar of jars apart, as its own tools do it: libraries
// are files beside a jar with all else that the jar of jars has, its own loader
// excepted, which nothing needs then.
func (a *app) explode(file string, attributes map[string]string) error {
	classes, libraries := attributes["Spring-Boot-Classes"], attributes["Spring-Boot-Lib"]
	if classes == "" || libraries == "" {
		return fault.New(fault.Build, "build.java", path.Base(attributes["Start-Class"]), "the jar's manifest does not say where its classes are").
			WithHint("use the spring-boot-maven-plugin of Spring Boot 2.1 or newer")
	}
	index, err := content(&a.jar.Reader, attributes["Spring-Boot-Layers-Index"])
	if err != nil {
		return err
	}
	layerOf := readLayers(string(index))
	var libs []string
	own := map[string]*zip.File{}
	for _, f := range a.jar.File {
		name, isLibrary := strings.CutPrefix(f.Name, libraries)
		switch {
		case f.FileInfo().IsDir():
		case isLibrary && fs.ValidPath(name):
			libs = append(libs, f.Name)
			a.add(layerOf(f.Name), home+"/lib/"+name, f)
		case !isLibrary:
			if name := applicationName(f.Name, classes, attributes); name != "" && own[name] == nil {
				own[name] = f
			}
		}
	}
	order, err := content(&a.jar.Reader, attributes["Spring-Boot-Classpath-Index"])
	if err != nil {
		return err
	}
	var classPath []string
	for _, name := range ordered(libs, string(order)) {
		classPath = append(classPath, "lib/"+strings.TrimPrefix(name, libraries))
	}
	main := attributes["Start-Class"]
	if a.major, err = classMajor(&a.jar.Reader, classes+strings.ReplaceAll(main, ".", "/")+".class"); err != nil {
		return err
	}
	raw, err := content(&a.jar.Reader, manifestFile)
	if err != nil {
		return err
	}
	at := filepath.Join(filepath.Dir(file), ".kn-lite-"+applicationJar)
	if err := writeJar(at, rewriteManifest(string(raw), main, classPath), own); err != nil {
		return fmt.Errorf("%s: %w", applicationJar, err)
	}
	info, err := os.Stat(at)
	if err != nil {
		return err
	}
	a.layers[application] = append(a.layers[application], onDisk(home+"/"+applicationJar, at, info),
		layer.Bytes(argFile, 0o644, argumentFile([]string{"-jar", "/" + home + "/" + applicationJar})))
	return nil
}

// applicationName is where a file of Spring Boot's jar belongs in the
// application's, "" when nothing there needs it.
func applicationName(name, classes string, attributes map[string]string) string {
	inside, isClass := strings.CutPrefix(name, classes)
	switch {
	case isClass && fs.ValidPath(inside):
		return inside
	case isClass, !fs.ValidPath(name), name == manifestFile, strings.HasPrefix(name, "org/springframework/boot/loader/"),
		name == attributes["Spring-Boot-Layers-Index"], name == attributes["Spring-Boot-Classpath-Index"]:
		return ""
	}
	return name
}

// jarTime is the time of what is in no jar yet: zip files know none before 1980.
func jarTime() time.Time { return time.Date(1980, 2, 1, 0, 0, 0, 0, time.UTC) }

// writeJar writes a jar of files, with the folders that they are in: Spring looks
// for packages by the names of their folders.
func writeJar(at, manifest string, files map[string]*zip.File) (err error) {
	out, err := os.Create(at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := zip.NewWriter(out)
	head, err := w.CreateHeader(&zip.FileHeader{Name: manifestFile, Method: zip.Deflate, Modified: jarTime()})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(head, manifest); err != nil {
		return err
	}
	names := map[string]bool{}
	for name := range files {
		names[name] = true
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			names[folder+"/"] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := copyEntry(w, name, files[name]); err != nil {
			return err
		}
	}
	return w.Close()
}

// copyEntry writes a file with the time that it had, or a folder when from is nil.
func copyEntry(w *zip.Writer, name string, from *zip.File) error {
	if from == nil {
		_, err := w.CreateHeader(&zip.FileHeader{Name: name, Modified: jarTime()})
		return err
	}
	to, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: from.Modified})
	if err != nil {
		return err
	}
	r, err := from.Open()
	if err != nil {
		return err
	}
	_, err = io.Copy(to, r)
	return errors.Join(err, r.Close())
}

// rewriteManifest makes Java start main itself, with the libraries in classPath.
// All other attributes and sections are as they were.
func rewriteManifest(raw, main string, classPath []string) string {
	replaced := []string{"Main-Class", "Class-Path", "Spring-Boot-Classes", "Spring-Boot-Lib", "Spring-Boot-Classpath-Index", "Spring-Boot-Layers-Index"}
	text := strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\n ", "")
	first, rest, _ := strings.Cut(text, "\n\n")
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(first), "\n") {
		if name, _, ok := strings.Cut(line, ":"); ok && !slices.Contains(replaced, name) {
			lines = append(lines, line)
		}
	}
	lines = append(lines, "Main-Class: "+main)
	if len(classPath) > 0 {
		var urls []string
		for _, name := range classPath {
			urls = append(urls, (&url.URL{Path: name}).EscapedPath())
		}
		lines = append(lines, "Class-Path: "+strings.Join(urls, " "))
	}
	var out strings.Builder
	for _, line := range append(lines, "") {
		out.WriteString(foldLine(line))
	}
	for line := range strings.SplitSeq(strings.TrimLeft(rest, "\n"), "\n") {
		out.WriteString(foldLine(line))
	}
	return out.String()
}

// foldLine ends a line of a manifest, which has at most 72 bytes, and goes on in
// the next one after a space.
func foldLine(line string) string {
	var out strings.Builder
	for limit := 72; len(line) > limit; limit = 71 {
		end := limit
		for end > 1 && line[end]&0xc0 == 0x80 {
			end-- // not within a letter
		}
		out.WriteString(line[:end] + "\r\n ")
		line = line[end:]
	}
	return out.String() + line + "\r\n"
}
