package java

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// open makes a project of files, one folder below a folder that may have files too.
func openProject(t *testing.T, files map[string]string) *lang.Project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "app")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	langtest.Write(t, dir, files)
	p, _ := langtest.Open(t, dir)
	p.Label, p.Environ = "app", []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	return p
}

// pomOf is a pom with the elements of body.
func pomOf(body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>` +
		`<groupId>g</groupId><artifactId>app</artifactId><version>1.0-SNAPSHOT</version>` + body + `</project>`
}

const springParent = `<parent><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-parent</artifactId><version>4.0.7</version><relativePath/></parent>`

func dependency(group, artifact, version string) string {
	return "<dependencies><dependency><groupId>" + group + "</groupId><artifactId>" + artifact + "</artifactId><version>" + version + "</version></dependency></dependencies>"
}

func TestDetect(t *testing.T) {
	for name, want := range map[string]bool{"pom.xml": true, "build.gradle": true, "build.gradle.kts": true, "package.json": false, "src/pom.xml": false} {
		if got := (Language{}).Detect(fstest.MapFS{name: {}}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		name, pom, style, base string
		env                    []string
	}{
		{"Spring Boot", springParent + "<properties><java.version>17</java.version></properties>", "Spring Boot application", "17", []string{"SERVER_PORT=${PORT:8080}", "SERVER_SHUTDOWN=graceful"}},
		{"Quarkus", "<build><plugins><plugin><groupId>${quarkus.platform.group-id}</groupId><artifactId>quarkus-maven-plugin</artifactId></plugin></plugins></build>", "Quarkus application", "21", []string{"QUARKUS_HTTP_PORT=${PORT:8080}", "QUARKUS_HTTP_HOST=0.0.0.0"}},
		{"functions", springParent + dependency("org.springframework.cloud", "spring-cloud-starter-function-web", "5.0.5"), "Spring Cloud Function", "21", []string{"SERVER_PORT=${PORT:8080}", "SERVER_SHUTDOWN=graceful"}},
		{"no Spring", "<properties><maven.compiler.release>25</maven.compiler.release></properties>", "program with a main class", "25", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := Language{}.Plan(context.Background(), openProject(t, map[string]string{"pom.xml": pomOf(tt.pom)}))
			if err != nil {
				t.Fatal(err)
			}
			if plan.Style != tt.style || plan.Base.Ref != "docker.io/library/eclipse-temurin:"+tt.base+"-jre" || !slices.Equal(plan.Env, tt.env) {
				t.Errorf("%+v", plan)
			}
			if !slices.Equal(plan.Entrypoint, []string{"java", "@/app/java.args"}) {
				t.Errorf("starts with %v", plan.Entrypoint)
			}
		})
	}
}

func TestPlanRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
		hint  string
	}{
		{"a war", map[string]string{"pom.xml": pomOf("<packaging>war</packaging>")}, "the packaging is war", "make it jar"},
		{"no XML", map[string]string{"pom.xml": "<project>"}, "pom.xml: not a pom", ""},
		{"a module outside", map[string]string{"pom.xml": pomOf("<modules><module>../other</module></modules>")}, "its module ../other is outside", "build the folder that has both"},
		{"a module's pom", map[string]string{"pom.xml": pomOf("<modules><module>web</module></modules>"), "web/pom.xml": "{}"}, "web/pom.xml: not a pom", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Language{}.Plan(context.Background(), openProject(t, tt.files))
			if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.want) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A parent beside the project is not in the copy that Maven builds; one that a
// repository has is no matter.
func TestParentOutside(t *testing.T) {
	parent := "<parent><groupId>g</groupId><artifactId>all</artifactId><version>1</version></parent>"
	p := openProject(t, map[string]string{"pom.xml": pomOf(parent)})
	if _, err := (Language{}).Plan(context.Background(), p); err != nil {
		t.Errorf("a parent in a repository: %v", err)
	}
	beside := filepath.Join(filepath.Dir(p.Dir), "pom.xml")
	if err := os.WriteFile(beside, []byte("<project><artifactId>all</artifactId></project>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Language{}).Plan(context.Background(), p); err == nil || !strings.Contains(err.Error(), "its parent ../pom.xml is outside") {
		t.Errorf("a parent outside: %v", err)
	}
	if err := os.WriteFile(beside, []byte("<project><artifactId>unrelated</artifactId></project>"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (Language{}).Plan(context.Background(), p); err != nil {
		t.Errorf("an unrelated pom outside: %v", err)
	}
}

func TestLayersArePlanned(t *testing.T) {
	for version, want := range map[string][]string{
		"1.0":          {dependencies, application},
		"1.0-SNAPSHOT": {dependencies, snapshots, application},
	} {
		p := openProject(t, map[string]string{"pom.xml": pomOf(dependency("g", "lib", version))})
		plan, err := Language{}.Plan(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := Language{}.Layers(context.Background(), p, plan, lang.Target{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range layers {
			names = append(names, l.Name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: %v", version, names)
		}
	}
}
