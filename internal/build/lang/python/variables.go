package python

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/python/lockfile"
	"github.com/kn-lite/kn-lite/internal/regular"
)

var _ lang.VariableReader = Language{}

// Variables implements lang.VariableReader: what pip and its fellows read.
// Requirements take passwords of an index from variables that they name.
func (Language) Variables(p *lang.Project) lang.Variables {
	v := lang.Variables{
		Inputs: []string{"PIP_*", "UV_*", "POETRY_*", "PDM_*"},
		Means: []string{
			"VIRTUAL_ENV", "CONDA_PREFIX",
			"PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_TRUSTED_HOST", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES",
			"PIP_DISABLE_PIP_VERSION_CHECK", "PIP_NO_INPUT", "PIP_NO_COLOR", "PIP_QUIET", "PIP_VERBOSE", "PIP_PROGRESS_BAR", "PIP_ROOT_USER_ACTION",
			"PIP_BREAK_SYSTEM_PACKAGES", "PIP_NO_CACHE_DIR", "PIP_KEYRING_PROVIDER", "PIP_LOG",
			"UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_TOOL_DIR", "UV_PYTHON_INSTALL_DIR", "UV_INDEX_*", "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS", "UV_NO_PROGRESS",
			"POETRY_HOME", "POETRY_CACHE_DIR", "POETRY_CONFIG_DIR", "POETRY_HTTP_BASIC_*", "POETRY_PYPI_TOKEN_*", "PDM_CACHE_DIR",
		},
	}
	for _, name := range append(lockfile.Names(), requirementsFile, projectFile, pipFile) {
		// What cannot be read names nothing.
		raw, _ := regular.ReadFile(filepath.Join(p.Dir, name))
		v.Means = append(append(v.Means, lang.ReferencedVariables(raw)...), pipenvVariables(name, raw)...)
	}
	for _, file := range pipFiles(p.Environ) {
		v.Settings = append(v.Settings, lang.ReadSettings(file.Name, file.Path, meansOfPip())...)
	}
	return v
}

// pipenvVariables returns the variables in the addresses of a Pipfile and its lock,
// which need no braces there.
func pipenvVariables(name string, raw []byte) []string {
	if !strings.HasPrefix(name, pipFile) {
		return nil
	}
	var out []string
	for _, found := range regexp.MustCompile(`"https?://[^"]*\$(\w+)(?:[^"$]*\$(\w+))?[^"]*"`).FindAllSubmatch(raw, -1) {
		out = append(out, string(found[1]))
		if len(found[2]) > 0 {
			out = append(out, string(found[2]))
		}
	}
	return out
}
