// Package handler holds a plugin's options.
package handler

import (
	"context"

	"github.com/http-wasm/http-wasm-host-go/api"
	"github.com/tetratelabs/wazero"
)

// Option alters a middleware.
type Option func()

// ModuleConfig changes nothing.
func ModuleConfig(wazero.ModuleConfig) Option { return func() {} }

// Logger changes nothing.
func Logger(api.Logger) Option { return func() {} }

// GuestConfig changes nothing.
func GuestConfig([]byte) Option { return func() {} }

// Runtime changes nothing.
func Runtime(func(context.Context) (wazero.Runtime, error)) Option { return func() {} }
