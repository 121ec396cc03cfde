package node

import (
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// runtime is the package that serves a handle function.
const runtime = "faas-js-runtime"

// start is how the container starts.
type start struct {
	style   string
	command []string
	env     []string
	advice  []string
	static  bool // what the build script makes is a site, which a server of ours serves
}

// chooseStart finds how the project starts where it is in use: by its start script, by
// the one for production beside it, as its framework has it, by its main file, or
// as a site of files.
func (p *project) chooseStart(files fs.FS) (start, error) {
	m := &p.manifest
	exported := exportsSite(m, files)
	if found, ok := p.scriptedStart(); ok && !exported {
		return found.withDefaults(m), nil
	}
	if found, ok := conventional(m); ok && !exported {
		return found.withDefaults(m), nil
	}
	file := m.Main
	if file == "" {
		file = "index.js"
		if exists(files, "server.js") && !exists(files, file) {
			file = "server.js" // npm's own default
		}
	}
	if _, depends := m.Dependencies[runtime]; depends {
		return start{style: "function with handle", command: serveWith("./" + path.Clean(file))}, nil
	}
	switch present := exists(files, file); {
	case !present && p.builds() && (exported || makesSite(m, files)):
		return siteStart(), nil
	case !present && (!p.builds() || m.Main == ""):
		return start{}, p.explainNoStart(file)
	case present:
		text, err := read(files, file)
		if err != nil {
			return start{}, err
		}
		if exportsHandle(text) {
			return start{}, fault.New(fault.Usage, "build.node", file, "it exports handle, and nothing in the project serves that").
				WithHint("add the runtime: npm install %s", runtime)
		}
	}
	return start{style: "program " + file, command: []string{"node", path.Clean(file)}}, nil
}

func (p *project) explainNoStart(file string) error {
	if script := strings.TrimSpace(p.manifest.Scripts["start"]); script != "" {
		word := p.developmentProgram(p.resolveScript(script))
		return fault.New(fault.Build, "build.node", manifestFile, "the start script runs %s, which is a development dependency or server and not for the image", word).
			WithHint("say how it starts in production: npm pkg set scripts.start:prod='node FILE'; or make %s a dependency: npm install --save-prod %s", word, word)
	}
	return fault.New(fault.Usage, "build.node", manifestFile, "there is no start script, and no %s to start", file).
		WithHint("add one: npm pkg set scripts.start='node FILE'")
}

// serveWith starts the runtime by its file: its launcher would need an env
// program in the base image.
func serveWith(arguments ...string) []string {
	return append([]string{"node", "/" + home + "/node_modules/" + runtime + "/bin/cli.js"}, arguments...)
}

// fromScript turns a script into a command without npm and, where it can, without
// a shell: whatever is process 1 has to hear SIGTERM, and neither passes it on.
func fromScript(script string) start {
	s := start{style: "npm start script"}
	words := strings.Fields(script)
	for len(words) > 0 && isAssignment(words[0]) && !needsShell(words[0]) {
		s.env = append(s.env, words[0])
		words = words[1:]
	}
	rest := strings.Join(words, " ")
	switch {
	case len(words) == 0 || needsShell(rest) || isAssignment(words[0]):
		s.env, s.command = nil, []string{"/bin/sh", "-c", script}
	case words[0] == runtime:
		s.style, s.command = "function with handle", serveWith(words[1:]...)
	default:
		s.command = words
	}
	return s
}

// needsShell reports whether text means something to a shell beyond its words.
func needsShell(text string) bool { return strings.ContainsAny(text, "|&;<>()$`\\\"'*?[]#~!{}\n") }

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name)
}

// exportsHandle recognises the ways to export a handle function in text.
func exportsHandle(text []byte) bool {
	return regexp.MustCompile(`\bexports\.handle\b|\bmodule\.exports\s*=\s*\{[^}]*\bhandle\b|\bexport\s+(async\s+)?(const|function|let)\s+handle\b|\bexport\s*\{[^}]*\bhandle\b`).Match(text)
}

func exists(files fs.FS, name string) bool {
	info, err := fs.Stat(files, path.Clean(name))
	return err == nil && info.Mode().IsRegular()
}
