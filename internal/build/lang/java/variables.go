package java

import (
	"path/filepath"

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
	for _, file := range settingsFiles(p.Environ) {
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

// settingsFiles are the user's settings of Maven.
func settingsFiles(environ []string) []string {
	home := lang.Lookup(environ, "HOME")
	if home == "" {
		home = lang.Lookup(environ, "USERPROFILE")
	}
	if home == "" {
		return nil
	}
	return []string{filepath.Join(home, ".m2", "settings.xml")}
}
