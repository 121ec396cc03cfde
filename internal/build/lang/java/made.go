package java

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// made is what a build tool has left behind that may be started.
type made struct {
	quarkus []string // folders in Quarkus' own layout
	boot    []string // jars of Spring Boot
	plain   []string // other jars with a main class
	others  []string // and without one
}

// findMade looks for them below dir, in the folders where the tools write.
func findMade(dir string) (*made, error) {
	found := &made{}
	err := filepath.WalkDir(dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(at) != ".jar" {
			return err
		}
		folder := filepath.Dir(at)
		switch {
		case filepath.Base(folder) == "quarkus-app" && entry.Name() == "quarkus-run.jar":
			found.quarkus = append(found.quarkus, folder)
			return nil
		case filepath.Base(folder) != "target" && (filepath.Base(folder) != "libs" || filepath.Base(filepath.Dir(folder)) != "build"):
			return nil
		case strings.HasPrefix(entry.Name(), "original-") || isBeside(entry.Name()):
			return nil
		}
		return found.add(at)
	})
	found.plain = preferred(found.plain)
	return found, err
}

// isBeside reports whether a jar's name is that of one that goes beside a program:
// its sources, its tests, or Spring Boot's jar without libraries.
func isBeside(name string) bool {
	return slices.ContainsFunc([]string{"-sources.jar", "-javadoc.jar", "-tests.jar", "-plain.jar", "-test-fixtures.jar"}, func(suffix string) bool {
		return strings.HasSuffix(name, suffix)
	})
}

func (m *made) add(at string) error {
	attributes, err := manifestOf(at)
	switch {
	case attributes["Start-Class"] != "":
		m.boot = append(m.boot, at)
	case attributes["Main-Class"] != "":
		m.plain = append(m.plain, at)
	default:
		m.others = append(m.others, at)
	}
	return err
}

// preferred leaves out of the jars of one folder those that have another beside
// them with all libraries in it, by the names that plugins give them.
func preferred(jars []string) []string {
	return slices.DeleteFunc(slices.Clone(jars), func(at string) bool {
		return !isWhole(at) && slices.ContainsFunc(jars, func(other string) bool { return isWhole(other) && filepath.Dir(other) == filepath.Dir(at) })
	})
}

// isWhole reports whether a jar has its libraries in it, by its name or by that of
// the jar beside it that a plugin has replaced.
func isWhole(at string) bool {
	if _, err := os.Stat(filepath.Join(filepath.Dir(at), "original-"+filepath.Base(at))); err == nil {
		return true
	}
	return slices.ContainsFunc([]string{"-jar-with-dependencies.jar", "-all.jar", "-shaded.jar", "-fat.jar", "-uber.jar", "-runner.jar"}, func(suffix string) bool {
		return strings.HasSuffix(at, suffix)
	})
}

func manifestOf(at string) (map[string]string, error) {
	jar, err := zip.OpenReader(at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(at), err)
	}
	attributes, err := manifest(&jar.Reader)
	return attributes, errors.Join(err, jar.Close())
}

// choose returns the one thing to start, "" when there is none of a kind that
// says by itself what its main class is.
func (m *made) choose(dir, label, tool string) (string, error) {
	for _, kind := range [][]string{m.quarkus, m.boot, m.plain} {
		switch len(kind) {
		case 0:
			continue
		case 1:
			return kind[0], nil
		}
		var names []string
		for _, at := range kind {
			name, _ := filepath.Rel(dir, at)
			names = append(names, filepath.ToSlash(name))
		}
		return "", fault.New(fault.Build, "build.java", label, "%s made several programs: %s", tool, strings.Join(names, ", ")).
			WithHint("leave one in the build, or build the folder of one module")
	}
	return "", nil
}
