// Package wasm would run a plugin around an HTTP handler.
package wasm

import (
	"context"
	"errors"
	"net/http"

	"github.com/http-wasm/http-wasm-host-go/handler"
)

// Middleware wraps handlers.
type Middleware interface {
	NewHandler(context.Context, http.Handler) http.Handler
	Close(context.Context) error
}

// NewMiddleware refuses.
func NewMiddleware(context.Context, []byte, ...handler.Option) (Middleware, error) {
	return nil, errors.New("built without plugins")
}
