// Package wazergo would bind host functions to WebAssembly plugins.
// See ../README.md.
package wazergo

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero"
)

// ModuleInstance is a bound module.
type ModuleInstance struct{}

// Instantiate refuses.
func Instantiate[M, O any](context.Context, wazero.Runtime, M, ...O) (*ModuleInstance, error) {
	return nil, errors.New("built without plugins")
}

// WithModuleInstance returns ctx.
func WithModuleInstance(ctx context.Context, _ *ModuleInstance) context.Context { return ctx }
