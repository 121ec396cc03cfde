package java

import (
	"archive/zip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// jar writes a jar with files, given as NAME, CONTENT, NAME, CONTENT.
func jar(t *testing.T, at string, files ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(at)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for i := 0; i < len(files); i += 2 {
		entry, err := w.Create(files[i])
		if err == nil {
			_, err = io.WriteString(entry, files[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// class is the head of a class for a release of Java.
func class(release int) string {
	return "\xca\xfe\xba\xbe\x00\x00\x00" + string(rune(release+firstMajor)) + "rest"
}

const bootManifest = "Manifest-Version: 1.0\r\nMain-Class: org.springframework.boot.loader.launch.JarLauncher\r\nStart-Class: function.Appli\r\n cation\r\n" +
	"Spring-Boot-Classes: BOOT-INF/classes/\r\nSpring-Boot-Lib: BOOT-INF/lib/\r\nSpring-Boot-Classpath-Index: BOOT-INF/classpath.idx\r\nSpring-Boot-Layers-Index: BOOT-INF/layers.idx\r\n" +
	"Add-Opens: java.base/java.lang java.base/java.util\r\n\r\nName: BOOT-INF/\r\nStart-Class: no.such.Class\r\n"

func openJar(t *testing.T, dir string) *app {
	t.Helper()
	found, err := findMade(dir)
	if err != nil {
		t.Fatal(err)
	}
	at, err := found.choose(dir, "app", mavenName)
	if err != nil {
		t.Fatal(err)
	}
	a, err := take(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// listing is a layer's files with their contents.
func listing(t *testing.T, files []layer.File) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range files {
		if !f.Mode.IsRegular() {
			out[f.Path] = "folder"
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(r)
		if err != nil || int64(len(raw)) != f.Size {
			t.Fatalf("%s: %d bytes of %d, %v", f.Path, len(raw), f.Size, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		out[f.Path] = string(raw)
	}
	return out
}

func TestSpringBootJar(t *testing.T) {
	dir := t.TempDir()
	jar(t, filepath.Join(dir, "target", "app-1.jar"),
		"META-INF/MANIFEST.MF", bootManifest,
		"org/springframework/boot/loader/launch/JarLauncher.class", "loader",
		"BOOT-INF/classes/function/Application.class", class(17),
		"BOOT-INF/classes/META-INF/build-info.properties", "x",
		"META-INF/persistence.xml", "jpa", "META-INF/resources/a.css", "css",
		"BOOT-INF/lib/b-1.jar", "b", "BOOT-INF/lib/a-1.jar", "a", "BOOT-INF/lib/moving-1-SNAPSHOT.jar", "s", "BOOT-INF/lib/core-1-SNAPSHOT.jar", "own",
		"BOOT-INF/classpath.idx", "- \"BOOT-INF/lib/a-1.jar\"\n- \"BOOT-INF/lib/core-1-SNAPSHOT.jar\"\n- \"BOOT-INF/lib/b-1.jar\"\n",
		"BOOT-INF/layers.idx", "- \"dependencies\":\n  - \"BOOT-INF/lib/a-1.jar\"\n  - \"BOOT-INF/lib/b-1.jar\"\n- \"spring-boot-loader\":\n  - \"org/\"\n- \"snapshot-dependencies\":\n  - \"BOOT-INF/lib/moving-1-SNAPSHOT.jar\"\n- \"application\":\n  - \"BOOT-INF/classes/\"\n  - \"BOOT-INF/lib/core-1-SNAPSHOT.jar\"\n",
	)
	jar(t, filepath.Join(dir, "target", "app-1-sources.jar"), "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
	jar(t, filepath.Join(dir, "target", "classes", "other.jar"), "META-INF/MANIFEST.MF", "Main-Class: x.Y\n")
	a := openJar(t, dir)
	for name, want := range map[string]map[string]string{
		dependencies: {"app/lib/a-1.jar": "a", "app/lib/b-1.jar": "b"},
		snapshots:    {"app/lib/moving-1-SNAPSHOT.jar": "s"},
		application: {
			"app/lib/core-1-SNAPSHOT.jar": "own", "app/application.jar": "jar", "app/java.args": "\"-jar\"\n\"/app/application.jar\"\n",
		},
	} {
		got := listing(t, a.layers[name])
		if made := got["app/application.jar"]; made != "" {
			checkApplicationJar(t, made)
			got["app/application.jar"] = "jar"
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// checkApplicationJar looks into the jar of TestSpringBootJar's application: all
// that is not a library, and the manifest but for how Java finds what to start.
func checkApplicationJar(t *testing.T, made string) {
	t.Helper()
	read, err := zip.NewReader(strings.NewReader(made), int64(len(made)))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	var names []string
	for _, f := range read.File {
		names = append(names, f.Name)
		raw, err := content(read, strings.TrimSuffix(f.Name, "/"))
		if err == nil && !strings.HasSuffix(f.Name, "/") {
			got[f.Name] = string(raw)
		}
	}
	want := map[string]string{
		"function/Application.class": class(17), "META-INF/build-info.properties": "x", "META-INF/persistence.xml": "jpa", "META-INF/resources/a.css": "css",
		"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\nStart-Class: function.Application\r\nAdd-Opens: java.base/java.lang java.base/java.util\r\nMain-Class: function.Application\r\n" +
			"Class-Path: lib/a-1.jar lib/core-1-SNAPSHOT.jar lib/b-1.jar lib/moving-1\r\n -SNAPSHOT.jar\r\n\r\nName: BOOT-INF/\r\nStart-Class: no.such.Class\r\n\r\n",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{
		"META-INF/MANIFEST.MF", "META-INF/", "META-INF/build-info.properties", "META-INF/persistence.xml", "META-INF/resources/", "META-INF/resources/a.css",
		"function/", "function/Application.class",
	}, names); d != "" {
		t.Error(d)
	}
}

// A name in a jar is not trusted to stay in its folder.
func TestJarNamesThatLeadOut(t *testing.T) {
	dir := t.TempDir()
	jar(t, filepath.Join(dir, "target", "app.jar"), "META-INF/MANIFEST.MF", bootManifest,
		"BOOT-INF/classes/../../../etc/passwd", "evil", "BOOT-INF/lib//x.jar", "evil", "BOOT-INF/lib/x.jar", "good")
	for name, files := range openJar(t, dir).layers {
		for at, text := range listing(t, files) {
			if text == "evil" {
				t.Errorf("%s has %s", name, at)
			}
		}
	}
}

func TestPlainJar(t *testing.T) {
	dir := t.TempDir()
	jar(t, filepath.Join(dir, "server", "target", "server.jar"),
		"META-INF/MANIFEST.MF", "Main-Class: x.Main\nClass-Path: lib/a.jar lib/absent.jar ../../../secret\n", "x/Main.class", class(21))
	jar(t, filepath.Join(dir, "server", "target", "lib", "a.jar"), "a", "a")
	jar(t, filepath.Join(dir, "core", "target", "core.jar"), "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := openJar(t, dir)
	if got := slices.Sorted(maps.Keys(listing(t, a.layers[dependencies]))); !slices.Equal(got, []string{"app/lib/a.jar"}) {
		t.Errorf("dependencies: %v", got)
	}
	files := listing(t, a.layers[application])
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, []string{"app/java.args", "app/server.jar"}) || files["app/java.args"] != "\"-jar\"\n\"/app/server.jar\"\n" {
		t.Errorf("application: %v, %q", got, files["app/java.args"])
	}
	if a.major != 21+firstMajor {
		t.Errorf("the class is for %d", a.major)
	}
}

func TestWhichJar(t *testing.T) {
	plain, boot := "Main-Class: x.Main\n", bootManifest
	for _, tt := range []struct {
		name string
		jars map[string]string
		want string
		says string // in the error
	}{
		{"none", map[string]string{"target/a.jar": "Manifest-Version: 1.0\n"}, "", ""},
		{"two", map[string]string{"a/target/a.jar": plain, "b/target/b.jar": plain}, "", "several programs: a/target/a.jar, b/target/b.jar"},
		{"Spring Boot's of two", map[string]string{"a/target/a.jar": plain, "b/target/b.jar": boot}, "b/target/b.jar", ""},
		{"Quarkus'", map[string]string{"target/a.jar": plain, "target/quarkus-app/quarkus-run.jar": plain, "target/quarkus-app/lib/x.jar": plain}, "target/quarkus-app", ""},
		{"Gradle's", map[string]string{"web/build/libs/web.jar": boot, "web/build/libs/web-plain.jar": plain, "web/build/tmp/x.jar": plain}, "web/build/libs/web.jar", ""},
		{"a shaded one", map[string]string{"target/a.jar": plain, "target/original-a.jar": plain}, "target/a.jar", ""},
		{"an assembled one", map[string]string{"target/a.jar": plain, "target/a-jar-with-dependencies.jar": plain}, "target/a-jar-with-dependencies.jar", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.jars {
				jar(t, filepath.Join(dir, filepath.FromSlash(name)), "META-INF/MANIFEST.MF", text)
			}
			found, err := findMade(dir)
			if err != nil {
				t.Fatal(err)
			}
			at, err := found.choose(dir, "app", mavenName)
			if at != "" {
				at, _ = filepath.Rel(dir, at)
			}
			if filepath.ToSlash(at) != tt.want || (err != nil) != (tt.says != "") || err != nil && (fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%q, %v", at, err)
			}
		})
	}
}

func TestBaseIsTooOld(t *testing.T) {
	for _, tt := range []struct {
		version string
		release int
		wrong   bool
	}{
		{"jdk-21.0.5+11", 21, false},
		{"jdk-21.0.5+11", 25, true},
		{"17.0.13", 21, true},
		{"17", 17, false},
		{"8u432", 17, true},
		{"1.8.0_432", 17, true},
		{"", 25, false},
	} {
		a := &app{major: tt.release + firstMajor}
		err := a.suits(lang.Target{BaseRef: "base", BaseConfig: &v1.Config{Env: []string{"JAVA_VERSION=" + tt.version}}})
		if (err != nil) != tt.wrong {
			t.Errorf("Java %d on %q: %v", tt.release, tt.version, err)
		}
	}
}

func TestArgumentFile(t *testing.T) {
	if got := string(argumentFile([]string{"-cp", `/app/a b.jar:/x\y"z#`})); got != "\"-cp\"\n\"/app/a b.jar:/x\\\\y\\\"z#\"\n" {
		t.Errorf("%s", got)
	}
}
