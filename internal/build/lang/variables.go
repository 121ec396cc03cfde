package lang

import (
	"regexp"
	"slices"
	"strings"
)

// Variables are the variables of the machine that a build may see. Whatever is in
// neither list is withheld from it, since what a build sees and its key does not
// hold can leave a stale image behind. A name that ends in "*" is a prefix.
type Variables struct {
	// Inputs change what is made: their values are in the key.
	Inputs []string
	// Means say where things are and how to reach them, such as caches, proxies
	// and credentials, and not what is made. They win over Inputs.
	Means []string
	// Settings are what files of settings outside of the project say that changes
	// what is made. Only digests of their values are told.
	Settings []Fact
	// RunsCode is true when the build runs code of the project, which may ask for
	// any variable.
	RunsCode bool
}

// VariableReader is a Language whose tools read more than the variables that
// every program reads.
type VariableReader interface {
	Language
	// Variables only reads.
	Variables(p *Project) Variables
}

// commonMeans are the variables that every build sees and no key holds. TZ and
// the locale are not among them: they are the same for every build.
func commonMeans() []string {
	return []string{
		"PATH", "HOME", "TMPDIR", "TMP", "TEMP", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_*",
		"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_DATA_DIRS", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
		// Windows has these where others have HOME and PATH.
		"USERPROFILE", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "ALLUSERSPROFILE", "PROGRAMDATA", "PROGRAMFILES*", "COMMONPROGRAMFILES*",
		"SYSTEMDRIVE", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT",
		"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NIX_SSL_CERT_FILE", "SYSTEM_CERTIFICATE_PATH",
		"SSH_AUTH_SOCK", "SSH_ASKPASS", "GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_*", "GIT_PROXY_COMMAND", "GIT_TERMINAL_PROMPT",
		"GIT_EXEC_PATH", "GIT_CONFIG_*", "NETRC",
		// Launchers that choose a version of a tool; what version it is the key says.
		"ASDF_*", "MISE_*", "VOLTA_HOME", "NVM_DIR", "NVM_BIN", "FNM_*", "N_PREFIX", "PYENV_*", "NODENV_*", "JENV_*", "GOENV_*", "SDKMAN_*",
	}
}

// constants are the same in every build, whatever the machine has: tools read
// sources and write dates and numbers by them.
func constants() []string { return []string{"TZ=UTC", "LC_ALL=C.UTF-8"} }

// Select splits a machine's variables into those that a build sees and the names
// of the others.
func (v Variables) Select(environ []string) (seen, withheld []string) {
	seen = constants()
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case v.isMeans(name), matches(v.Inputs, name), name == "SOURCE_DATE_EPOCH":
			seen = With(seen, kv)
		case name != "":
			withheld = append(withheld, name)
		}
	}
	return seen, withheld
}

// Facts are the inputs that are set in environ, with their values, and the
// settings.
func (v Variables) Facts(environ []string) []Fact {
	var out []Fact
	for _, kv := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(kv, "=")
		if value != "" && !v.isMeans(name) && matches(v.Inputs, name) {
			out = append(out, Fact{Name: name, Value: withoutUsers(value)})
		}
	}
	return append(out, v.Settings...)
}

// Significant are the variables of environ that are no means: the inputs, and
// those that func.yaml names.
func (v Variables) Significant(environ []string) []string {
	var out []string
	for _, kv := range slices.Sorted(slices.Values(environ)) {
		if name, _, _ := strings.Cut(kv, "="); !v.isMeans(name) {
			out = append(out, kv)
		}
	}
	return out
}

// withoutUsers returns a value without users and passwords in its addresses.
func withoutUsers(value string) string {
	return regexp.MustCompile(`://[^/?#\s]*@`).ReplaceAllString(value, "://")
}

func (v Variables) isMeans(name string) bool {
	return matches(v.Means, name) || matches(commonMeans(), name)
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, is := strings.CutSuffix(p, "*"); is {
			return strings.HasPrefix(name, prefix)
		}
		return p == name
	})
}

// ReferencedVariables are the names in text of the forms ${NAME} and
// ${env.NAME}, by which files of settings take passwords from variables.
func ReferencedVariables(text []byte) []string {
	var out []string
	for _, found := range regexp.MustCompile(`\$\{(?:env\.)?([A-Za-z_][A-Za-z0-9_]*)\??\}`).FindAllSubmatch(text, -1) {
		out = append(out, string(found[1]))
	}
	return out
}
