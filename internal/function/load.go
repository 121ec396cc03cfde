package function

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// maxSize is far above any real func.yaml (a few kB) and small enough that the
// worst content is refused in well under 100 ms.
const maxSize = 64 << 10

// document is the file behind a Function: what an edit starts from.
type document struct {
	file   string // as shown in messages
	mode   fs.FileMode
	source []byte
	saved  []byte // what is on the disk
	root   *yaml.Node
	marks  map[string]mark
}

// Load reads and checks dir's func.yaml. A missing file is fault.NotFound; a
// broken one is fault.Usage and says every mistake with its line and column.
func Load(dir string) (*Function, error) {
	f, problems, err := Check(dir)
	if err == nil {
		err = f.fault(problems)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// fault is Fault with the typos beside the problems: "name is missing" is most
// often a misspelt name.
func (f *Function) fault(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	for _, w := range f.Warnings {
		if w.Typo {
			problems = append(problems, w)
		}
	}
	slices.SortStableFunc(problems, ByPlace)
	return Fault(problems)
}

// Validate is Check with each warning about a slip among the problems, and all of them
// if strict. Both lists are in the file's order.
func Validate(dir string, strict bool) (project *Function, problems, warnings []Problem, err error) {
	project, problems, err = Check(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, w := range project.Warnings {
		if strict || w.Typo {
			problems = append(problems, w)
		} else {
			warnings = append(warnings, w)
		}
	}
	slices.SortStableFunc(problems, ByPlace)
	return project, problems, warnings, nil
}

// Check is Load with the mistakes as a list; the error says only why the file
// could not be read. The Function has what could be understood.
func Check(dir string) (*Function, []Problem, error) {
	file := filepath.Join(dir, File)
	in, err := regular.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.New(fault.NotFound, "function.load", file, "no such file").
			WithHint("run this in a function's folder, or make one: kn-lite func create NAME -l LANGUAGE")
	}
	var info fs.FileInfo
	var source []byte
	if err == nil {
		defer in.Close()
		info, err = in.Stat()
	}
	if err == nil {
		source, err = io.ReadAll(io.LimitReader(in, maxSize+1))
	}
	if err != nil {
		return nil, nil, &fault.Error{Op: "function.load", Kind: fault.KindOf(err), Subject: file, Err: regular.Cause(err)}
	}
	if len(source) > maxSize {
		return &Function{Root: dir}, []Problem{tooLarge(file)}, nil
	}
	f := &Function{Root: dir}
	problems := f.check(source)
	f.doc.mode = info.Mode().Perm()
	return f, problems, nil
}

// Parse is Load for content that is at hand; dir is where it stands or will
// stand.
func Parse(dir string, source []byte) (*Function, error) {
	f := &Function{Root: dir}
	if err := f.fault(f.check(source)); err != nil {
		return nil, err
	}
	return f, nil
}

// check reads source and finds all the mistakes in it. A value of the wrong
// type is not also said to be missing or out of range.
func (f *Function) check(source []byte) []Problem {
	problems := f.read(filepath.Join(f.Root, File), source)
	if f.doc.root == nil {
		return problems
	}
	wrongType := map[string]bool{}
	for _, p := range problems {
		wrongType[p.Path] = true
	}
	for _, p := range f.Problems() {
		if !wrongType[p.Path] && len(problems) < maxProblems {
			problems = append(problems, p)
		}
	}
	slices.SortStableFunc(problems, ByPlace)
	return problems
}

// read fills f from source; it reports syntax and types, not meaning.
func (f *Function) read(file string, source []byte) []Problem {
	f.doc = &document{file: file, mode: 0o644, source: source, saved: source}
	root, problems := parseYAML(file, source)
	if len(problems) > 0 {
		return problems
	}
	d := &decoder{file: file, marks: map[string]mark{}}
	d.document(root, f)
	slices.SortStableFunc(d.warnings, ByPlace)
	f.Warnings = d.warnings
	f.doc.root, f.doc.marks = root, d.marks
	return d.problems
}

// Position is "func.yaml:14:9" for a path such as run.envs[2].value; where the
// file does not have that path, it is the nearest that it has.
func (f *Function) Position(path string) string {
	m := f.doc.mark(path)
	return Problem{File: f.doc.file, Line: m.line, Col: m.col}.Where()
}

// mark is the position of path, else of what encloses it, else the file's start.
func (doc *document) mark(path string) mark {
	for p := path; p != ""; p = parentPath(p) {
		if m, found := doc.marks[p]; found {
			return m
		}
	}
	return mark{line: 1, col: 1, path: path}
}

func parentPath(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}

func tooLarge(file string) Problem {
	return Problem{File: file, Line: 1, Col: 1, Message: fmt.Sprintf("the file is larger than %d KiB", maxSize>>10)}
}
