// Package golang builds Go projects with the host's go command: functions with
// func's signatures, wrapped in a server of ours, and plain programs.
package golang

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/layer"
	"github.com/kn-lite/kn-lite/internal/build/sealed"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Language is Go.
type Language struct{}

var _ lang.Language = Language{}

// binary is where the program stands in the image. The name does not depend on
// the project, so equal programs share a layer.
const binary = "app/function"

// wrapperFolder is the folder, below the user's, that the go command believes
// the wrapper to stand in. It exists in the overlay only.
const wrapperFolder = "kn-lite-main"

//go:embed wrapper/serve.go wrapper/http1.go wrapper/http2.go wrapper/events.go
var wrapperSources embed.FS

// Name implements lang.Language.
func (Language) Name() string { return "go" }

// Detect implements lang.Language.
func (Language) Detect(project fs.FS) bool {
	for _, name := range []string{"go.mod", "go.work"} {
		if _, err := fs.Stat(project, name); err == nil {
			return true
		}
	}
	for _, name := range []string{"package.json", "pom.xml", "Cargo.toml", "requirements.txt", "pyproject.toml"} {
		if _, err := fs.Stat(project, name); err == nil {
			return false
		}
	}
	// A package of a module whose go.mod stands above.
	files, err := fs.Glob(project, "*.go")
	return err == nil && len(files) > 0
}

// Plan implements lang.Language.
func (Language) Plan(_ context.Context, p *lang.Project) (*lang.Plan, error) {
	pkg, err := inspectProject(p)
	if err != nil {
		return nil, err
	}
	health := ""
	if pkg.style.wrapped() {
		health = lang.FunctionHealth
	}
	return &lang.Plan{
		Health:     health,
		Style:      pkg.describe(),
		Reads:      readAtRunTime(p),
		Unlocked:   unlocked(p),
		Base:       lang.Base{BuiltIn: true},
		Entrypoint: []string{"/" + binary},
		WorkingDir: "/app",
		Detail:     pkg,
	}, nil
}

// Layers implements lang.Language.
func (Language) Layers(_ context.Context, p *lang.Project, plan *lang.Plan, target lang.Target) ([]lang.Layer, error) {
	pkg, ok := plan.Detail.(*pkg)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	var layers []lang.Layer
	if len(lang.KeptPatterns(p.Environ)) > 0 {
		layers = append(layers, keptLayer(p))
	}
	return append(layers, lang.Layer{
		Name: "application",
		From: "the module's sources, go.sum and the go command",
		Files: func(ctx context.Context) ([]layer.File, func() error, error) {
			return compile(ctx, p, plan, pkg, target.Platform)
		},
	}), nil
}

// compile runs the go command once. Its cache does the rest: what has not
// changed is not compiled or linked again, because nothing it sees changes from
// one build to the next, the wrapper's paths included. That is why the program
// keeps its build ID: it names the inputs by content alone, and it is how the go
// command knows that the program of the last build is still the right one.
func compile(ctx context.Context, p *lang.Project, plan *lang.Plan, pkg *pkg, platform v1.Platform) (files []layer.File, cleanup func() error, err error) {
	tool, err := findGo()
	if err != nil {
		return nil, nil, err
	}
	scratch := filepath.Join(p.CacheDir, "go")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(scratch, "build-*")
	if err != nil {
		return nil, nil, err
	}
	program := filepath.Join(dir, "function")
	last := lastProgram(scratch, filepath.Join(p.Dir, pkg.folder), platform)
	if err := takeProgram(last, program); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	cleanup = func() error { return os.RemoveAll(dir) }
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-o", program}, readFlags(p.Environ).LinkArguments()...)
	if plan.Unlocked != nil {
		more, err := lockElsewhere(p, dir)
		if err != nil {
			return nil, cleanup, err
		}
		args = append(args, more...)
	}
	what := "./" + pkg.folder
	if pkg.style.wrapped() {
		overlay, err := writeOverlay(p, pkg, scratch, dir)
		if err != nil {
			return nil, cleanup, err
		}
		args, what = append(args, "-overlay", overlay), "./"+wrapperFolder
	}
	output, err := lang.Run(ctx, p.Dir, environment(p.Environ, platform), tool, append(args, what)...)
	if err != nil {
		return nil, cleanup, compileError(p.Label, output, err)
	}
	info, err := os.Stat(program)
	if err != nil {
		return nil, cleanup, err
	}
	// One of a build that was broken off may be cut: it is not given back.
	cleanup = func() error { return errors.Join(giveBack(program, last), os.RemoveAll(dir)) }
	file := layer.File{Path: binary, Mode: 0o755, Size: info.Size(), Open: func() (io.ReadCloser, error) { return regular.Open(program) }}
	return []layer.File{file}, cleanup, nil
}

func findGo() (string, error) {
	return lang.FindTool("go", "go", "install Go from https://go.dev/dl")
}

// compileError hands on the compiler's own words: they name file, line and
// column relative to the user's folder.
func compileError(label, output string, err error) error {
	if _, ran := errors.AsType[*exec.ExitError](err); !ran {
		return err
	}
	return fault.New(fault.Build, "build.go", label, "the code does not compile\n%s", strings.TrimRight(output, "\n"))
}

// environment is the user's, so that private modules and proxies work, but for
// what decides the target. The static base has no C library, so there is no cgo.
func environment(environ []string, platform v1.Platform) []string {
	settings := []string{"CGO_ENABLED=0", "GOOS=" + platform.OS, "GOARCH=" + platform.Architecture}
	if platform.Variant != "" {
		switch platform.Architecture {
		case "arm":
			settings = append(settings, "GOARM="+strings.TrimPrefix(platform.Variant, "v"))
		case "amd64":
			settings = append(settings, "GOAMD64="+platform.Variant)
		}
	}
	return lang.With(environ, settings...)
}

// writeOverlay puts the wrapper where the go command finds it and tells it to
// see the files below the user's folder. The user's go.mod, vendor folder,
// workspace and replacements hold for the wrapper as for everything else, and
// nothing is written to the user's tree.
func writeOverlay(p *lang.Project, pkg *pkg, scratch, dir string) (string, error) {
	if _, err := os.Lstat(filepath.Join(p.Dir, wrapperFolder)); !errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.Usage, "build.go", wrapperFolder, "the build needs this name for the wrapper of the function").
			WithHint("rename the folder")
	}
	sources := map[string][]byte{"main.go": bind(pkg)}
	names := []string{"serve.go", "http1.go", "http2.go"}
	if pkg.shape != nil {
		names = append(names, "events.go")
		if pkg.shape.event {
			sources["sdk.go"] = []byte(sdkFile)
		}
	}
	for _, name := range names {
		text, err := wrapperSources.ReadFile("wrapper/" + name)
		if err != nil {
			return "", err
		}
		sources[name] = []byte(strings.Replace(string(text), "\npackage wrapper\n", "\npackage main\n", 1))
	}
	replace := map[string]string{}
	for name, text := range sources {
		file, err := keep(scratch, name, text)
		if err != nil {
			return "", err
		}
		replace[filepath.Join(p.Dir, wrapperFolder, name)] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

// keep stores text under a name made of its content. The file keeps its time
// stamp from build to build, which spares the go command reading it.
func keep(scratch, name string, text []byte) (string, error) {
	sum := sha256.Sum256(text)
	file := filepath.Join(scratch, "wrapper-"+hex.EncodeToString(sum[:8])+"-"+name)
	if old, err := regular.ReadFile(file); err == nil && string(old) == string(text) {
		return file, nil
	}
	return file, sealed.WriteFile(file, text)
}
