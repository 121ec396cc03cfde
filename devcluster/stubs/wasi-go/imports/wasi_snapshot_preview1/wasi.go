// Package wasi_snapshot_preview1 would be the host's side of the extension.
package wasi_snapshot_preview1

import "github.com/stealthrocket/wasi-go/imports"

// HostModule is the host's side.
type HostModule struct{}

// Option alters it.
type Option func()

// NewHostModule returns an empty host side.
func NewHostModule(...imports.Extension) *HostModule { return &HostModule{} }

// WithWASI changes nothing.
func WithWASI(*imports.System) Option { return func() {} }
