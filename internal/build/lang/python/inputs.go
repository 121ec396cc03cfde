package python

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

var _ lang.Keyed = Language{}

// Inputs implements lang.Keyed: the files that get into the image, the
// requirements, and the versions and settings of Python and pip where pip runs.
func (Language) Inputs(ctx context.Context, p *lang.Project, plan *lang.Plan) (*lang.Inputs, error) {
	found, ok := plan.Detail.(*project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	// The build itself warns.
	ignore, err := source.ReadIgnore(p.Source.FS(), func(string) {}, unwanted()...)
	if err != nil {
		return nil, err
	}
	in := &lang.Inputs{Folders: []lang.Folder{{Name: ".", Dir: p.Dir, Skip: ignore.Filter, Dirs: true}}}
	// They count even when the ignore file keeps them out of the image.
	for _, name := range slices.Compact(slices.Sorted(slices.Values(append(found.read, requirementsFile, projectFile)))) {
		in.Files = append(in.Files, lang.File{Name: name, Path: filepath.Join(p.Dir, name)})
	}
	wheels, folders := found.localFiles()
	for _, name := range wheels {
		in.Files = append(in.Files, lang.File{Name: name, Path: filepath.Join(p.Dir, filepath.FromSlash(name))})
	}
	for _, name := range folders {
		in.Folders = append(in.Folders, lang.Folder{Name: name, Dir: filepath.Join(p.Dir, filepath.FromSlash(name))})
	}
	if len(found.requirements) > 0 && !found.pinned {
		in.Unknown = found.from + " leaves versions open, so pip chooses anew each time"
		return in, nil
	}
	if len(found.requirements) == 0 && !found.start.serves && !found.start.adds {
		return in, nil
	}
	tool, err := findPython()
	if err != nil {
		return nil, err
	}
	versions, err := lang.Run(ctx, p.Dir, p.Environ, tool, "-I", "-c", "import sys, pip; print(sys.version.split()[0], pip.__version__)")
	if err != nil {
		return nil, err
	}
	in.Facts = append(in.Facts, lang.Fact{Name: "python and pip", Value: strings.TrimSpace(versions)})
	return in, nil
}
