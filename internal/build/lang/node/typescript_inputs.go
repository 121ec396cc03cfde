package node

import (
	"context"
	"path/filepath"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/source"
)

var _ lang.Keyed = TypeScript{}

// Inputs implements lang.Keyed.
func (TypeScript) Inputs(ctx context.Context, p *lang.Project, plan *lang.Plan) (*lang.Inputs, error) {
	return Language{}.Inputs(ctx, p, plan)
}

// builtInputs are what counts for Node.js, and all that the build script may read,
// whether it gets into the image or not.
func builtInputs(ctx context.Context, p *lang.Project, found *project) (*lang.Inputs, error) {
	in, err := plainInputs(ctx, p, found)
	if err != nil {
		return nil, err
	}
	ignore, err := found.ignore(p.Source.FS(), func(string) {}, "node_modules")
	if err != nil {
		return nil, err
	}
	in.Folders = []lang.Folder{{Name: ".", Dir: p.Dir, Skip: ignore.Sources, Dirs: true}}
	if found.lockName == "" {
		in.Unknown = "there is no package-lock.json, so npm decides anew each time"
		return in, nil
	}
	in.Files = append(in.Files, lang.File{Name: source.IgnoreFile, Path: filepath.Join(p.Dir, source.IgnoreFile)})
	version, err := (&install{project: p, found: found}).nodeVersion(ctx)
	in.Facts = append(in.Facts, lang.Fact{Name: "node of the build script", Value: version})
	return in, err
}
