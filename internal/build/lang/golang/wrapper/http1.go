//go:build !go1.24

package wrapper

import "net/http"

// allowHTTP2 needs a newer standard library.
func allowHTTP2(*http.Server) {}
