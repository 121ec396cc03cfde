package python

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
)

// start is how the container starts.
type start struct {
	style   string
	command []string
	env     []string
	serves  bool // with the server that kn-lite brings
	adds    bool // that server, to an application whose requirements have none
}

// startOf finds out how to start the project: its own word in a Procfile, a
// function, a framework that is known, a main program.
func startOf(files fs.FS, requirements []string) (start, error) {
	if line, err := webProcess(files); err != nil || line != "" {
		env, command := lang.SplitCommand(line)
		return start{style: "Procfile", command: command, env: env}, err
	}
	if exists(files, "function/__init__.py") || exists(files, "function.py") {
		return startFunction(files, requirements)
	}
	if module := djangoModule(files); module != "" {
		return serveApp("Django project", module+".wsgi:application", module+".asgi:application", requirements), nil
	}
	if found, err := findApp(files, requirements); err != nil || found.command != nil {
		return found, err
	}
	for _, name := range []string{"main.py", "app.py", "server.py"} {
		if exists(files, name) {
			return start{style: "program " + name, command: []string{"python3", name}}, nil
		}
	}
	return start{}, fault.New(fault.Usage, "build.python", "", "cannot tell how to start it: there is no function package, no Procfile and no main.py").
		WithHint("for a function, make a folder function whose __init__.py has new or handle;\nfor anything else, say it in a Procfile: web: gunicorn app:app")
}

// startFunction tells functions of events from those of HTTP as func does: by
// func.yaml, since their signatures are the same.
func startFunction(files fs.FS, requirements []string) (start, error) {
	found := start{style: "ASGI function", command: []string{"python3", "/" + server + "/serve.py"}, serves: true}
	text, err := read(files, function.File)
	if err != nil || text == nil {
		return found, err
	}
	f, err := function.Parse("", text)
	if err != nil {
		return found, err
	}
	if f.Invoke != "cloudevent" {
		return found, nil
	}
	if !slices.ContainsFunc(requirements, func(r string) bool { return lockfile.NameOf(r) == "cloudevents" }) {
		return found, fault.New(fault.Usage, "build.python", requirementsFile, "the function is one of events (func.yaml: invoke), and its requirements have no SDK for them").
			WithHint("add it: echo cloudevents >> %s", requirementsFile)
	}
	found.style, found.command = "ASGI function of events", append(found.command, "events")
	return found, nil
}

// serveApp picks the server that the project itself asks for, else the one that
// serves functions.
func serveApp(style, wsgi, asgi string, requirements []string) start {
	has := func(name string) bool {
		return slices.ContainsFunc(requirements, func(r string) bool { return lockfile.NameOf(r) == name })
	}
	switch {
	case wsgi != "" && has("gunicorn"):
		// One process and threads: Knative adds processes by adding pods.
		return start{style: style + " on gunicorn", command: []string{"python3", "-m", "gunicorn", "--worker-tmp-dir", "/tmp", "--threads", "8", "--timeout", "0", wsgi}}
	case asgi != "" && has("uvicorn"):
		return start{style: style + " on uvicorn", command: []string{"python3", "-m", "uvicorn", asgi}}
	case asgi != "" && has("hypercorn"):
		return start{style: style + " on hypercorn", command: []string{"python3", "-m", "hypercorn", "--bind", "0.0.0.0:8080", asgi}}
	case wsgi != "" && has("waitress"):
		return start{style: style + " on waitress", command: []string{"python3", "-m", "waitress", "--listen=0.0.0.0:8080", wsgi}}
	}
	app := asgi
	if asgi == "" {
		app = "wsgi:" + wsgi
	}
	return start{
		style: style + " on hypercorn, which the build adds", adds: true,
		command: []string{"python3", "-m", "hypercorn", "--bind", "0.0.0.0:8080", app},
	}
}

// webProcess is the command of a Procfile's web line.
func webProcess(files fs.FS) (string, error) {
	text, err := read(files, "Procfile")
	for line := range strings.Lines(string(text)) {
		if name, command, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "web" {
			return strings.TrimSpace(command), err
		}
	}
	return "", err
}

// djangoModule is the package with the settings of a Django project, "" for
// anything else: manage.py names it.
func djangoModule(files fs.FS) string {
	text, err := read(files, "manage.py")
	if err != nil {
		return ""
	}
	found := regexp.MustCompile(`DJANGO_SETTINGS_MODULE['"]\s*,\s*['"]([\w.]+)['"]`).FindSubmatch(text)
	if found == nil {
		return ""
	}
	module := string(found[1])
	for module != "" {
		if exists(files, path.Join(strings.ReplaceAll(module, ".", "/"), "wsgi.py")) {
			return module
		}
		module, _, _ = cutLast(module)
	}
	return ""
}

func cutLast(module string) (before, after string, found bool) {
	if i := strings.LastIndex(module, "."); i >= 0 {
		return module[:i], module[i+1:], true
	}
	return "", module, false
}
