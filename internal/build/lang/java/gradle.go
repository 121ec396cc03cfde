package java

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

const (
	gradleName = "Gradle"
	mavenName  = "Maven"
	// gradleHint is how to get it.
	gradleHint = "install a JDK and Gradle (https://gradle.org/install), or keep the wrapper with the code: gradle wrapper"
)

// gradleInit makes archives that depend on their content alone, and copies what a
// program needs at run time beside what is built.
const gradleInit = `allprojects {
  tasks.withType(AbstractArchiveTask) {
    preserveFileTimestamps = false
    reproducibleFileOrder = true
  }
  afterEvaluate { p ->
    if (p.plugins.hasPlugin('java')) {
      p.tasks.create('knLiteLibraries', Copy) {
        from p.configurations.runtimeClasspath
        into new File(p.projectDir, 'build/` + libraryFolder + `')
      }
    }
  }
}
`

// gradleProject is what is found out about a Gradle project without running it.
type gradleProject struct {
	files []string // the build files, the root's first
	main  string   // the main class that one names
}

// inspectGradle reads the build files. They are programs: what is found in them
// is what they usually say.
func inspectGradle(files fs.FS) (*project, error) {
	found := &project{gradle: &gradleProject{}}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := path.Base(name); base != "." && (strings.HasPrefix(base, ".") || base == "src" || base == "build" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		switch path.Base(name) {
		case "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.properties", "libs.versions.toml":
			found.gradle.files = append(found.gradle.files, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range found.gradle.files {
		text, err := lang.ReadFile(files, "java", name, maxFile)
		if err != nil {
			return nil, err
		}
		found.readGradle(string(text))
	}
	return found, nil
}

func (f *project) readGradle(text string) {
	f.spring = f.spring || strings.Contains(text, "org.springframework.boot")
	f.functions = f.functions || strings.Contains(text, "spring-cloud") && strings.Contains(text, "function")
	f.quarkus = f.quarkus || strings.Contains(text, "io.quarkus")
	for _, found := range regexp.MustCompile(`JavaLanguageVersion\.of\(\s*(\d+)|(?:sourceCompatibility|targetCompatibility)\s*=?\s*['"(]*(?:JavaVersion\.VERSION_)?(?:1[._])?(\d+)|options\.release\s*(?:=|\.set\()\s*(\d+)`).FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(found[1] + found[2] + found[3]); err == nil {
			f.release = max(f.release, n)
		}
	}
	if found := regexp.MustCompile(`mainClass(?:Name)?\s*(?:=|\.set\()?\s*\(?['"]([\w.$]+)['"]`).FindStringSubmatch(text); found != nil && f.gradle.main == "" {
		f.gradle.main = found[1]
	}
	if found := regexp.MustCompile(`['"][\w.-]+:[\w.-]+:([^'":]*(?:\+|SNAPSHOT|latest\.\w+|[\[(][^'"]*,[^'"]*[\])]))['"]`).FindStringSubmatch(text); found != nil {
		f.floating = found[1]
		f.snapshots = f.snapshots || strings.Contains(found[1], "SNAPSHOT")
	}
}

// generated are the folders that Gradle leaves behind, as rules of an ignore file.
func (g *gradleProject) generated() []string {
	out := []string{".gradle"}
	for _, name := range g.files {
		if strings.HasPrefix(path.Base(name), "build.gradle") {
			out = append(out, "/"+path.Join(path.Dir(name), "build"))
		}
	}
	return out
}

// findGradle is the project's wrapper where its Gradle is on this machine already,
// else the gradle in PATH, else the wrapper, which downloads.
func findGradle(p *lang.Project) (string, error) {
	wrapper := filepath.Join(p.Dir, "gradlew")
	_, err := os.Stat(wrapper)
	has := err == nil
	if has && unpacked(p) {
		return wrapper, nil
	}
	tool, err := lang.FindTool("java", "gradle", gradleHint)
	if err != nil && has {
		return wrapper, nil
	}
	return tool, err
}

// gradleHome is where Gradle keeps what it fetches, and the user's settings.
func gradleHome(p *lang.Project) string {
	if home := lang.Lookup(p.Environ, "GRADLE_USER_HOME"); home != "" {
		return home
	}
	for _, home := range homes(p) {
		return filepath.Join(home, ".gradle")
	}
	return ""
}

// unpacked reports whether the wrapper's Gradle is there.
func unpacked(p *lang.Project) bool {
	version := wrapperVersion(p)
	if version == "" {
		return false
	}
	found, err := filepath.Glob(filepath.Join(gradleHome(p), "wrapper", "dists", version+"-*", "*", version))
	return err == nil && len(found) > 0
}

// wrapperVersion is such as gradle-8.14, "" without a wrapper.
func wrapperVersion(p *lang.Project) string {
	raw, err := regular.ReadFile(filepath.Join(p.Dir, "gradle", "wrapper", "gradle-wrapper.properties"))
	if err != nil {
		return ""
	}
	found := regexp.MustCompile(`distributionUrl\s*=.*/(gradle-[\w.-]+?)-(?:bin|all)\.zip`).FindSubmatch(raw)
	if found == nil {
		return ""
	}
	return string(found[1])
}

// runGradle builds in dir, a copy of the project.
func (f *project) runGradle(ctx context.Context, p *lang.Project, dir string) error {
	tool, err := findGradle(p)
	if err != nil {
		return err
	}
	if tool == filepath.Join(p.Dir, "gradlew") {
		tool = filepath.Join(dir, "gradlew")
	}
	script := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+".init.gradle")
	if err := os.WriteFile(script, []byte(gradleInit), 0o644); err != nil {
		return err
	}
	args := []string{"--no-daemon", "--console=plain", "--quiet", "--init-script", script, "assemble"}
	if !f.spring && !f.quarkus {
		args = append(args, "knLiteLibraries")
	}
	program, args := command(tool, args)
	output, err := lang.Run(ctx, dir, environment(p.Environ), program, args...)
	err = errors.Join(explainGradle(p, dir, output, err), os.Remove(script))
	return err
}

// explainGradle hands on the words of Gradle and the compiler, with the names that
// the user knows.
func explainGradle(p *lang.Project, dir, output string, err error) error {
	if err == nil || !exited(err) {
		return err
	}
	for _, known := range []string{dir, resolved(dir)} {
		output = strings.ReplaceAll(output, known+string(filepath.Separator), "")
	}
	output, _, _ = strings.Cut(output, "\n* Try:")
	failure := fault.New(fault.Build, "build.java", p.Label, "Gradle could not build it\n%s", strings.TrimSpace(output))
	if strings.Contains(output, "Unsupported class file major version") || strings.Contains(output, "Could not determine java version") {
		return failure.WithHint("this Gradle does not know this machine's Java: use a newer one, or set JAVA_HOME to an older JDK")
	}
	return failure
}

// gradleInputs are Gradle's version, the JDK's, and the user's own settings.
func (f *project) gradleInputs(ctx context.Context, p *lang.Project) ([]lang.Fact, error) {
	tool, err := findGradle(p)
	if err != nil {
		return nil, err
	}
	version := ""
	if filepath.Dir(tool) == p.Dir {
		version = wrapperVersion(p)
	} else if jars, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(resolved(tool))), "lib", "gradle-core-[0-9]*.jar")); err == nil && len(jars) == 1 {
		version = strings.TrimSuffix(filepath.Base(jars[0]), ".jar")
	}
	if version == "" {
		out, err := lang.Run(ctx, p.Dir, environment(p.Environ), tool, "--version")
		if err != nil {
			return nil, explainGradle(p, p.Dir, out, err)
		}
		if found := regexp.MustCompile(`Gradle (\S+)`).FindStringSubmatch(out); found != nil {
			version = found[1]
		}
	}
	facts := []lang.Fact{{Name: "gradle and java", Value: version + ", " + javaVersion(p.Environ)}}
	own := []string{filepath.Join(gradleHome(p), "gradle.properties"), filepath.Join(gradleHome(p), "init.gradle"), filepath.Join(gradleHome(p), "init.gradle.kts")}
	scripts, err := filepath.Glob(filepath.Join(gradleHome(p), "init.d", "*"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", gradleHome(p), err)
	}
	slices.Sort(scripts)
	for _, file := range append(own, scripts...) {
		if raw, err := regular.ReadFile(file); err == nil {
			facts = append(facts, lang.Fact{Name: "Gradle's " + filepath.Base(file) + " of the user", Value: digest(string(raw))})
		}
	}
	return facts, nil
}
