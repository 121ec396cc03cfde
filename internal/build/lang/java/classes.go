package java

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang/java/classfile"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// libraryFolder is where the build tools are told to put what a program needs at
// run time, below target or build.
const libraryFolder = "kn-lite-lib"

// mainJar is a jar whose manifest does not say what to start, and a class of it
// that can be.
type mainJar struct {
	file, class string
	major       int
}

// mainJars are the classes with a main method in jars.
func mainJars(jars []string) ([]mainJar, error) {
	var out []mainJar
	for _, file := range jars {
		jar, err := zip.OpenReader(file)
		if err != nil {
			return nil, err
		}
		for _, f := range jar.File {
			if path.Ext(f.Name) != ".class" || f.UncompressedSize64 > maxFile {
				continue
			}
			raw, err := content(&jar.Reader, f.Name)
			if err != nil {
				return nil, errors.Join(err, jar.Close())
			}
			if classfile.HasMain(raw) {
				out = append(out, mainJar{file, strings.ReplaceAll(strings.TrimSuffix(f.Name, ".class"), "/", "."), int(binary.BigEndian.Uint16(raw[6:]))})
			}
		}
		if err := jar.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// chooseMain finds the one class to start: the one that the project names, else
// the only one.
func chooseMain(found []mainJar, named, label, tool, file string) (mainJar, error) {
	var classes []string
	for _, m := range found {
		if m.class == named {
			return m, nil
		}
		classes = append(classes, m.class)
	}
	slices.Sort(classes)
	how := "name one: <exec.mainClass> among the properties of " + pomFile
	if tool == gradleName {
		how = "name one: application { mainClass = '…' } in " + file
	}
	switch {
	case named != "":
		return mainJar{}, fault.New(fault.Build, "build.java", label, "the project has no class %s with a main method", named).WithHint("those it has: %s", strings.Join(classes, ", "))
	case len(found) == 0:
		return mainJar{}, fault.New(fault.Build, "build.java", label, "%s made no class with a main method: there is nothing to start", tool).
			WithHint("a program needs `public static void main(String[] args)`; a library is no service")
	case len(found) > 1:
		return mainJar{}, fault.New(fault.Build, "build.java", label, "several classes have a main method: %s", strings.Join(classes[:min(len(classes), 10)], ", ")).WithHint("%s", how)
	}
	return found[0], nil
}

// takeMain makes the files of the image from a jar and the libraries beside it.
func takeMain(m mainJar, own func(library string) bool) (*app, error) {
	info, err := os.Stat(m.file)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(m.file)
	a := &app{major: m.major, layers: map[string][]layer.File{application: {onDisk(home+"/"+name, m.file, info)}}}
	libraries, err := filepath.Glob(filepath.Join(moduleOf(m.file), "*", libraryFolder, "*.jar"))
	if err != nil {
		return nil, err
	}
	classPath := []string{"/" + home + "/" + name}
	for _, file := range libraries {
		library := filepath.Base(file)
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		to := dependencies
		switch {
		case own(library):
			to = application
		case strings.Contains(library, "SNAPSHOT"):
			to = snapshots
		}
		a.layers[to] = append(a.layers[to], onDisk(home+"/lib/"+library, file, info))
		classPath = append(classPath, "/"+home+"/lib/"+library)
	}
	a.layers[application] = append(a.layers[application], layer.Bytes(argFile, 0o644, argumentFile([]string{"-cp", strings.Join(classPath, ":"), m.class})))
	return a, nil
}

// moduleOf is the folder of the module that made a jar: MODULE/target/x.jar or
// MODULE/build/libs/x.jar.
func moduleOf(jar string) string {
	dir := filepath.Dir(jar)
	if filepath.Base(dir) == "libs" {
		dir = filepath.Dir(dir)
	}
	return filepath.Dir(dir)
}
