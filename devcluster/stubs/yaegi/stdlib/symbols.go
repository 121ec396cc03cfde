// Package stdlib would export the standard library to plugins.
package stdlib

import "reflect"

// Symbols is empty.
var Symbols = map[string]map[string]reflect.Value{}
