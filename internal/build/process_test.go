//go:build unix

package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/mirror"
)

// TestPlace gives names of the image those of this machine, and leaves all else.
func TestPlace(t *testing.T) {
	p := place{root: "/R"}
	for text, want := range map[string]string{
		"/app/function":                       "/R/app/function",
		"/app":                                "/R/app",
		"@/app/java.args":                     "@/R/app/java.args",
		"PYTHONPATH=/app:/dependencies:/x":    "PYTHONPATH=/R/app:/R/dependencies:/x",
		`"/app/lib/a.jar:/app/b.jar"`:         `"/R/app/lib/a.jar:/R/app/b.jar"`,
		"/bin/sh":                             "/bin/sh",
		"/usr/app/x":                          "/usr/app/x",
		"/app-data /apple /app.js ./app app/": "/app-data /apple /app.js ./app app/",
		"(node /app/x.js) && exec /app/run":   "(node /R/app/x.js) && exec /R/app/run",
		"/kn-lite/serve.py":                   "/R/kn-lite/serve.py",
		"http://host/app/x":                   "http://host/app/x",
	} {
		if got := p.text(text); got != want {
			t.Errorf("%s becomes %s, want %s", text, got, want)
		}
	}
}

// oneFile is a language whose projects are one file of their own beside one with a
// key, which counts how often it is made.
type oneFile struct {
	fickle
	key  string
	made *int
}

func (oneFile) Plan(context.Context, *lang.Project) (*lang.Plan, error) {
	return &lang.Plan{Entrypoint: []string{"java", "@/app/args"}, Env: []string{"HOME=/tmp", "A=/app"}, Path: []string{"/dependencies/bin"}, WorkingDir: "/app"}, nil
}

func (o oneFile) Layers(_ context.Context, p *lang.Project, _ *lang.Plan, target lang.Target) ([]lang.Layer, error) {
	files := func(count *int, name, text string) func(context.Context) ([]layer.File, func() error, error) {
		return func(context.Context) ([]layer.File, func() error, error) {
			if count != nil {
				*count++
			}
			return []layer.File{layer.Bytes(name, 0o644, []byte(text))}, nil, nil
		}
	}
	text, err := os.ReadFile(filepath.Join(p.Dir, "source"))
	if !target.Local {
		return nil, os.ErrInvalid
	}
	return []lang.Layer{
		{Name: "dependencies", Key: o.key, Files: files(o.made, "dependencies/x", o.key)},
		{Name: "application", Files: files(nil, "app/args", "-cp /app/x:"+strings.TrimSpace(string(text)))},
	}, err
}

// TestUnpack makes the files of a process, again after changes.
func TestUnpack(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	source := filepath.Join(dir, "source")
	made := 0
	unpack := func(to *mirror.Mirror, key string) *Process {
		t.Helper()
		prepared, err := Prepare(t.Context(), Spec{Dir: dir, CacheDir: cache, language: oneFile{key: key, made: &made}})
		if err != nil {
			t.Fatal(err)
		}
		defer prepared.Close()
		p, err := prepared.Unpack(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if err := os.WriteFile(source, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	to := &mirror.Mirror{Root: filepath.Join(t.TempDir(), "root")}
	p := unpack(to, "k1")
	want := &Process{
		Language: "fickle", Command: []string{"java", "@" + filepath.Join(to.Root, "app/args")}, Env: []string{"A=" + filepath.Join(to.Root, "app")},
		Path: []string{filepath.Join(to.Root, "dependencies/bin")}, Dir: filepath.Join(to.Root, "app"), Changed: true,
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if raw, err := os.ReadFile(filepath.Join(to.Root, "app/args")); err != nil || string(raw) != "-cp "+filepath.Join(to.Root, "app/x")+":one" {
		t.Errorf("the arguments are %s %v", raw, err)
	}
	if unpack(to, "k1").Changed {
		t.Error("nothing has changed")
	}
	if err := os.WriteFile(source, []byte("two"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !unpack(to, "k1").Changed || made != 1 {
		t.Errorf("the source has changed, and the dependencies were made %d times", made)
	}
	// Another process has the dependencies of the first one; others are made.
	other := &mirror.Mirror{Root: filepath.Join(t.TempDir(), "root")}
	if unpack(other, "k1"); made != 1 {
		t.Errorf("the dependencies were made %d times", made)
	}
	if !unpack(to, "k2").Changed || made != 2 {
		t.Errorf("others were made %d times", made)
	}
	if raw, err := os.ReadFile(filepath.Join(to.Root, "dependencies/x")); err != nil || string(raw) != "k2" {
		t.Errorf("the dependencies are %s %v", raw, err)
	}
}
