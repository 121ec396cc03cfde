// Package imports has the shape of the socket extension for WebAssembly
// plugins; it finds none. See ../../README.md.
package imports

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero"
)

// Extension names a socket extension.
type Extension struct{}

// System is a module's view of the host.
type System struct{}

// Builder builds a System.
type Builder struct{}

// DetectSocketsExtension finds none.
func DetectSocketsExtension(wazero.CompiledModule) *Extension { return nil }

// NewBuilder returns a builder that refuses.
func NewBuilder() *Builder { return &Builder{} }

// WithSocketsExtension changes nothing.
func (b *Builder) WithSocketsExtension(string, wazero.CompiledModule) *Builder { return b }

// WithEnv changes nothing.
func (b *Builder) WithEnv(...string) *Builder { return b }

// WithDirs changes nothing.
func (b *Builder) WithDirs(...string) *Builder { return b }

// Instantiate refuses.
func (b *Builder) Instantiate(ctx context.Context, _ wazero.Runtime) (context.Context, *System, error) {
	return ctx, nil, errors.New("built without plugins")
}
