// Package function answers HTTP requests.
package function

import (
	"fmt"
	"net/http"
	"os"
)

// Function holds what lives as long as the process: settings, clients, caches.
// Requests are served at the same time, so guard what they change.
type Function struct {
	greeting string
}

// New is called once, when the process starts.
func New() *Function {
	greeting := os.Getenv("GREETING")
	if greeting == "" {
		greeting = "Hello"
	}
	return &Function{greeting: greeting}
}

// Handle is called for each request.
func (f *Function) Handle(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" {
		name = "World"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s, %s!\n", f.greeting, name)
}
