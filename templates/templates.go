// Package templates holds the projects that `kn-lite func create` makes, one
// folder for each language and kind: LANGUAGE/KIND/.
//
// A file whose name ends in .tmpl is a text/template for the file without that
// ending; every other file is copied as it is. Go code stays plain Go, so that
// the compiler and `go test` of this repository check it.
package templates

import "embed"

// FS is this folder.
//
//go:embed all:go all:java all:node all:python all:rust all:typescript
var FS embed.FS
