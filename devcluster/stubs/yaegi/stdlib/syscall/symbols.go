// Package syscall would export the standard library to plugins.
package syscall

import "reflect"

// Symbols is empty.
var Symbols = map[string]map[string]reflect.Value{}
