package build

import (
	"context"
	"io/fs"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
	"github.com/kn-lite/kn-lite/internal/fault"
)

// Recognised is what a folder of code turns out to be.
type Recognised struct {
	Language string
	Style    string   // for people: "Django project on gunicorn"
	Evidence []string // the files that told
	Command  []string // how its container will start
	Base     string   // the default base image; "" is the built-in one
}

// Recognise looks at the code in dir without running anything. language may be ""
// when the folder's files are of one language only. An error says what a build
// would say, so what is recognised can be built.
func Recognise(ctx context.Context, dir, language string) (*Recognised, error) {
	tree, err := source.Open(dir)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	chosen, err := candidate(tree.FS(), dir, language)
	if err != nil {
		return nil, err
	}
	plan, err := chosen.Plan(ctx, &lang.Project{Dir: tree.Dir(), Label: dir, Source: tree, Report: silent{}})
	if err != nil {
		b := &builder{spec: Spec{Dir: dir}, language: chosen}
		return nil, b.describe(err)
	}
	return &Recognised{
		Language: chosen.Name(), Style: plan.Style, Evidence: evidence(tree.FS(), chosen.Name()),
		Command: plan.Entrypoint, Base: plan.Base.Ref,
	}, nil
}

func candidate(files fs.FS, dir, language string) (lang.Language, error) {
	if language != "" {
		return choose(Spec{Dir: dir, Language: language})
	}
	var found []lang.Language
	var names []string
	for _, l := range table() {
		if l.Detect(files) {
			found, names = append(found, l), append(names, l.Name())
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, fault.New(fault.Usage, "build.recognise", dir, "the folder has files of several languages: %s", strings.Join(names, ", ")).
			WithHint("say which one the service is written in: --language %s", names[0])
	}
	if isFile(files, "Dockerfile") {
		return nil, fault.New(fault.Usage, "build.recognise", dir, "there is a Dockerfile and no code of a language that is known (%s)", strings.Join(Languages(), ", ")).
			WithHint("kn-lite does not build Dockerfiles yet; deploy the image that another tool has built: kn-lite deploy --image REF")
	}
	return nil, fault.New(fault.Usage, "build.recognise", dir, "there is no code of a language that is known").
		WithHint("name the folder with the go.mod, package.json, Cargo.toml, requirements.txt or pyproject.toml\nlanguages: %s", strings.Join(Languages(), ", "))
}

// evidence are the files by which people know a project of a language.
func evidence(files fs.FS, language string) []string {
	telling := map[string][]string{
		"go":         {"go.mod", "main.go"},
		"node":       {"package.json", "server.js", "index.js"},
		"typescript": {"tsconfig.json", "package.json"},
		"python":     {"requirements.txt", "pyproject.toml", "Procfile", "manage.py", "app.py", "main.py", "function/__init__.py"},
		"rust":       {"Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "src/main.rs"},
	}
	var found []string
	for _, name := range telling[language] {
		if isFile(files, name) {
			found = append(found, name)
		}
	}
	return found
}

func isFile(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.Mode().IsRegular()
}
