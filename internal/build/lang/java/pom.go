package java

import (
	"bytes"
	"encoding/xml"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

const pomFile = "pom.xml"

// maxFile bounds what is read of a pom.
const maxFile = 16 << 20

// maxVersion bounds what a version may be made of: properties that refer to each
// other could grow without end.
const maxVersion = 1000

// project is what Plan finds out, and the one run of Maven for all layers and
// platforms of a build.
type project struct {
	poms      []pom          // the folder's own first, then those of its modules
	release   int            // of Java, that the classes are made for; 0 when no pom tells
	gradle    *gradleProject // nil for Maven
	spring    bool           // Spring Boot
	quarkus   bool
	functions bool   // and Spring Cloud Function
	floating  string // a dependency whose version is found anew each time, or ""
	snapshots bool   // that dependency, or another one, is a SNAPSHOT

	toolchains bool // a plugin chooses among the machine's JDKs

	mu      sync.Mutex
	scratch *lang.Scratch
	app     *app
}

// pom is one pom.xml.
type pom struct {
	name string // relative to the project, slash-separated
	root *element
}

// element is a part of a pom.
type element struct {
	XMLName  xml.Name
	Text     string     `xml:",chardata"`
	Children []*element `xml:",any"`
}

// text is what stands at a path of children, or "".
func (e *element) text(names ...string) string {
	for _, name := range names {
		at := slices.IndexFunc(e.Children, func(c *element) bool { return c.XMLName.Local == name })
		if at < 0 {
			return ""
		}
		e = e.Children[at]
	}
	return strings.TrimSpace(e.Text)
}

// all visits e and what is in it.
func (e *element) all(visit func(*element)) {
	visit(e)
	for _, c := range e.Children {
		c.all(visit)
	}
}

// inspect reads the project's poms.
func inspect(files fs.FS) (*project, error) {
	found := &project{}
	if err := found.read(files, pomFile); err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, p := range found.poms {
		own[p.root.text("artifactId")] = true
	}
	for _, p := range found.poms {
		p.root.all(func(e *element) {
			group, artifact := e.text("groupId"), e.text("artifactId")
			found.quarkus = found.quarkus || artifact == "quarkus-maven-plugin" || artifact == "quarkus-bom" || group == "io.quarkus"
			found.spring = found.spring || group == "org.springframework.boot"
			found.toolchains = found.toolchains || artifact == "maven-toolchains-plugin" || e.XMLName.Local == "jdkToolchain"
			found.functions = found.functions || group == "org.springframework.cloud" && strings.Contains(artifact, "function")
			if e == p.root || artifact == "" || own[artifact] {
				return // a module's version is that of the project
			}
			version := found.resolve(p, e.text("version"))
			if strings.HasSuffix(version, "-SNAPSHOT") {
				found.snapshots = true
			} else if version != "LATEST" && version != "RELEASE" && !strings.ContainsAny(version, "[(") {
				return
			}
			found.floating = artifact + " " + version
		})
		found.release = max(found.release, found.releaseOf(p))
	}
	return found, nil
}

// read reads a pom and those of the modules that it names.
func (f *project) read(files fs.FS, name string) error {
	raw, err := lang.ReadFile(files, "java", name, maxFile)
	if err != nil {
		return err
	}
	if raw == nil {
		return fault.New(fault.Usage, "build.java", name, "no such file")
	}
	if len(f.poms) > 500 {
		return fault.New(fault.Usage, "build.java", name, "more than 500 modules")
	}
	decoder := xml.NewDecoder(bytes.NewReader(raw))
	decoder.CharsetReader = latin1
	root := &element{}
	if err := decoder.Decode(root); err != nil {
		return fault.New(fault.Usage, "build.java", name, "not a pom: %w", err)
	}
	f.poms = append(f.poms, pom{name, root})
	var modules []string
	root.all(func(e *element) {
		if e.XMLName.Local == "module" {
			modules = append(modules, strings.TrimSpace(e.Text))
		}
	})
	for _, module := range modules {
		at := path.Join(path.Dir(name), filepath.ToSlash(module))
		if !fs.ValidPath(at) {
			return outside(name, "its module "+module)
		}
		if !strings.HasSuffix(at, ".xml") {
			at = path.Join(at, pomFile)
		}
		known := slices.ContainsFunc(f.poms, func(p pom) bool { return p.name == at })
		// A module of a profile may be missing; Maven complains if it matters.
		if known || !exists(files, at) {
			continue
		}
		if err := f.read(files, at); err != nil {
			return err
		}
	}
	return nil
}

// latin1 reads any encoding of one byte per character well enough: what counts
// here is ASCII.
func latin1(_ string, in io.Reader) (io.Reader, error) {
	raw, err := io.ReadAll(in)
	var out strings.Builder
	for _, b := range raw {
		out.WriteRune(rune(b))
	}
	return strings.NewReader(out.String()), err
}

// resolve puts the poms' properties into text. What it does not know it leaves.
func (f *project) resolve(p pom, text string) string {
	reference := regexp.MustCompile(`\$\{([^}]+)\}`)
	for range 8 { // a property may refer to another one, or to itself
		if len(text) > maxVersion {
			break
		}
		next := reference.ReplaceAllStringFunc(text, func(ref string) string {
			for _, from := range []pom{p, f.poms[0]} {
				if value := from.root.text("properties", ref[2:len(ref)-1]); value != "" && len(value) < maxVersion {
					return value
				}
			}
			return ref
		})
		if next == text {
			break
		}
		text = next
	}
	return text
}

// releaseOf is the Java release that a pom asks for, 0 when it does not.
func (f *project) releaseOf(p pom) int {
	var said []string
	for _, name := range []string{"maven.compiler.release", "java.version", "maven.compiler.target", "maven.compiler.source"} {
		said = append(said, p.root.text("properties", name))
	}
	p.root.all(func(e *element) {
		if e.text("artifactId") == "maven-compiler-plugin" {
			said = append([]string{e.text("configuration", "release"), e.text("configuration", "target")}, said...)
		}
	})
	for _, text := range said {
		text = strings.TrimPrefix(f.resolve(p, text), "1.")
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	}
	return 0
}

// buildable refuses what can only fail later, with words that Maven would not
// find.
func (f *project) buildable(dir string) error {
	root := f.poms[0].root
	if root.text("packaging") == "war" {
		return fault.New(fault.Usage, "build.java", pomFile, "the packaging is war, and a war needs a server to run it").
			WithHint("make it jar, which Spring Boot starts by itself; or write a Dockerfile: {Builder} dockerfile")
	}
	if root.text("parent", "artifactId") == "" {
		return nil
	}
	parent := "../" + pomFile
	for _, c := range root.Children {
		if c.XMLName.Local == "parent" && slices.ContainsFunc(c.Children, func(e *element) bool { return e.XMLName.Local == "relativePath" }) {
			parent = c.text("relativePath")
		}
	}
	if parent == "" || fs.ValidPath(path.Clean(filepath.ToSlash(parent))) {
		return nil
	}
	at := filepath.Join(dir, filepath.FromSlash(parent))
	if info, err := os.Stat(at); err == nil && info.IsDir() {
		at = filepath.Join(at, pomFile)
	}
	raw, err := regular.ReadFile(at)
	if err != nil || !bytes.Contains(raw, []byte("<artifactId>"+root.text("parent", "artifactId")+"</artifactId>")) {
		return nil // then it comes from a repository
	}
	return outside(pomFile, "its parent "+parent)
}

func outside(name, what string) error {
	return fault.New(fault.Usage, "build.java", name, "%s is outside of the function's folder", what).
		WithHint("build the folder that has both, with a func.yaml beside its %s; the one module that makes a jar with a main class is started", pomFile)
}

// style says what the project is.
func (f *project) style() string {
	switch {
	case f.quarkus:
		return "Quarkus application"
	case f.functions:
		return "Spring Cloud Function"
	case f.spring:
		return "Spring Boot application"
	}
	return "program with a main class"
}

func exists(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}
