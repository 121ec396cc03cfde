package golang

import "github.com/kn-lite/kn-lite/internal/build/lang"

var _ lang.VariableReader = Language{}

// Variables implements lang.VariableReader. No code of the project runs while it
// is compiled. The settings that change the program are facts of Inputs, joined
// with what `go env -w` has written.
func (Language) Variables(*lang.Project) lang.Variables {
	return lang.Variables{Means: append(influential(),
		"GOENV", "GOPATH", "GOBIN", "GOCACHE", "GOMODCACHE", "GOTMPDIR", "GOCACHEPROG", "GOTELEMETRY*", "GOMAXPROCS", "GOGC", "GOMEMLIMIT", "GOTRACEBACK",
		"GOPROXY", "GOPRIVATE", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOINSECURE", "GOVCS", "GOAUTH", "GIT_ALLOW_PROTOCOL",
	)}
}
