package lang

import "context"

// Keyed is a Language that can tell all that its layers depend on, so that a
// project in which nothing has changed is not built again. A language without it
// is built each time.
type Keyed interface {
	Language
	// Inputs only reads, and is quick: it runs before every build.
	Inputs(ctx context.Context, p *Project, plan *Plan) (*Inputs, error)
}

// Inputs is what the layers depend on besides the plan, the platform and the
// base. Names are the same on every machine: they never hold an absolute path.
type Inputs struct {
	Folders []Folder
	Files   []File
	Facts   []Fact
	// Unknown says why the inputs do not decide the result, "" when they do. Then
	// there is no key, and every build runs.
	Unknown string
}

// Folder is a tree of files that are inputs.
type Folder struct {
	Name string // as the project refers to it: ".", "../lib"
	Dir  string // absolute
	// Skip tells what is no input; below a folder with prune nothing is looked at.
	// Names have slashes and are relative to Dir. nil takes everything.
	Skip func(name string, dir bool) (out, prune bool)
	// Dirs makes folders inputs too, and not only what is in them.
	Dirs bool
	// Follow makes what links lead to an input: toolchains that read through links
	// see it. A link to a folder outside of Dir makes the inputs unknown.
	Follow bool
}

// File is one file outside of the folders. It may be missing.
type File struct {
	Name string
	Path string // absolute
}

// Fact is something that is no file: a version, a setting.
type Fact struct {
	Name  string
	Value string
}
