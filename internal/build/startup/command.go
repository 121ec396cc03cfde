package startup

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// maxDepth is how many programs start one another, as in Linux.
const maxDepth = 5

// defaultPath is what container runtimes assume when an image says nothing.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// checker looks up in a tree what a command needs.
type checker struct {
	tree       *tree
	workingDir string
	path       []string
	pythonPath []string
	volumes    []string
}

// command checks that a command's program is there and can be executed, and the
// same of what that runs.
func (c *checker) command(args []string, depth int) error {
	if len(args) == 0 || depth > maxDepth {
		return nil
	}
	name, err := c.find(args[0])
	if err != nil || name == "" {
		return err
	}
	if err := c.program(name, depth); err != nil {
		return err
	}
	return c.arguments(path.Base(args[0]), args[1:], depth)
}

// find returns the path of a program, as execvp does; "" when it is in a volume,
// whose content is not known.
func (c *checker) find(name string) (string, error) {
	if strings.Contains(name, "/") {
		at := c.absolute(name)
		if c.inVolume(at) {
			return "", nil
		}
		if _, e, ok := c.tree.stat(at); !ok || e.Dir {
			return "", refuse(name, "it is not in the image")
		}
		return at, nil
	}
	unusable := ""
	for _, folder := range c.path {
		at := path.Join(c.absolute(folder), name)
		_, e, ok := c.tree.stat(at)
		switch {
		case c.inVolume(at):
			return "", nil
		case ok && !e.Dir && e.Exec:
			return at, nil
		case ok && !e.Dir:
			unusable = at
		}
	}
	if unusable != "" {
		return unusable, nil
	}
	return "", refuse(name, "it is in no folder of the image's PATH, %s", strings.Join(c.path, ":"))
}

func (c *checker) absolute(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join("/", c.workingDir, name)
}

func (c *checker) inVolume(name string) bool {
	return slices.ContainsFunc(c.volumes, func(v string) bool { return strings.HasPrefix(name, strings.TrimSuffix(v, "/")+"/") })
}

// program checks a file that is to be executed.
func (c *checker) program(name string, depth int) error {
	_, e, _ := c.tree.stat(name)
	if !e.Exec {
		return refuse(name, "nobody may execute it (its mode lacks x)").WithHint("make it executable: chmod +x")
	}
	if linker, ok := strings.CutPrefix(e.Head, "ELF "); ok {
		if _, _, there := c.tree.stat(linker); !there {
			return refuse(name, "it is linked with shared libraries, and the image lacks what loads them, %s", linker).
				WithHint("link it statically, or take a base that it is made for")
		}
		return nil
	}
	line, isScript := strings.CutPrefix(e.Head, "#!")
	if !isScript {
		if e.Head == "" {
			return refuse(name, "it is no program: it begins neither as one for Linux nor with #!")
		}
		return nil
	}
	words := strings.Fields(line)
	if len(words) == 0 || depth >= maxDepth {
		return refuse(name, "its first line names no interpreter")
	}
	if strings.HasSuffix(line, "\r") {
		return refuse(name, "its lines end as on Windows, so its interpreter is looked for with a carriage return in the name").
			WithHint("save it with the line ends of Linux")
	}
	return c.interpreter(name, words, depth)
}

// interpreter checks what a script's first line names.
func (c *checker) interpreter(script string, words []string, depth int) error {
	if path.Base(words[0]) == "env" && len(words) > 1 {
		if _, e, ok := c.tree.stat(words[0]); !ok || e.Dir {
			return refuse(script, "its first line asks for %s, which is not in the image", words[0])
		}
		words = slices.DeleteFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, "-") || strings.Contains(w, "=") })
		if len(words) == 0 {
			return nil
		}
	}
	at, err := c.find(words[0])
	if err != nil {
		return refuse(script, "its first line asks for %s, which is not in the image", words[0])
	}
	if at == "" {
		return nil
	}
	return c.program(at, depth+1)
}

// arguments checks the first file that a well-known program reads.
func (c *checker) arguments(program string, args []string, depth int) error {
	program = regexp.MustCompile(`[0-9.]+$`).ReplaceAllString(program, "")
	switch program {
	case "sh", "bash", "ash", "dash":
		return c.shell(args, depth)
	case "node", "nodejs":
		return c.node(args)
	case "python":
		return c.python(args)
	case "java":
		return c.java(args)
	case "tini", "dumb-init", "catatonit":
		if at := slices.Index(args, "--"); at >= 0 {
			return c.command(args[at+1:], depth+1)
		}
	}
	return nil
}

// node checks the script that Node.js runs.
func (c *checker) node(args []string) error {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case slices.Contains([]string{"-e", "--eval", "-p", "--print", "-pe", "-", "--run", "--test", "-h", "-v", "--version", "-c", "-i"}, arg):
			return nil
		case slices.Contains([]string{"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file", "--title"}, arg):
			i++
		case strings.HasPrefix(arg, "-"):
		default:
			return c.file("node", arg, "", ".js", ".json", ".node", ".mjs", ".cjs")
		}
	}
	return nil
}

// python checks the script or the module that Python runs.
func (c *checker) python(args []string) error {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-m" && i+1 < len(args):
			return c.module(args[i+1])
		case arg == "-c", arg == "-", arg == "-m":
			return nil
		case arg == "-W" || arg == "-X":
			i++
		case strings.HasPrefix(arg, "-"):
		default:
			return c.file("python", arg, "")
		}
	}
	return nil
}

// module checks that a Python module is somewhere where Python looks.
func (c *checker) module(name string) error {
	name, _, _ = strings.Cut(name, ".")
	for _, folder := range append([]string{c.absolute(".")}, c.pythonPath...) {
		for _, file := range []string{name, name + ".py"} {
			if _, _, ok := c.tree.stat(path.Join(c.absolute(folder), file)); ok || c.inVolume(folder+"/") {
				return nil
			}
		}
	}
	// Of Python itself, or installed with the base.
	pattern := regexp.MustCompile(`(^|/)(python3?[\d.]*t?|site-packages|dist-packages|lib-dynload)/` + regexp.QuoteMeta(name) + `(\.py|\.pyc|/__init__\.py|/__main__\.py|\.[\w-]+\.so)?$`)
	zipped := regexp.MustCompile(`(^|/)python3\d+\.zip$`)
	for _, layer := range c.tree.layers {
		for file := range layer {
			if pattern.MatchString(file) || zipped.MatchString(file) {
				return nil
			}
		}
	}
	return refuse("python -m "+name, "the image has no module %s", name)
}

// java checks the archive that Java runs.
func (c *checker) java(args []string) error {
	if at := slices.Index(args, "-jar"); at >= 0 && at+1 < len(args) {
		return c.file("java", args[at+1], "")
	}
	return nil
}

// file checks a file that a program is given, under one of several endings.
func (c *checker) file(program, name string, endings ...string) error {
	if strings.ContainsAny(name, "$*?") {
		return nil
	}
	at := c.absolute(name)
	for _, ending := range endings {
		if _, _, ok := c.tree.stat(at + ending); ok || c.inVolume(at) {
			return nil
		}
	}
	return refuse(name, "%s is to run it, and there is no %s in the image", program, at)
}

// shell checks the first program of a shell's command line, or its script.
func (c *checker) shell(args []string, depth int) error {
	for i, arg := range args {
		switch {
		case strings.HasPrefix(arg, "-") && strings.HasSuffix(arg, "c") && !strings.HasPrefix(arg, "--"):
			if i+1 < len(args) {
				return c.line(args[i+1], depth)
			}
			return nil
		case arg == "-o" || arg == "-s" || arg == "-":
			return nil // what follows is not a script in every shell
		case strings.HasPrefix(arg, "-"):
		default:
			return c.file("sh", arg, "")
		}
	}
	return nil
}

// line checks the first program of a shell's command line where that is plain
// words: what the shell makes of more is not known.
func (c *checker) line(line string, depth int) error {
	first := regexp.MustCompile(`[;&|<>\n]`).Split(line, 2)[0]
	if strings.Contains(line, "||") {
		return nil // it may well fail
	}
	words := strings.Fields(first)
	for len(words) > 0 && (words[0] == "exec" || regexp.MustCompile(`^[A-Za-z_]\w*=[\w./:@%+,-]*$`).MatchString(words[0])) {
		if strings.HasPrefix(words[0], "PATH=") {
			return nil
		}
		words = words[1:]
	}
	if len(words) == 0 || !regexp.MustCompile(`^[\w./+-]+$`).MatchString(words[0]) || shellWord(words[0]) || strings.HasPrefix(words[0], "-") {
		return nil
	}
	// Where words need the shell, they end for us.
	plain := slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w, "$`\"'\\*?[](){}#~!") })
	if plain > 0 {
		name, err := c.find(words[0])
		if err != nil || name == "" {
			return err
		}
		return c.program(name, depth+1)
	}
	return c.command(words, depth+1)
}

// shellWord reports whether a shell itself knows a word.
func shellWord(word string) bool {
	return slices.Contains(strings.Fields(". : [ alias bg bind break builtin case cd command continue declare do done echo elif else esac eval exit export false fg fi for "+
		"function getopts hash if in jobs kill let local printf pwd read readonly return select set shift shopt source test then time times trap true type typeset "+
		"ulimit umask unalias unset until wait while"), word)
}

func refuse(name, format string, args ...any) *fault.Error {
	return fault.New(fault.Build, "build.start", name, "the image cannot start: "+format, args...)
}
