package parts

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kn-lite/kn-lite/devcluster/internal/fault"
)

// SourceVariable names the environment variable that points at the source of
// the devcluster module, for binaries that were moved away from it.
const SourceVariable = "DEVCLUSTER_SOURCE"

// embeddedSource may be set at link time:
// -ldflags "-X …/internal/parts.embeddedSource=/path/to/devcluster".
var embeddedSource string

// Source finds the folder that holds the module's go.mod: the explicit one if
// given, else the one set at link time, else the working directory, one of its
// parents or their devcluster folder, else where this file was compiled.
func Source(explicit, workdir string) (string, error) {
	if explicit != "" {
		if !isModule(explicit) {
			return "", &fault.Error{
				Op: "find source", Subject: explicit, Err: errors.New("no go.mod of " + Module + " there"),
				Hint: "point " + SourceVariable + " at the devcluster folder of a kn-lite checkout",
			}
		}
		return filepath.Abs(explicit)
	}
	candidates := []string{embeddedSource}
	for dir := workdir; dir != ""; dir = parent(dir) {
		candidates = append(candidates, dir, filepath.Join(dir, "devcluster"))
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) { // relative when built with -trimpath
		candidates = append(candidates, filepath.Join(filepath.Dir(file), "..", ".."))
	}
	for _, dir := range candidates {
		if dir != "" && isModule(dir) {
			return filepath.Abs(dir)
		}
	}
	return "", &fault.Error{
		Op: "find source", Err: errors.New("the devcluster module's source is not here"),
		Hint: "run from a kn-lite checkout, or set " + SourceVariable + " to its devcluster folder",
	}
}

func parent(dir string) string {
	if up := filepath.Dir(dir); up != dir {
		return up
	}
	return ""
}

func isModule(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && strings.HasPrefix(string(data), "module "+Module+"\n")
}
