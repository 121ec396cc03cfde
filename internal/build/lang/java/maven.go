package java

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
)

const toolHint = "install a JDK and Maven: https://maven.apache.org/install.html"

// findTools is the mvn in PATH, where there is a compiler for it.
func findTools(environ []string) (mvn string, err error) {
	if mvn, err = lang.FindTool("java", "mvn", toolHint); err != nil {
		return "", err
	}
	if lang.Lookup(environ, "JAVA_HOME") == "" {
		_, err = lang.FindTool("java", "javac", toolHint)
	}
	return mvn, err
}

// build runs Maven, once for all layers and platforms of a build.
func (f *project) build(ctx context.Context, p *lang.Project) (*app, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.app != nil {
		return f.app, nil
	}
	if err := f.discard(); err != nil {
		return nil, err
	}
	var err error
	if f.scratch, err = lang.NewScratch(filepath.Join(p.CacheDir, "java"), "maven-*"); err != nil {
		return nil, err
	}
	dir := f.scratch.Dir
	if err := stage(ctx, p, dir, f.unwanted()); err != nil {
		return nil, err
	}
	if f.gradle != nil {
		err = f.runGradle(ctx, p, dir)
	} else {
		err = runMaven(ctx, p, dir)
	}
	if err != nil {
		return nil, err
	}
	app, err := f.open(ctx, p, dir)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{dependencies, snapshots, application} {
		app.layers[name] = append(app.layers[name], layer.Dir(home, 0o755))
	}
	if !f.snapshots {
		// The image has no layer for them, and nothing that would change them.
		app.layers[dependencies] = append(app.layers[dependencies], app.layers[snapshots]...)
	}
	f.app = app
	return f.app, nil
}

// runMaven builds in dir, a copy of the project; more is beside the usual.
func runMaven(ctx context.Context, p *lang.Project, dir string, more ...string) error {
	mvn, err := findTools(p.Environ)
	if err != nil {
		return err
	}
	program, args := command(mvn, append(arguments(p.Environ), more...))
	output, err := lang.Run(ctx, dir, environment(p.Environ), program, args...)
	if err != nil {
		return explain(p, dir, output, err)
	}
	return nil
}

// tool is what builds the project.
func (f *project) tool() string {
	if f.gradle != nil {
		return gradleName
	}
	return mavenName
}

// open finds what was built in dir and can be started.
func (f *project) open(ctx context.Context, p *lang.Project, dir string) (*app, error) {
	found, err := findMade(dir)
	if err != nil {
		return nil, err
	}
	at, err := found.choose(dir, p.Label, f.tool())
	switch {
	case err != nil:
		return nil, err
	case len(found.quarkus) > 0:
		return takeQuarkus(at)
	case len(found.boot) > 0:
		return take(at)
	}
	if at == "" {
		return f.openMain(ctx, p, dir, found.others, f.mainClass())
	}
	attributes, err := manifestOf(at)
	if err != nil {
		return nil, err
	}
	if f.hasLibraries() && attributes["Class-Path"] == "" && !isWhole(at) {
		// It says what to start, and not where its libraries are.
		return f.openMain(ctx, p, dir, append(found.others, at), attributes["Main-Class"])
	}
	return take(at)
}

// hasLibraries reports whether the project may need jars at run time.
func (f *project) hasLibraries() bool {
	if f.gradle != nil {
		return true
	}
	found := false
	for _, p := range f.poms {
		p.root.all(func(e *element) {
			scope := e.text("scope")
			found = found || e.XMLName.Local == "dependency" && scope != "test" && scope != "provided" && scope != "import"
		})
	}
	return found
}

// openMain starts a class of jars, with the libraries that the build tool names.
// named is the class; "" takes the only one that there is.
func (f *project) openMain(ctx context.Context, p *lang.Project, dir string, jars []string, named string) (*app, error) {
	classes, err := mainJars(jars)
	if err != nil {
		return nil, err
	}
	file := pomFile
	if f.gradle != nil {
		file = gradleFile(p.Source.FS())
	}
	main, err := chooseMain(classes, named, p.Label, f.tool(), file)
	if err != nil {
		return nil, err
	}
	if f.gradle == nil {
		// The libraries, with all modules that the program's own needs.
		module, err := filepath.Rel(dir, moduleOf(main.file))
		if err != nil {
			return nil, err
		}
		more := []string{"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=target/" + libraryFolder}
		if module != "." {
			more = append(more, "-pl", filepath.ToSlash(module), "-am")
		}
		if err := runMaven(ctx, p, dir, more...); err != nil {
			return nil, err
		}
	}
	own := map[string]bool{}
	for _, jar := range jars {
		own[filepath.Base(jar)] = true
	}
	return takeMain(main, func(library string) bool { return own[library] })
}

// mainClass is the class to start where the project names one.
func (f *project) mainClass() string {
	if f.gradle != nil {
		return f.gradle.main
	}
	for _, p := range f.poms {
		for _, name := range []string{"exec.mainClass", "mainClass", "start-class", "main.class", "main-class"} {
			if class := f.resolve(p, p.root.text("properties", name)); class != "" {
				return class
			}
		}
		named := ""
		p.root.all(func(e *element) {
			if class := f.resolve(p, e.text("configuration", "mainClass")); class != "" && named == "" {
				named = class // of the exec-maven-plugin and its like
			}
		})
		if named != "" {
			return named
		}
	}
	return ""
}

// Close removes what Maven has made.
func (f *project) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.discard()
}

func (f *project) discard() (err error) {
	if f.app != nil {
		err = f.app.close()
	}
	if f.scratch != nil {
		err = errors.Join(err, f.scratch.Close())
	}
	f.app, f.scratch = nil, nil
	return err
}

// command runs Maven under the usual umask: the jars of modules have the modes of
// the files that are put into them.
func command(mvn string, args []string) (program string, all []string) {
	if runtime.GOOS == "windows" {
		return mvn, args
	}
	return "/bin/sh", append([]string{"-c", `umask 022; exec "$0" "$@"`, mvn}, args...)
}

// environment makes Maven's result the same in every locale and time zone:
// javac reads sources, and plugins write dates and numbers, by these.
func environment(environ []string) []string {
	return lang.With(environ, "LC_ALL=C.UTF-8", "TZ=UTC")
}

func arguments(environ []string) []string {
	return []string{
		"-B", "-q", "-Dstyle.color=never", "-DskipTests",
		"-Dproject.build.outputTimestamp=" + timestamp(environ),
		"-Dmaven.gitcommitid.skip=true", // the copy has no .git
		"package",
	}
}

// timestamp is the time for jars, which know none before 1980.
func timestamp(environ []string) string {
	at := time.Date(1980, 2, 1, 0, 0, 0, 0, time.UTC)
	if seconds, err := strconv.ParseInt(lang.Lookup(environ, "SOURCE_DATE_EPOCH"), 10, 64); err == nil && seconds > at.Unix() {
		at = time.Unix(seconds, 0).UTC()
	}
	return at.Format(time.RFC3339)
}

// unwanted is what Maven or Gradle leaves behind.
func (f *project) unwanted() []string {
	if f.gradle != nil {
		return f.gradle.generated()
	}
	return []string{"target"}
}

// stage copies the project for Maven, which writes among its sources.
func stage(ctx context.Context, p *lang.Project, dir string, unwanted []string) error {
	ignore, err := source.ReadIgnore(p.Source.FS(), p.Report.Warn, unwanted...)
	if err != nil {
		return err
	}
	files, err := ignore.Walk(ctx, p.Source, "")
	if err != nil {
		return err
	}
	return lang.WriteFiles(dir, files)
}

// explain hands on the words of Maven and the compiler, with the names that the
// user knows, and without Maven's advice about itself.
func explain(p *lang.Project, dir, output string, err error) error {
	if !exited(err) {
		return err
	}
	for _, known := range []string{dir, resolved(dir)} {
		output = strings.ReplaceAll(output, known+string(filepath.Separator), "")
	}
	advice := regexp.MustCompile(`^\[ERROR\] (To see the full stack trace|Re-run Maven|For more information|\[Help |After correcting|  mvn <)`)
	var lines []string
	said := map[string]bool{"": true} // what the compiler says Maven says again
	for line := range strings.Lines(strings.ReplaceAll(output, "\x1b[0m", "")) {
		line = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(line, " \r\n"), "-> [Help 1]"), " ")
		words := strings.TrimSpace(strings.TrimPrefix(line, "[ERROR]"))
		if !said[words] && !advice.MatchString(line) {
			lines = append(lines, line)
		}
		said[words] = true
	}
	failure := fault.New(fault.Build, "build.java", p.Label, "Maven could not build it\n%s", strings.Join(lines, "\n"))
	if old := regexp.MustCompile(`release version (\d+) not supported|invalid target release: (\d+)`).FindStringSubmatch(output); old != nil {
		return failure.WithHint("install a JDK for Java %s, or set JAVA_HOME to the one there is", old[1]+old[2])
	}
	return failure
}

// exited reports whether err is that of a program that ran and did not succeed.
func exited(err error) bool {
	_, ran := errors.AsType[*exec.ExitError](err)
	return ran
}

// resolved is dir as tools name it that follow links.
func resolved(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}
