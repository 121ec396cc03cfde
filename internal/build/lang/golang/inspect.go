package golang

import (
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"

	"golang.org/x/mod/modfile"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/regular"
)

// style is how the project wants to be run.
type style int

const (
	plain     style = iota // a program of its own
	static                 // func Handle
	instanced              // func New(), whose result has Handle
	unparsed               // not Go: the compiler says what is wrong better than we could
)

func (s style) String() string {
	switch s {
	case static:
		return "function with a static Handle"
	case instanced:
		return "function with New and Handle"
	}
	return "program"
}

// wrapped reports whether the wrapper's main is needed.
func (s style) wrapped() bool { return s == static || s == instanced }

// pkg is what is known about the package in the project's folder.
type pkg struct {
	folder     string // below the project's, slash-separated
	style      style
	importPath string // of the package, for the wrapper
	shape      *shape // of a function of events; nil for HTTP
}

// describe is the style in words.
func (p *pkg) describe() string {
	if p.shape != nil {
		return p.style.String() + " of events"
	}
	if p.folder != "." && p.folder != "" {
		return p.style.String() + " " + p.folder
	}
	return p.style.String()
}

const signatures = `a function is one of
  func Handle(w http.ResponseWriter, r *http.Request)
  func Handle(ctx context.Context, e event.Event) (*event.Event, error)     or with less of it
  func New() *F          where F has such a method Handle
or the package is a program: package main with func main`

// inspectProject reads the package that is built, as every platform sees it.
func inspectProject(p *lang.Project) (*pkg, error) {
	v := view{tags: readFlags(p.Environ).Tags, arch: "amd64"}
	if len(p.Platforms) > 0 {
		v.arch = p.Platforms[0].Architecture
	}
	folder, err := choose(p, v)
	if err != nil {
		return nil, err
	}
	label := p.Label
	if folder != "." {
		label = filepath.Join(label, filepath.FromSlash(folder))
	}
	dir := filepath.Join(p.Dir, filepath.FromSlash(folder))
	found, err := inspect(dir, label, v)
	if err != nil {
		return nil, err
	}
	found.folder = folder
	if found.style.wrapped() && folder != "." {
		return nil, fault.New(fault.Usage, "build.go", label, "the folder holds a function, not a program").WithHint("build it in its own folder")
	}
	for _, platform := range p.Platforms {
		other, err := inspect(dir, label, view{tags: v.tags, arch: platform.Architecture})
		if err != nil {
			return nil, err
		}
		if other.style != found.style {
			return nil, fault.New(fault.Usage, "build.go", label, "it is a %s for %s and a %s for %s", found.describe(), p.Platforms[0], other.describe(), platform)
		}
	}
	return found, nil
}

// inspect reads the package in dir without the go command. Errors call the
// folder label.
func inspect(dir, label string, v view) (*pkg, error) {
	importPath, err := importPath(dir, label)
	if err != nil {
		return nil, err
	}
	found, err := v.context().ImportDir(dir, 0)
	if _, none := errors.AsType[*build.NoGoError](err); none {
		return nil, noFiles(dir, label, found, v)
	}
	if mixed, ok := errors.AsType[*build.MultiplePackageError](err); ok {
		return nil, fault.New(fault.Build, "build.go", label, "the folder holds two packages: %s (%s) and %s (%s)",
			mixed.Packages[0], mixed.Files[0], mixed.Packages[1], mixed.Files[1])
	}
	if _, ok := errors.AsType[scanner.ErrorList](err); ok {
		return &pkg{style: unparsed}, nil
	}
	if err != nil {
		return nil, fault.New(fault.Build, "build.go", label, "%w", err)
	}
	if len(found.GoFiles) == 0 {
		return nil, noFiles(dir, label, found, v)
	}
	if found.Name == "main" {
		return &pkg{style: plain, importPath: importPath}, nil
	}
	style, handler, err := functionStyle(dir, label, found)
	return &pkg{style: style, importPath: importPath, shape: handler}, err
}

// importPath finds the module that dir belongs to.
func importPath(dir, label string) (string, error) {
	for at, below := dir, ""; ; at, below = filepath.Dir(at), path.Join(filepath.Base(at), below) {
		text, err := regular.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil {
			module := modfile.ModulePath(text)
			if module == "" {
				return "", fault.New(fault.Build, "build.go", "go.mod", "there is no module line")
			}
			return path.Join(module, below), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if at == filepath.Dir(at) {
			return "", fault.New(fault.Usage, "build.go", label, "there is no go.mod in this folder or above it").
				WithHint("make one: go mod init function")
		}
	}
}

// functionStyle looks for Handle and New in the package's own files. The shape
// is nil for a function of HTTP.
func functionStyle(dir, label string, found *build.Package) (style, *shape, error) {
	files := token.NewFileSet()
	methods := map[string]*ast.FuncDecl{} // receiver's type → Handle
	var handle, create *ast.FuncDecl
	for _, name := range found.GoFiles {
		// Relative names, so that positions read as the compiler's do.
		src, err := regular.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return 0, nil, err
		}
		file, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
		if _, ok := errors.AsType[scanner.ErrorList](err); ok {
			return unparsed, nil, nil
		}
		if err != nil {
			return 0, nil, err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			switch {
			case !ok:
			case f.Recv != nil && f.Name.Name == "Handle":
				methods[typeName(f.Recv.List[0].Type)] = f
			case f.Recv == nil && f.Name.Name == "Handle":
				handle = f
			case f.Recv == nil && f.Name.Name == "New":
				create = f
			}
		}
	}
	check := func(as style, f *ast.FuncDecl) (style, *shape, error) {
		if isHandler(f.Type) {
			return as, nil, nil
		}
		if s := eventShape(f.Type); s != nil {
			return as, s, nil
		}
		return 0, nil, fault.New(fault.Build, "build.go", files.Position(f.Pos()).String(), "%s does not have the signature of a function", f.Name.Name).
			WithHint("%s", signatures)
	}
	switch {
	case handle != nil && create != nil:
		return 0, nil, fault.New(fault.Build, "build.go", files.Position(create.Pos()).String(), "the package has both New and a static Handle (%s)", files.Position(handle.Pos())).
			WithHint("rename one of them: %s", signatures)
	case handle != nil:
		return check(static, handle)
	case create != nil:
		if create.Type.Params.NumFields() > 0 || create.Type.Results.NumFields() != 1 {
			return 0, nil, fault.New(fault.Build, "build.go", files.Position(create.Pos()).String(), "New takes nothing and returns one value").WithHint("%s", signatures)
		}
		if method, ok := methods[typeName(create.Type.Results.List[0].Type)]; ok {
			return check(instanced, method)
		}
		// The method may be promoted from another package; the compiler knows
		// whether it is one for HTTP.
		return instanced, nil, nil
	}
	return 0, nil, fault.New(fault.Build, "build.go", label, "package %s has neither Handle nor New", found.Name).WithHint("%s", signatures)
}

// typeName is T of T, *T, T[P] and *T[P].
func typeName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// isHandler accepts (http.ResponseWriter, *http.Request), whatever http is
// called, and no result.
func isHandler(f *ast.FuncType) bool {
	params := types(f.Params)
	if len(params) != 2 || f.Results.NumFields() > 0 {
		return false
	}
	pointer, ok := params[1].(*ast.StarExpr)
	return ok && selects(params[0], "ResponseWriter") && selects(pointer.X, "Request")
}

// eventShape accepts the signatures that shape describes, and is nil for others.
func eventShape(f *ast.FuncType) *shape {
	s := &shape{}
	params, results := types(f.Params), types(f.Results)
	if len(params) > 0 && selects(params[0], "Context") {
		s.context, params = true, params[1:]
	}
	if len(params) > 0 && selects(params[0], "Event") {
		s.event, params = true, params[1:]
	}
	if len(results) > 0 {
		if pointer, ok := results[0].(*ast.StarExpr); ok && selects(pointer.X, "Event") {
			s.answers, results = true, results[1:]
		}
	}
	if len(results) > 0 && (selects(results[0], "error") || selects(results[0], "Result")) {
		s.mayError, results = true, results[1:]
	}
	if len(params)+len(results) > 0 || s.answers && !s.event {
		return nil
	}
	return s
}

// types has one element for each parameter or result.
func types(list *ast.FieldList) []ast.Expr {
	var out []ast.Expr
	if list == nil {
		return nil
	}
	for _, field := range list.List {
		for range max(len(field.Names), 1) {
			out = append(out, field.Type)
		}
	}
	return out
}

func selects(t ast.Expr, name string) bool {
	switch t := t.(type) {
	case *ast.SelectorExpr:
		return t.Sel.Name == name
	case *ast.Ident: // a dot import or an alias
		return t.Name == name
	}
	return false
}
