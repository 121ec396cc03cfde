package java

import (
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/regular"
)

var _ lang.VariableReader = Language{}

// Variables implements lang.VariableReader. The effect of the options for Maven
// and Java is a fact of Inputs, without what is about this machine only. A
// settings.xml takes passwords from variables that it names.
func (Language) Variables(p *lang.Project) lang.Variables {
	means := append(optionVariables(),
		"JAVA_HOME", "JDK_HOME", "JAVA_HOME_*", "M2_HOME", "MAVEN_HOME", "MAVEN_CONFIG", "MAVEN_SKIP_RC", "GRADLE_HOME", "GRADLE_USER_HOME")
	for _, file := range settingsFiles(p) {
		// What cannot be read names nothing.
		raw, _ := regular.ReadFile(file)
		means = append(means, lang.ReferencedVariables(raw)...)
	}
	return lang.Variables{RunsCode: true, Means: means, Inputs: []string{"ORG_GRADLE_PROJECT_*"}}
}

// optionVariables hold options for Maven, Gradle and Java.
func optionVariables() []string {
	return []string{"MAVEN_OPTS", "MAVEN_ARGS", "MAVEN_DEBUG_OPTS", "GRADLE_OPTS", "JAVA_OPTS", "JDK_JAVA_OPTIONS", "JDK_JAVAC_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"}
}

// settingsFiles are the user's settings of Maven, and those that an option names.
func settingsFiles(p *lang.Project) []string {
	var out []string
	for _, home := range homes(p) {
		out = append(out, filepath.Join(home, ".m2", "settings.xml"))
	}
	for _, found := range regexp.MustCompile(`(?:^|\s)(?:-s|-gs|--settings|--global-settings)[\s=]+(\S+)`).FindAllStringSubmatch(options(p), -1) {
		file := found[1]
		if !filepath.IsAbs(file) {
			file = filepath.Join(p.Dir, file)
		}
		out = append(out, file)
	}
	return out
}

// options are all of Maven's and Java's that a build gets from variables and from
// files of the project.
func options(p *lang.Project) string {
	var out []string
	for _, name := range optionVariables() {
		out = append(out, lang.Lookup(p.Environ, name))
	}
	for _, name := range []string{"maven.config", "jvm.config"} {
		// What is not there says nothing.
		raw, _ := regular.ReadFile(filepath.Join(p.Dir, ".mvn", name))
		out = append(out, string(raw))
	}
	return strings.Join(out, "\n")
}

// homes are where Maven may look for the user's files: to Java the home is that of
// the user database or of an option, to Maven's launcher that of the variable.
func homes(p *lang.Project) []string {
	var out []string
	for _, found := range regexp.MustCompile(`-Duser\.home=(\S+)`).FindAllStringSubmatch(options(p), -1) {
		out = append(out, found[1])
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home := lang.Lookup(p.Environ, name); home != "" && !slices.Contains(out, home) {
			out = append(out, home)
		}
	}
	if known, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil && !slices.Contains(out, known.HomeDir) {
		out = append(out, known.HomeDir)
	}
	return out
}
