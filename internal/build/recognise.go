package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/dockerfile"
	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/ruby"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// Recognised is what a folder of code turns out to be.
type Recognised struct {
	Language string
	Runtime  string   // what func.yaml calls it, so that knative/func knows it too
	Style    string   // for people: "Django project on gunicorn"
	Evidence []string // the files that told
	Command  []string // how its container will start
	Base     string   // the default base image; "" is the built-in one
	Reads    []string // files that the program seems to read: the image has them if func.yaml says it
	Advice   []string // what else the user may want to do
	// Dockerfile is true when there is one beside the code.
	Dockerfile bool
	// Beside are the languages of code beside the Dockerfile.
	Beside []string
	// Files have to be written for a build: name → content. None is there yet.
	Files map[string]string
}

// Recognise looks at the code in dir without running anything. language may be ""
// when the folder's files are of one language only. An error says what a build
// would say, so what is recognised can be built.
// environ are the machine's variables.
func Recognise(ctx context.Context, dir, language string, environ []string) (*Recognised, error) {
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	if err := checkRegular(tree.FS()); err != nil {
		return nil, err
	}
	found := detected(tree.FS())
	// A Rails application has a package.json for what browsers load.
	rack := language == "" && ruby.Detect(tree.FS())
	if rack && !HasDockerfile(dir) {
		return recogniseRuby(tree.FS())
	}
	if language == DockerfileLanguage || rack || language == "" && len(found) == 0 && HasDockerfile(dir) {
		return recogniseDockerfile(dir, found)
	}
	chosen, err := candidate(found, dir, language)
	if err != nil {
		return nil, err
	}
	b := &builder{spec: Spec{Dir: dir, Environ: environ}, language: chosen, project: &lang.Project{
		Dir: tree.Dir(), Label: label(dir, tree.Dir()), Source: tree, Report: progress.Nop(), Platforms: []v1.Platform{{OS: "linux", Architecture: "amd64"}},
	}}
	b.chooseEnviron()
	plan, err := chosen.Plan(ctx, b.project)
	if err != nil {
		return nil, orDockerfile(dir, b.describe(err))
	}
	if detail, ok := plan.Detail.(io.Closer); ok {
		defer detail.Close()
	}
	return &Recognised{
		Language: chosen.Name(), Runtime: toFuncRuntime(chosen.Name()), Style: plan.Style, Evidence: evidence(tree.FS(), chosen.Name()),
		Command: plan.Entrypoint, Base: plan.Base.Ref, Dockerfile: HasDockerfile(dir),
		Reads:  plan.Reads,
		Advice: plan.Advice,
	}, nil
}

// recogniseDockerfile is Recognise for a folder whose image a Dockerfile makes.
func recogniseDockerfile(dir string, beside []lang.Language) (*Recognised, error) {
	summary, err := dockerfile.Look(dockerfile.Spec{Dir: dir})
	if err != nil {
		return nil, err
	}
	style := "Dockerfile"
	if summary.Stages > 1 {
		style = fmt.Sprintf("Dockerfile of %d stages", summary.Stages)
	}
	return &Recognised{
		Language: DockerfileLanguage, Runtime: DockerfileLanguage, Style: style, Evidence: []string{dockerfile.DefaultFile},
		Command: summary.Command, Base: summary.Base, Beside: namesOf(beside),
	}, nil
}

// recogniseRuby is Recognise for a Ruby application, whose image a Dockerfile of
// ours makes.
func recogniseRuby(files fs.FS) (*Recognised, error) {
	app, err := ruby.Inspect(files)
	if err != nil {
		return nil, err
	}
	found := &Recognised{
		Language: DockerfileLanguage, Runtime: DockerfileLanguage, Style: app.Style(), Evidence: app.Evidence,
		Command: app.Command(), Base: app.Base(), Files: map[string]string{dockerfile.DefaultFile: app.Dockerfile()}, Advice: app.Advice(),
	}
	if _, err := fs.Stat(files, ".dockerignore"); errors.Is(err, fs.ErrNotExist) {
		found.Files[".dockerignore"] = app.Ignore()
	}
	return found, nil
}

// orDockerfile adds to an error that there is another way.
func orDockerfile(dir string, err error) error {
	known, ok := errors.AsType[*fault.Error](err)
	if !ok || !HasDockerfile(dir) {
		return err
	}
	hint := "the Dockerfile here can be built in any case: {Language} " + DockerfileLanguage
	if known.Hint != "" {
		hint = known.Hint + "\n" + hint
	}
	return known.WithHint("%s", hint)
}

// detected are the languages that have files in the folder.
func detected(files fs.FS) []lang.Language {
	var found []lang.Language
	for _, l := range table() {
		if l.Detect(files) {
			found = append(found, l)
		}
	}
	return found
}

func namesOf(languages []lang.Language) []string {
	var names []string
	for _, l := range languages {
		names = append(names, l.Name())
	}
	return names
}

func candidate(found []lang.Language, dir, language string) (lang.Language, error) {
	if language != "" {
		return choose(Spec{Dir: dir, Language: language})
	}
	names := namesOf(found)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, orDockerfile(dir, fault.New(fault.Usage, "build.recognise", dir, "the folder has files of several languages: %s", strings.Join(names, ", ")).
			WithHint("say which one the service is written in: {Language} %s", names[0]))
	}
	return nil, fault.New(fault.Usage, "build.recognise", dir, "there is no code of a language that is known, and no Dockerfile").
		WithHint("name the folder with the go.mod, pom.xml, package.json, Cargo.toml, requirements.txt, pyproject.toml, config.ru or Dockerfile\nlanguages: %s", strings.Join(Languages(), ", "))
}

// checkRegular returns an error if one of the files by which people and tools know
// a project is something else than a file, such as a FIFO: whoever opens that
// waits for ever.
func checkRegular(files fs.FS) error {
	names := []string{dockerfile.DefaultFile, source.IgnoreFile}
	for _, l := range table() {
		names = append(append(names, telling(l.Name())...), configuring(l.Name())...)
	}
	for _, name := range names {
		if info, err := fs.Stat(files, name); err == nil && !info.IsDir() {
			if err := regular.Check(name, info.Mode()); err != nil {
				return err
			}
		}
	}
	return nil
}

// evidence are the files by which people know a project of a language.
func evidence(files fs.FS, language string) []string {
	var found []string
	for _, name := range telling(language) {
		if isFile(files, name) {
			found = append(found, name)
		}
	}
	return found
}

// telling are the names of such files.
func telling(language string) []string {
	return map[string][]string{
		"go":         {"go.mod", "main.go"},
		"java":       {"pom.xml", "mvnw", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradlew"},
		"node":       {"package.json", "server.js", "index.js"},
		"typescript": {"tsconfig.json", "package.json"},
		"python":     {"requirements.txt", "pyproject.toml", "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile", "setup.py", "Procfile", "manage.py", "app.py", "main.py", "function/__init__.py"},
		"rust":       {"Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "src/main.rs"},
	}[language]
}

// configuring are files that a language's tools read besides those.
func configuring(language string) []string {
	return map[string][]string{
		"go":     {"go.sum", "go.work", "go.work.sum"},
		"java":   {".mvn/maven.config", ".mvn/jvm.config", ".mvn/extensions.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.properties", "gradlew"},
		"node":   {"package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", "yarn.lock", ".npmrc", ".yarnrc", ".yarnrc.yml"},
		"python": {"Pipfile.lock", "setup.cfg"},
		"rust":   {"rust-toolchain", ".cargo/config", ".cargo/config.toml", "build.rs"},
	}[language]
}

func isFile(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}
