package node

import (
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/regular"
)

var (
	_ lang.VariableReader = Language{}
	_ lang.VariableReader = TypeScript{}
)

// Variables implements lang.VariableReader.
func (Language) Variables(p *lang.Project) lang.Variables { return variables(p) }

// Variables implements lang.VariableReader.
func (TypeScript) Variables(p *lang.Project) lang.Variables { return variables(p) }

// variables are what npm, its fellows and node-gyp read. NODE_ENV is not among
// them: what is installed for the image does not depend on the shell. An .npmrc
// takes tokens from variables that it names.
func variables(p *lang.Project) lang.Variables {
	v := lang.Variables{
		RunsCode: true,
		Inputs: []string{
			"NODE_OPTIONS", "npm_config_*", "NPM_CONFIG_*", "COREPACK_*", "YARN_*", "PNPM_*",
			"CC", "CXX", "AR", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "GYP_DEFINES",
		},
		Means: []string{"NODE_EXTRA_CA_CERTS", "NODE_AUTH_TOKEN", "NPM_TOKEN", "PNPM_HOME", "YARN_CACHE_FOLDER", "YARN_GLOBAL_FOLDER", "COREPACK_HOME", "COREPACK_NPM_REGISTRY"},
	}
	for _, setting := range []string{
		"cache", "userconfig", "globalconfig", "prefix", "tmp", "logs_dir", "registry", "cafile", "ca", "proxy", "https_proxy", "noproxy", "strict_ssl", "maxsockets",
		"fetch_*", "loglevel", "progress", "color", "audit", "fund", "update_notifier", "prefer_offline", "prefer_online", "offline", "user_agent", "yes", "//*", "_auth*",
	} {
		v.Means = append(v.Means, "npm_config_"+setting, "NPM_CONFIG_"+strings.ToUpper(setting))
	}
	for _, file := range npmrcFiles(p) {
		// What cannot be read names nothing.
		raw, _ := regular.ReadFile(file)
		v.Means = append(v.Means, lang.ReferencedVariables(raw)...)
	}
	return v
}

// npmrcFiles are the project's and the user's settings of npm.
func npmrcFiles(p *lang.Project) []string {
	files := []string{filepath.Join(p.Dir, ".npmrc")}
	if file := userNpmrc(p.Environ); file != "" {
		files = append(files, file)
	}
	return files
}

// userNpmrc is the file of the user's settings.
func userNpmrc(environ []string) string {
	for _, name := range []string{"NPM_CONFIG_USERCONFIG", "npm_config_userconfig"} {
		if file := lang.Lookup(environ, name); file != "" {
			return file
		}
	}
	if home := lang.Lookup(environ, "HOME"); home != "" {
		return filepath.Join(home, ".npmrc")
	}
	return ""
}
