package java

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/regular"
)

var _ lang.Keyed = Language{}

// Inputs implements lang.Keyed: all files that Maven is given, its version and
// that of the JDK, and those settings that change what it makes.
func (Language) Inputs(ctx context.Context, p *lang.Project, plan *lang.Plan) (*lang.Inputs, error) {
	found, ok := plan.Detail.(*project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	if found.floating != "" {
		return &lang.Inputs{Unknown: found.floating + " is no fixed version, so Maven looks for it anew each time"}, nil
	}
	// The build itself warns.
	ignore, err := source.ReadIgnore(p.Source.FS(), func(string) {}, found.unwanted()...)
	if err != nil {
		return nil, err
	}
	in := &lang.Inputs{Folders: []lang.Folder{{Name: ".", Dir: p.Dir, Skip: ignore.Filter, Dirs: true}}}
	for _, name := range optionVariables() {
		if value := influential(lang.Lookup(p.Environ, name)); value != "" {
			in.Facts = append(in.Facts, lang.Fact{Name: "setting " + name, Value: digest(value)})
		}
	}
	if found.gradle != nil {
		facts, err := found.gradleInputs(ctx, p)
		in.Facts = append(facts, in.Facts...)
		return in, err
	}
	mvn, err := findTools(p.Environ)
	if err != nil {
		return nil, err
	}
	versions, err := versions(ctx, p, mvn)
	if err != nil {
		return nil, err
	}
	in.Facts = append([]lang.Fact{{Name: "maven and java", Value: versions}}, in.Facts...)
	in.Facts = append(in.Facts, found.settingsFacts(p, mvn)...)
	return in, nil
}

// settingsFacts are what files outside of the project say that changes what Maven
// makes: profiles, scripts that its launcher reads, extensions, and which JDKs
// there are where a pom asks for one.
func (f *project) settingsFacts(p *lang.Project, mvn string) []lang.Fact {
	var out []lang.Fact
	add := func(name, text string) {
		if text != "" {
			out = append(out, lang.Fact{Name: name, Value: digest(text)})
		}
	}
	add("profiles of the machine", profiles(filepath.Join(filepath.Dir(filepath.Dir(resolved(mvn))), "conf", "settings.xml")))
	for _, file := range settingsFiles(p) {
		add("profiles of the user", profiles(file))
	}
	whole := func(name, file string) {
		// What is not there says nothing.
		raw, _ := regular.ReadFile(file)
		add(name, string(raw))
	}
	whole("mavenrc of the machine", "/etc/mavenrc")
	for _, home := range homes(p) {
		whole("mavenrc of the user", filepath.Join(home, ".mavenrc"))
		whole("Maven's extensions of the user", filepath.Join(home, ".m2", "extensions.xml"))
		whole("Maven's properties of the user", filepath.Join(home, ".m2", "maven-user.properties"))
		if f.toolchains {
			whole("toolchains of the user", filepath.Join(home, ".m2", "toolchains.xml"))
		}
	}
	return out
}

// digest stands for a text that may hold a password.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// influential is a variable without the options that are about this machine only.
func influential(options string) string {
	var out []string
	for option := range strings.FieldsSeq(options) {
		if !regexp.MustCompile(`^(-Dmaven\.repo\.local=|-X|-Dhttps?\.|-Djavax\.net\.ssl\.|-Djava\.io\.tmpdir=|-Duser\.home=)`).MatchString(option) {
			out = append(out, option)
		}
	}
	return strings.Join(out, " ")
}

// profiles is what a settings file says about profiles. Mirrors and passwords do
// not change what a released version is.
func profiles(file string) string {
	raw, err := regular.ReadFile(file)
	var settings struct {
		Profiles struct {
			Inner string `xml:",innerxml"`
		} `xml:"profiles"`
		Active struct {
			Inner string `xml:",innerxml"`
		} `xml:"activeProfiles"`
	}
	if err != nil || xml.Unmarshal(raw, &settings) != nil {
		return ""
	}
	text := regexp.MustCompile(`(?s)<!--.*?-->`).ReplaceAllString(settings.Profiles.Inner+settings.Active.Inner, "")
	return strings.TrimSpace(text)
}

// versions is Maven's and the JDK's, from their own files, since to ask Maven takes
// half a second; that is done where the files are elsewhere.
func versions(ctx context.Context, p *lang.Project, mvn string) (string, error) {
	maven, java := mavenVersion(resolved(mvn)), ""
	if settings, err := filepath.Glob(filepath.Join(lang.Lookup(p.Environ, "HOME"), ".mavenrc")); err == nil && len(settings) == 0 {
		java = javaVersion(p.Environ)
	}
	if maven != "" && java != "" {
		return maven + ", " + java, nil
	}
	out, err := lang.Run(ctx, p.Dir, environment(p.Environ), mvn, "-B", "-Dstyle.color=never", "--version")
	if err != nil {
		return "", explain(p, p.Dir, out, err)
	}
	// The rest is about folders and the locale.
	said := regexp.MustCompile(`(?:Apache Maven|Java version:) ([^\s,]+)`).FindAllStringSubmatch(out, -1)
	if len(said) != 2 {
		return "", fmt.Errorf("mvn --version says %q", out)
	}
	return said[0][1] + ", " + said[1][1], nil
}

// mavenVersion is in the jar beside the program, where Maven looks too.
func mavenVersion(mvn string) string {
	jars, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(mvn)), "lib", "maven-core-*.jar"))
	if len(jars) != 1 {
		return ""
	}
	jar, err := zip.OpenReader(jars[0])
	if err != nil {
		return ""
	}
	defer jar.Close()
	properties, err := content(&jar.Reader, "META-INF/maven/org.apache.maven/maven-core/pom.properties")
	if err != nil {
		return ""
	}
	return property(properties, "version")
}

// javaVersion is that of the JDK in JAVA_HOME or in PATH.
func javaVersion(environ []string) string {
	at := lang.Lookup(environ, "JAVA_HOME")
	if at == "" {
		javac, err := lang.FindTool("java", "javac", toolHint)
		if err != nil {
			return ""
		}
		at = filepath.Dir(filepath.Dir(resolved(javac)))
	}
	release, err := regular.ReadFile(filepath.Join(at, "release"))
	if err != nil {
		return ""
	}
	return strings.Trim(property(release, "JAVA_VERSION"), `"`)
}

// property is a value of a properties file.
func property(text []byte, name string) string {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+"=")); ok {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
