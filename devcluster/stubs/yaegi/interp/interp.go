// Package interp has the shape of Traefik's plugin interpreter; it runs nothing.
// See ../../README.md.
package interp

import (
	"errors"
	"io"
	"reflect"
)

var errNoPlugins = errors.New("built without plugins")

// Exports are symbols by package.
type Exports map[string]map[string]reflect.Value

// Options configures an interpreter.
type Options struct {
	GoPath         string
	Env            []string
	Stdout, Stderr io.Writer
}

// Interpreter refuses to interpret.
type Interpreter struct{}

// New returns an interpreter.
func New(Options) *Interpreter { return &Interpreter{} }

// Use refuses.
func (*Interpreter) Use(Exports) error { return errNoPlugins }

// Eval refuses.
func (*Interpreter) Eval(string) (reflect.Value, error) { return reflect.Value{}, errNoPlugins }
