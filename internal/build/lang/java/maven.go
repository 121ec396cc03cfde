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
	mvn, err := findTools(p.Environ)
	if err != nil {
		return nil, err
	}
	if f.scratch, err = lang.NewScratch(filepath.Join(p.CacheDir, "java"), "maven-*"); err != nil {
		return nil, err
	}
	dir := f.scratch.Dir
	if err := stage(ctx, p, dir); err != nil {
		return nil, err
	}
	program, args := command(mvn, arguments(p.Environ))
	output, err := lang.Run(ctx, dir, environment(p.Environ), program, args...)
	if err != nil {
		return nil, explain(p, dir, output, err)
	}
	made, err := open(dir, p.Label)
	if err != nil {
		return nil, err
	}
	if !f.snapshots {
		// The image has no layer for them, and nothing that would change them.
		made.layers[dependencies] = append(made.layers[dependencies], made.layers[snapshots]...)
	}
	f.app = made
	return f.app, nil
}

// Close removes what Maven has made.
func (f *project) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.discard()
}

func (f *project) discard() (err error) {
	if f.app != nil {
		err = f.app.jar.Close()
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

// unwanted is what Maven leaves behind.
func unwanted() []string { return []string{"target"} }

// stage copies the project for Maven, which writes among its sources.
func stage(ctx context.Context, p *lang.Project, dir string) error {
	ignore, err := source.ReadIgnore(p.Source.FS(), p.Report.Warn, unwanted()...)
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
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
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

// resolved is dir as tools name it that follow links.
func resolved(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}
