package node

import (
	"os/exec"
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
	for _, setting := range meansOfNpm() {
		v.Means = append(v.Means, "npm_config_"+setting, "NPM_CONFIG_"+strings.ToUpper(setting))
	}
	for _, file := range []struct{ label, path string }{
		{".npmrc of the project", filepath.Join(p.Dir, ".npmrc")}, {".npmrc of the user", userNpmrc(p.Environ)}, {"npmrc of the machine", globalNpmrc(p.Environ)},
	} {
		// What cannot be read names nothing.
		raw, _ := regular.ReadFile(file.path)
		v.Means = append(v.Means, lang.ReferencedVariables(raw)...)
		v.Settings = append(v.Settings, lang.ReadSettings(file.label, file.path, meansOfNpm())...)
	}
	return v
}

// meansOfNpm are npm's settings that do not change what it makes. The lock file
// has the digests of what comes from a registry.
func meansOfNpm() []string {
	return []string{
		"cache", "userconfig", "globalconfig", "prefix", "tmp", "logs_dir", "registry", "cafile", "ca", "proxy", "https_proxy", "noproxy", "strict_ssl", "maxsockets",
		"fetch_*", "loglevel", "progress", "color", "audit", "fund", "update_notifier", "prefer_offline", "prefer_online", "offline", "user_agent", "yes", "//*", "_auth*",
		"init_*", "email", "always_auth", "save_exact", "save_prefix", "sign_git_*", "message", "access", "omit_lockfile_registry_resolved",
	}
}

// globalNpmrc is the file of the machine's settings, which stands beside the
// folder of npm's programs.
func globalNpmrc(environ []string) string {
	for _, name := range []string{"NPM_CONFIG_GLOBALCONFIG", "npm_config_globalconfig"} {
		if file := lang.Lookup(environ, name); file != "" {
			return file
		}
	}
	tool, err := exec.LookPath("node")
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(tool); err == nil {
		tool = real
	}
	return filepath.Join(filepath.Dir(filepath.Dir(tool)), "etc", "npmrc")
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
