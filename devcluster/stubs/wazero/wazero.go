// Package wazero has the shape of the WebAssembly runtime that Traefik's
// plugins use; it runs nothing. See ../README.md.
package wazero

import (
	"context"
	"errors"
)

// CompilationCache caches nothing.
type CompilationCache interface{ Close(context.Context) error }

// CompiledModule is a module that was never compiled.
type CompiledModule interface{ Close(context.Context) error }

// RuntimeConfig configures a runtime.
type RuntimeConfig interface {
	WithCompilationCache(CompilationCache) RuntimeConfig
}

// Runtime refuses to compile.
type Runtime interface {
	CompileModule(ctx context.Context, binary []byte) (CompiledModule, error)
}

// ModuleConfig configures an instance.
type ModuleConfig interface {
	WithSysWalltime() ModuleConfig
	WithStartFunctions(...string) ModuleConfig
	WithEnv(key, value string) ModuleConfig
	WithFSConfig(FSConfig) ModuleConfig
}

// FSConfig configures an instance's files.
type FSConfig interface {
	WithDirMount(dir, guestPath string) FSConfig
	WithReadOnlyDirMount(dir, guestPath string) FSConfig
}

type nothing struct{}

func (nothing) Close(context.Context) error { return nil }

func (n nothing) WithCompilationCache(CompilationCache) RuntimeConfig { return n }

func (nothing) CompileModule(context.Context, []byte) (CompiledModule, error) {
	return nil, errors.New("built without plugins")
}

func (n nothing) WithSysWalltime() ModuleConfig             { return n }
func (n nothing) WithStartFunctions(...string) ModuleConfig { return n }
func (n nothing) WithEnv(_, _ string) ModuleConfig          { return n }
func (n nothing) WithFSConfig(FSConfig) ModuleConfig        { return n }
func (n nothing) WithDirMount(_, _ string) FSConfig         { return n }
func (n nothing) WithReadOnlyDirMount(_, _ string) FSConfig { return n }

// NewCompilationCache returns a cache of nothing.
func NewCompilationCache() CompilationCache { return nothing{} }

// NewRuntimeConfig returns an empty configuration.
func NewRuntimeConfig() RuntimeConfig { return nothing{} }

// NewRuntimeWithConfig returns a runtime that refuses.
func NewRuntimeWithConfig(context.Context, RuntimeConfig) Runtime { return nothing{} }

// NewModuleConfig returns an empty configuration.
func NewModuleConfig() ModuleConfig { return nothing{} }

// NewFSConfig returns an empty configuration.
func NewFSConfig() FSConfig { return nothing{} }
