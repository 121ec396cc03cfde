//go:build unix

package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
)

// A FIFO in the place of a file that a build or func adopt reads, or lets a tool
// read, must not block: the open would be out of reach of signals and deadlines.
func TestFIFOsInPlaceOfProjectFiles(t *testing.T) {
	for _, tt := range []struct {
		language string
		files    []file
	}{
		{"go", []file{{"go.mod", "module x\n\ngo 1.26\n"}, {"main.go", "package main\n\nfunc main() {}\n"}, {"go.work", "go 1.26\n\nuse .\n"}, {"go.sum", ""}}},
		{"node", []file{{"package.json", `{"scripts":{"start":"node a.js"}}`}, {"package-lock.json", "{}"}, {".npmrc", ""}, {"server.js", ""}, {"yarn.lock", ""}, {"pnpm-lock.yaml", ""}, {".funcignore", ""}}},
		{"typescript", []file{{"package.json", `{"scripts":{"start":"node a.js","build":"tsc"}}`}, {"tsconfig.json", "{}"}, {".funcignore", ""}}},
		{"python", []file{{"requirements.txt", ""}, {"app.py", ""}, {"pyproject.toml", ""}, {"Procfile", "web: a\n"}, {"manage.py", ""}, {"uv.lock", ""}, {"setup.py", ""}, {"Pipfile", ""}, {".funcignore", ""}}},
		{"java", []file{{"pom.xml", "<project/>"}, {"mvnw", ""}, {".mvn/maven.config", ""}, {"build.gradle", ""}}},
		{"rust", []file{{"Cargo.toml", "[package]\nname = \"a\"\nversion = \"0.1.0\"\n"}, {"Cargo.lock", "version = 3\n"}, {"rust-toolchain.toml", ""}, {".cargo/config.toml", ""}, {"src/main.rs", ""}}},
		{DockerfileLanguage, []file{{"Dockerfile", "FROM scratch\n"}, {".dockerignore", ""}}},
		{DockerfileLanguage, []file{{"Dockerfile.dockerignore", ""}, {"Dockerfile", "FROM scratch\n"}}},
	} {
		for _, special := range tt.files {
			dir := project(t, tt.files...)
			at := filepath.Join(dir, filepath.FromSlash(special.name))
			if err := errors.Join(os.Remove(at), syscall.Mkfifo(at, 0o600)); err != nil {
				t.Fatal(err)
			}
			what := tt.language + " with " + special.name
			err := inTime(t, what, func() error { return planProject(t, dir, tt.language) })
			if err == nil || !strings.Contains(err.Error(), special.name+": it is a FIFO, not a regular file") {
				t.Errorf("%s: %v", what, err)
			}
			if kind := fault.KindOf(err); kind != fault.Usage && kind != fault.Build {
				t.Errorf("%s: %v is of the kind %v", what, err, kind)
			}
		}
	}
}

// planProject does what func adopt and a build do before a tool is run; both have to
// refuse it.
func planProject(t *testing.T, dir, language string) error {
	ctx := context.Background()
	if language == DockerfileLanguage {
		needed, err := dockerfile.Needs(ctx, dockerfile.Spec{Dir: dir, Platform: amd64(), Report: progress.Nop()})
		if err == nil {
			err = needed.Close()
		}
		return err
	}
	_, recognised := Recognise(ctx, dir, "", nil)
	if recognised == nil {
		t.Errorf("%s is recognised", dir)
	}
	s := keyedSpec(t, dir)
	s.Language = language
	p, err := Prepare(ctx, s)
	if err == nil {
		return p.Close()
	}
	return err
}

func inTime(t *testing.T, what string, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: still blocked after 20 s", what)
		return nil
	}
}
