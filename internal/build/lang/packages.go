package lang

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/attest"
)

// Lister is a Language whose images hold packages that nobody can tell from their
// files: a program of Rust says nothing about its crates, the lockfile does. What
// package inventory finds in the files, the modules of a Go program, node_modules,
// dist-info, jars, needs no Lister.
type Lister interface {
	Language
	// Packages only reads. They may be in any order, and may repeat what inventory
	// finds.
	Packages(ctx context.Context, p *Project, plan *Plan, platform v1.Platform) ([]attest.Package, error)
}
