package java

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
)

func TestInspectGradle(t *testing.T) {
	for _, tt := range []struct {
		name, file, text string
		check            func(*project) bool
	}{
		{"Spring Boot", "build.gradle", "plugins { id 'org.springframework.boot' version '3.5.0' }\njava { toolchain { languageVersion = JavaLanguageVersion.of(21) } }", func(f *project) bool {
			return f.spring && !f.quarkus && f.release == 21 && f.floating == ""
		}},
		{"Quarkus in Kotlin", "build.gradle.kts", "plugins { id(\"io.quarkus\") }\njava { sourceCompatibility = JavaVersion.VERSION_17 }", func(f *project) bool {
			return f.quarkus && f.release == 17 && f.style() == "Quarkus application"
		}},
		{"a main class", "app/build.gradle.kts", "application { mainClass.set(\"a.b.Main\") }\nsourceCompatibility = '1.8'", func(f *project) bool { return f.mainClass() == "a.b.Main" && f.release == 8 }},
		{"an older main class", "build.gradle", "mainClassName = 'a.Main'", func(f *project) bool { return f.mainClass() == "a.Main" }},
		{"any version", "build.gradle", "implementation 'g:a:1.+'", func(f *project) bool { return f.floating == "1.+" }},
		{"a range", "build.gradle", "implementation 'g:a:[1.0,2.0)'", func(f *project) bool { return f.floating != "" }},
		{"a snapshot", "build.gradle", "implementation \"g:a:1.0-SNAPSHOT\"", func(f *project) bool { return f.floating != "" && f.snapshots }},
		{"fixed", "build.gradle", "implementation 'g:a:1.0'\nimplementation(\"g:b:2.0\")", func(f *project) bool { return f.floating == "" }},
	} {
		p := openProject(t, map[string]string{"settings.gradle": "", tt.file: tt.text})
		found, err := inspectProject(p)
		if err != nil || !tt.check(found) {
			t.Errorf("%s: %+v, %v", tt.name, found, err)
		}
	}
}

// Folders called build are left out where Gradle makes them, and nowhere else.
func TestGradleGenerated(t *testing.T) {
	p := openProject(t, map[string]string{
		"build.gradle": "", "build/x": "", ".gradle/y": "", "web/build.gradle.kts": "", "web/build/x": "", "src/main/java/a/build/Build.java": "", "gradlew": "",
	})
	found, err := inspectProject(p)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := stage(context.Background(), p, dir, found.unwanted()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"build": false, ".gradle": false, "web/build": false, "web/build.gradle.kts": true, "src/main/java/a/build/Build.java": true, "gradlew": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChooseMain(t *testing.T) {
	one, two := mainJar{class: "a.One"}, mainJar{class: "b.Two"}
	for _, tt := range []struct {
		found      []mainJar
		named      string
		want, says string
	}{
		{[]mainJar{one}, "", "a.One", ""},
		{[]mainJar{one, two}, "b.Two", "b.Two", ""},
		{[]mainJar{one, two}, "", "", "several classes have a main method: a.One, b.Two"},
		{[]mainJar{one}, "c.Three", "", "the project has no class c.Three"},
		{nil, "", "", "no class with a main method"},
	} {
		got, err := chooseMain(tt.found, tt.named, "app", mavenName, pomFile)
		if got.class != tt.want || (err != nil) != (tt.says != "") || err != nil && (fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%v %q: %+v, %v", tt.found, tt.named, got, err)
		}
	}
}

// Real Gradle, with a module beside the program's and nothing to download.
func TestGradleProgram(t *testing.T) {
	if _, err := exec.LookPath("gradle"); err != nil || testing.Short() {
		t.Skip("needs Gradle")
	}
	p := openProject(t, map[string]string{
		"settings.gradle": "include 'core', 'web'", "build.gradle": "subprojects { apply plugin: 'java' }",
		"core/src/main/java/core/Core.java": "package core;\n\npublic class Core {\n  public static final String WORD = System.getProperty(\"word\", \"hello\");\n}\n",
		"web/build.gradle":                  "dependencies { compile project(':core') }",
		"web/src/main/java/web/Web.java":    "package web;\n\npublic class Web {\n  public static void main(String[] args) {\n    System.out.print(core.Core.WORD);\n  }\n}\n",
	})
	p.Environ = os.Environ()
	found, err := inspectProject(p)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	made, err := found.build(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	image := t.TempDir()
	for _, files := range made.layers {
		writeOut(t, image, files)
	}
	if d, err := os.ReadFile(filepath.Join(image, argFile)); err != nil || string(d) != "\"-cp\"\n\"/app/web.jar:/app/lib/core.jar\"\n\"web.Web\"\n" {
		t.Errorf("%s, %v", d, err)
	}
	out, err := exec.Command("java", "-cp", filepath.Join(image, "app/web.jar")+":"+filepath.Join(image, "app/lib/core.jar"), "web.Web").CombinedOutput()
	if err != nil || string(out) != "hello" {
		t.Errorf("%s, %v", out, err)
	}
	facts, err := found.gradleInputs(context.Background(), p)
	if err != nil || !slices.ContainsFunc(facts, func(f lang.Fact) bool { return f.Name == "gradle and java" && len(f.Value) > 8 }) {
		t.Errorf("%v, %v", facts, err)
	}
}
