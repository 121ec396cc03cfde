// Package unsafe would export the standard library to plugins.
package unsafe

import "reflect"

// Symbols is empty.
var Symbols = map[string]map[string]reflect.Value{}
