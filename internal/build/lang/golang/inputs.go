package golang

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/golang/flags"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

var _ lang.Keyed = Language{}

// Inputs implements lang.Keyed: the whole module, since any file of it may be
// embedded, the modules that replace others or share its workspace, the
// toolchain's version, and the settings of the go command that change what it
// makes. Modules from the cache need no look: go.sum says what is in them.
func (Language) Inputs(ctx context.Context, p *lang.Project, plan *lang.Plan) (*lang.Inputs, error) {
	root, err := moduleRoot(p.Dir)
	if err != nil {
		return nil, err
	}
	below, err := filepath.Rel(root, p.Dir)
	if err != nil {
		return nil, err
	}
	found := &inputs{written: written(p)}
	found.folder(".", root)
	folder := "."
	if pkg, ok := plan.Detail.(*pkg); ok {
		folder = pkg.folder
	}
	found.Facts = append(found.Facts, lang.Fact{Name: "package", Value: path.Join(filepath.ToSlash(below), folder)})
	if missing := plan.Unlocked; missing != nil {
		found.Unknown = missing.Why
	}
	settings := goSettings(p.Environ)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		found.Facts = append(found.Facts, lang.Fact{Name: "go setting " + name, Value: settings[name]})
	}
	for _, flag := range []string{"-overlay", "-modfile", "-pgo", "-toolexec", "-C"} {
		if strings.Contains(" "+strings.ReplaceAll(settings["GOFLAGS"], " --", " -"), " "+flag) {
			found.Unknown = "GOFLAGS has " + flag + ", which leads to other files"
		}
	}
	if err := found.module("", root); err != nil {
		return nil, err
	}
	if err := found.workspace(p.Dir, settings["GOWORK"]); err != nil {
		return nil, err
	}
	version, err := toolVersion(ctx, p)
	found.Facts = append([]lang.Fact{{Name: "toolchain", Value: version}}, found.Facts...)
	return &found.Inputs, err
}

// moduleRoot is the folder of the go.mod that dir belongs to.
func moduleRoot(dir string) (string, error) {
	return above(dir, "go.mod")
}

// above is the nearest folder from dir upwards that has name.
func above(dir, name string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(filepath.Join(at, name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return at, err
		}
		if at == filepath.Dir(at) {
			return "", fs.ErrNotExist
		}
	}
}

type inputs struct {
	lang.Inputs
	written []string // folders that builds write to
}

// folder adds the module in dir, unless it is in one that is there already.
func (i *inputs) folder(name, dir string) {
	for _, known := range i.Folders {
		if rel, err := filepath.Rel(known.Dir, dir); err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return
		}
	}
	var inside []string // what is written to, relative to dir
	for _, at := range i.written {
		if rel, err := filepath.Rel(dir, at); err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			inside = append(inside, filepath.ToSlash(rel))
		}
	}
	i.Folders = append(i.Folders, lang.Folder{Name: name, Dir: dir, Follow: true, Skip: func(name string, dir bool) (out, prune bool) {
		if slices.Contains(inside, name) {
			return true, true
		}
		return skip(name, dir)
	}})
}

// written is where a build leaves its caches. CI systems often keep them inside
// of the project, and what a build writes cannot be its input.
func written(p *lang.Project) []string {
	home := lang.Lookup(p.Environ, "HOME")
	dirs := []string{p.CacheDir}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOTMPDIR", "TMPDIR", "XDG_CACHE_HOME"} {
		if dir := lang.Lookup(p.Environ, name); dir != "" {
			dirs = append(dirs, dir)
		}
	}
	for gopath := range strings.SplitSeq(lang.Lookup(p.Environ, "GOPATH"), string(filepath.ListSeparator)) {
		if gopath != "" {
			dirs = append(dirs, filepath.Join(gopath, "pkg"))
		}
	}
	if file := userFile(p.Environ); file != "" {
		dirs = append(dirs, filepath.Join(filepath.Dir(file), "telemetry"))
	}
	if home != "" {
		dirs = append(dirs, filepath.Join(home, ".cache"), filepath.Join(home, "go", "pkg"), filepath.Join(home, "Library", "Caches"))
	}
	return dirs
}

// skip leaves out what the go command neither compiles nor embeds: version
// control, which //go:embed refuses, and what kn-lite itself leaves in a project.
func skip(name string, _ bool) (out, prune bool) {
	switch path.Base(name) {
	case ".git", ".hg", ".svn", ".bzr", ".kn-lite":
		return true, true
	}
	return false, false
}

// module adds the folders that the go.mod in dir replaces modules with. name is
// dir as the workspace has it.
func (i *inputs) module(name, dir string) error {
	text, err := regular.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		i.Unknown = "a module of the workspace is not there" // as the go command will say
		return nil
	}
	if err != nil {
		return err
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		i.Unknown = "go.mod has mistakes" // which the go command explains
		return nil
	}
	i.replaced(name, dir, mod.Replace)
	return nil
}

func (i *inputs) replaced(name, dir string, list []*modfile.Replace) {
	for _, r := range list {
		if r.New.Version == "" {
			i.folder(path.Join(name, filepath.ToSlash(r.New.Path)), absolute(dir, r.New.Path))
		}
	}
}

func absolute(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

// workspace adds the go.work that is in force, and its modules.
func (i *inputs) workspace(dir, setting string) error {
	file := setting
	if setting == "off" {
		return nil
	}
	if setting == "" {
		at, err := above(dir, "go.work")
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		file = filepath.Join(at, "go.work")
	}
	text, err := regular.ReadFile(file)
	if err != nil {
		i.Unknown = "the workspace cannot be read"
		return nil
	}
	work, err := modfile.ParseWork("go.work", text, nil)
	if err != nil {
		i.Unknown = "go.work has mistakes"
		return nil
	}
	at := filepath.Dir(file)
	i.Files = append(i.Files, lang.File{Name: "go.work", Path: file}, lang.File{Name: "go.work.sum", Path: file + ".sum"})
	if rel, err := filepath.Rel(at, dir); err == nil {
		i.Facts = append(i.Facts, lang.Fact{Name: "folder in the workspace", Value: filepath.ToSlash(rel)})
	}
	for _, use := range work.Use {
		member := absolute(at, use.Path)
		i.folder("workspace/"+filepath.ToSlash(use.Path), member)
		if err := i.module("workspace/"+filepath.ToSlash(use.Path), member); err != nil {
			return err
		}
	}
	i.replaced("workspace", at, work.Replace)
	return nil
}

// influential are the settings of the go command that change the program it
// makes. Proxies, caches and private modules are not among them: go.sum holds
// whatever comes from there to one content. CGO_ENABLED, GOOS and GOARCH are
// ours to set.
func influential() []string {
	return []string{
		"GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GODEBUG", "GOROOT", "GOTOOLCHAIN", "GOWORK", "GO111MODULE",
		"GOAMD64", "GOARM64", "GOARM", "GO386", "GOPPC64", "GORISCV64", "GOMIPS", "GOMIPS64", "GOWASM",
		"GO_EXTLINK_ENABLED", "GOGCFLAGS", "GOLDFLAGS",
	}
}

// goSettings is what `go env` would show of them: the environment, then the
// user's file. Those that are not set are left out.
func goSettings(environ []string) map[string]string {
	out := map[string]string{}
	if root := goRoot(environ); root != "" {
		readEnvFile(filepath.Join(root, "go.env"), out)
	}
	file := lang.Lookup(environ, "GOENV")
	if file == "" {
		file = userFile(environ)
	}
	if file != "off" && file != "" {
		readEnvFile(file, out)
	}
	for _, name := range influential() {
		if value := lang.Lookup(environ, name); value != "" {
			out[name] = value
		}
	}
	// The version that go.env chooses by default is no setting of anybody's.
	if out["GOTOOLCHAIN"] == "auto" {
		delete(out, "GOTOOLCHAIN")
	}
	// Where Go stands is no part of what it makes; its version is.
	delete(out, "GOROOT")
	return out
}

// userFile is where `go env -w` writes: os.UserConfigDir of the build's own
// environment.
func userFile(environ []string) string {
	var dir string
	switch runtime.GOOS {
	case "windows":
		dir = lang.Lookup(environ, "AppData")
	case "darwin":
		if home := lang.Lookup(environ, "HOME"); home != "" {
			dir = filepath.Join(home, "Library", "Application Support")
		}
	default:
		dir = lang.Lookup(environ, "XDG_CONFIG_HOME")
		if home := lang.Lookup(environ, "HOME"); dir == "" && home != "" {
			dir = filepath.Join(home, ".config")
		}
	}
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "go", "env")
}

func readEnvFile(file string, into map[string]string) {
	text, err := regular.ReadFile(file)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && value != "" && slices.Contains(influential(), name) {
			into[name] = value
		}
	}
}

// toolVersion is the version of the go command in PATH. Which toolchain it will
// download and run in its place follows from it, GOTOOLCHAIN and go.mod.
func toolVersion(ctx context.Context, p *lang.Project) (string, error) {
	tool, err := findGo()
	if err != nil {
		return "", err
	}
	root := goRoot(p.Environ)
	// Every release has this file, and reading it is a hundred times quicker than
	// asking the go command. A launcher that chooses among toolchains has none.
	if root != "" {
		if version := firstLine(filepath.Join(root, "VERSION")); strings.HasPrefix(version, "go") {
			return version, nil
		}
	}
	out, err := lang.Run(ctx, p.Dir, lang.With(p.Environ, "GOTOOLCHAIN=local"), tool, "env", "GOVERSION")
	if err != nil && ctx.Err() == nil {
		err = fault.New(fault.Build, "build.go", tool, "it does not tell its version: %w\n%s", err, strings.TrimSpace(out))
	}
	return strings.TrimSpace(out), err
}

// readFlags reads GOFLAGS, from the environment or from what `go env -w` has
// written.
func readFlags(environ []string) flags.Flags { return flags.Parse(goSettings(environ)["GOFLAGS"]) }

// goRoot is the folder of the toolchain in PATH, "" where it is not known.
func goRoot(environ []string) string {
	if root := lang.Lookup(environ, "GOROOT"); root != "" {
		return root
	}
	tool, err := findGo()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(tool); err == nil && strings.TrimSuffix(filepath.Base(real), ".exe") == "go" {
		return filepath.Dir(filepath.Dir(real))
	}
	return ""
}

func firstLine(file string) string {
	f, err := regular.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan()
	return strings.TrimSpace(lines.Text())
}
