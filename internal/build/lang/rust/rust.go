// Package rust builds Cargo projects with the host's own toolchain: one program,
// statically linked, so that it stands on the built-in base.
package rust

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/rust/cargo"
	"github.com/kn-lite/kn-lite/internal/build/layer"
)

// Language is Rust.
type Language struct{}

var _ lang.Language = Language{}

// binary is where the program stands in the image. The name does not depend on
// the project, so equal programs share a layer.
const binary = "app/function"

// Name implements lang.Language.
func (Language) Name() string { return "rust" }

// Detect implements lang.Language.
func (Language) Detect(project fs.FS) bool {
	_, err := fs.Stat(project, cargo.ManifestFile)
	return err == nil
}

// Plan implements lang.Language.
func (Language) Plan(_ context.Context, p *lang.Project) (*lang.Plan, error) {
	found, err := cargo.Inspect(p)
	if err != nil {
		return nil, err
	}
	return &lang.Plan{
		Style:      "program " + found.Program,
		Base:       lang.Base{BuiltIn: true},
		Entrypoint: []string{"/" + binary},
		WorkingDir: "/app",
		Unlocked:   unlocked(found),
		Detail:     found,
	}, nil
}

// Layers implements lang.Language.
func (Language) Layers(_ context.Context, p *lang.Project, plan *lang.Plan, target lang.Target) ([]lang.Layer, error) {
	found, ok := plan.Detail.(*cargo.Project)
	if !ok {
		return nil, fmt.Errorf("a plan of another language: %T", plan.Detail)
	}
	return []lang.Layer{{
		Name: "application",
		From: "the workspace's sources, Cargo.lock and the toolchain",
		Files: func(ctx context.Context) ([]layer.File, func() error, error) {
			return compile(ctx, p, found, target.Platform)
		},
	}}, nil
}
