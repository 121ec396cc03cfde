package java

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// bootProject is a Spring Boot application that says which of its files and
// what of its manifest it finds.
func bootProject(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/boot.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	name := ""
	for line := range strings.Lines(string(raw)) {
		if head, ok := strings.CutPrefix(line, "-- "); ok {
			name = strings.TrimSuffix(strings.TrimSpace(head), " --")
			continue
		}
		if name != "" {
			files[name] += line
		}
	}
	return files
}

// The image behaves as `java -jar` of the jar that it is made of.
func TestSpringBootBehavesAsItsJar(t *testing.T) {
	if _, err := findTools(os.Environ()); err != nil || testing.Short() {
		t.Skip("needs Maven, which downloads")
	}
	p := openProject(t, bootProject(t))
	p.Environ = os.Environ()
	plan, err := Language{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	found, ok := plan.Detail.(*project)
	if !ok {
		t.Fatalf("%T", plan.Detail)
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
	jars, err := filepath.Glob(filepath.Join(found.scratch.Dir, "target", "demo-*.jar"))
	if err != nil || len(jars) != 1 {
		t.Fatalf("%v, %v", jars, err)
	}
	want, got := runJar(t, jars[0]), runJar(t, filepath.Join(image, "app", applicationJar))
	if !strings.Contains(want, "version 1.2.3 demo\n") || !strings.Contains(want, "META-INF/persistence.xml 4\n") || !strings.Contains(want, "start 1.2.3\n") {
		t.Errorf("the jar itself says\n%s", want)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func writeOut(t *testing.T, dir string, files []layer.File) {
	t.Helper()
	for _, f := range files {
		at := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if !f.Mode.IsRegular() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, raw, f.Mode.Perm()); err != nil {
			t.Fatal(err)
		}
	}
}

func runJar(t *testing.T, jar string) string {
	t.Helper()
	out, err := exec.Command("java", "-jar", jar).Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", jar, err, out)
	}
	return string(out)
}
