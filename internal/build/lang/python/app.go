package python

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// findApp finds the application of a framework where tutorials put it: in a module
// of the project's folder or of a package in it, as a variable or made by create_app.
func findApp(files fs.FS, requirements []string) (start, error) {
	made := regexp.MustCompile(`(?m)^(\w+)\s*(?::\s*[\w.]+\s*)?=\s*(?:\w+\.)?(Flask|FastAPI|Starlette|Quart|Sanic|Litestar)\(`)
	factory := regexp.MustCompile(`(?m)^def\s+(create_app|make_app)\s*\(`)
	framework := regexp.MustCompile(`(?m)^\s*(?:from|import)\s+(flask|fastapi|starlette|quart|sanic|litestar)\b`)
	var factories []start
	for _, name := range modules(files) {
		text, err := read(files, name)
		if err != nil {
			return start{}, err
		}
		module := moduleOf(name)
		if found := made.FindSubmatch(text); found != nil {
			return serveFramework(string(found[2]), module+":"+string(found[1]), requirements), nil
		}
		called, imports := factory.FindSubmatch(text), framework.FindSubmatch(text)
		if called != nil && imports != nil {
			factories = append(factories, serveFramework(string(imports[1]), module+":"+string(called[1])+"()", requirements))
		}
	}
	if len(factories) > 0 {
		return factories[0], nil
	}
	return start{}, nil
}

// serveFramework starts an application of a framework. uvicorn has an option where
// the application is called.
func serveFramework(name, app string, requirements []string) start {
	proper := map[string]string{"flask": "Flask", "fastapi": "FastAPI", "starlette": "Starlette", "quart": "Quart", "sanic": "Sanic", "litestar": "Litestar"}
	name = proper[strings.ToLower(name)]
	if name == "Flask" {
		return serveApp(name+" application", app, "", requirements)
	}
	found := serveApp(name+" application", "", app, requirements)
	if made, ok := strings.CutSuffix(app, "()"); ok && slices.Contains(found.command, "uvicorn") {
		found.command = append(slices.Clone(found.command[:len(found.command)-1]), "--factory", made)
	}
	return found
}

// modules returns the files in which an application may be, the likeliest first.
func modules(files fs.FS) []string {
	names := []string{"app.py", "main.py", "wsgi.py", "asgi.py", "server.py", "application.py"}
	out := slices.Clone(names)
	for _, parent := range []string{".", "src"} {
		entries, err := fs.ReadDir(files, parent)
		if err != nil {
			continue
		}
		for _, e := range entries {
			folder := path.Join(parent, e.Name())
			if !e.IsDir() || slices.Contains([]string{"test", "tests", "docs", "examples", "node_modules"}, e.Name()) || !exists(files, path.Join(folder, "__init__.py")) && e.Name() != "app" {
				continue
			}
			for _, name := range append(names, "__init__.py") {
				out = append(out, path.Join(folder, name))
			}
		}
	}
	return slices.DeleteFunc(out, func(name string) bool { return !exists(files, name) })
}

// moduleOf returns the name by which a file is imported; src is on the search path.
func moduleOf(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "src/"), ".py"), "/__init__")
	return strings.ReplaceAll(name, "/", ".")
}
