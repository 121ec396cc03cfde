package java

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func TestExplain(t *testing.T) {
	p := openProject(t, map[string]string{"pom.xml": pomOf("")})
	dir := t.TempDir()
	output := "\x1b[0m\x1b[0m[ERROR] COMPILATION ERROR : \n[ERROR] " + dir + "/src/main/java/A.java:[3,9] ';' expected\n" +
		"[ERROR] Failed to execute goal compile (default-compile) on project app: Compilation failure -> [Help 1]\n[ERROR] " + dir + "/src/main/java/A.java:[3,9] ';' expected\n[ERROR] \n" +
		"[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.\n[ERROR] Re-run Maven using the -X switch to enable full debug logging.\n[ERROR] \n" +
		"[ERROR] For more information about the errors and possible solutions, please read the following articles:\n[ERROR] [Help 1] http://cwiki.apache.org/x\n"
	err := explain(p, dir, output, &exec.ExitError{})
	want := "Maven could not build it\n[ERROR] COMPILATION ERROR :\n[ERROR] src/main/java/A.java:[3,9] ';' expected\n[ERROR] Failed to execute goal compile (default-compile) on project app: Compilation failure"
	if fault.KindOf(err) != fault.Build || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if err := explain(p, dir, "[ERROR] Fatal error compiling: error: release version 25 not supported", &exec.ExitError{}); fault.HintOf(err) != "install a JDK for Java 25, or set JAVA_HOME to the one there is" {
		t.Errorf("an old JDK: %v, %s", err, fault.HintOf(err))
	}
	if err := explain(p, dir, "", context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestTimestamp(t *testing.T) {
	for epoch, want := range map[string]string{
		"":           "1980-02-01T00:00:00Z",
		"0":          "1980-02-01T00:00:00Z",
		"1700000000": "2023-11-14T22:13:20Z",
		"never":      "1980-02-01T00:00:00Z",
	} {
		if got := timestamp([]string{"SOURCE_DATE_EPOCH=" + epoch}); got != want {
			t.Errorf("%q: %s", epoch, got)
		}
	}
}

// What Maven gets is the project without what an earlier run has left, what
// .funcignore names and what looks like a secret.
func TestStage(t *testing.T) {
	p := openProject(t, map[string]string{
		"pom.xml": "x", ".mvn/maven.config": "x", "src/main/java/A.java": "x", "src/test/java/ATest.java": "x", "web/target/old.jar": "x", "target/old.jar": "x",
		".env": "TOKEN=canary", "src/main/resources/store.jks": "x", ".funcignore": "src/test/\n!store.jks\n",
	})
	dir := t.TempDir()
	if err := stage(context.Background(), p, dir, (&project{}).unwanted()); err != nil {
		t.Fatal(err)
	}
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil || !slices.Equal(names, []string{".mvn/maven.config", "pom.xml", "src/main/java/A.java", "src/main/resources/store.jks"}) {
		t.Errorf("%v, %v", names, err)
	}
	if warned := p.Report.(*progresstest.Recorder).Texts(progresstest.Warn); len(warned) != 2 || !strings.Contains(warned[0], ".env") || !strings.Contains(warned[1], "in the image because .funcignore names them: src/main/resources/store.jks") {
		t.Errorf("%v", warned)
	}
}

func TestToolsAreMissing(t *testing.T) {
	p := openProject(t, map[string]string{"pom.xml": pomOf("")})
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := Language{}.Layers(context.Background(), p, plan, lang.Target{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	_, _, err = layers[0].Files(context.Background())
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), `"mvn"`) || !strings.Contains(fault.HintOf(err), "{Builder} dockerfile") {
		t.Errorf("%v", err)
	}
	// A JRE has no compiler.
	if err := os.WriteFile(filepath.Join(os.Getenv("PATH"), "mvn"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := findTools(nil); err == nil || !strings.Contains(err.Error(), `"javac"`) {
		t.Errorf("%v", err)
	}
	if _, err := findTools([]string{"JAVA_HOME=/opt/jdk"}); err != nil {
		t.Errorf("with a JAVA_HOME: %v", err)
	}
}

// Nothing is left of a build that has ended.
func TestClose(t *testing.T) {
	p := openProject(t, map[string]string{"pom.xml": pomOf("")})
	f := &project{}
	var err error
	if f.scratch, err = lang.NewScratch(filepath.Join(p.CacheDir, "java"), "maven-*"); err != nil {
		t.Fatal(err)
	}
	jar(t, filepath.Join(f.scratch.Dir, "target", "a.jar"), "META-INF/MANIFEST.MF", "Main-Class: x.Main\n")
	if f.app, err = take(filepath.Join(f.scratch.Dir, "target", "a.jar")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // again does no harm
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(p.CacheDir, "java", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
