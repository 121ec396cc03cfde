package python

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/kn-lite/kn-lite/internal/build/lang"
)

// meansOfPip are pip's settings that do not change what it installs.
func meansOfPip() []string {
	return []string{
		"cache_dir", "no_cache_dir", "cert", "client_cert", "proxy", "trusted_host", "timeout", "default_timeout", "retries", "disable_pip_version_check", "no_input",
		"no_color", "quiet", "verbose", "progress_bar", "root_user_action", "break_system_packages", "keyring_provider", "log", "user", "require_virtualenv",
	}
}

// pipFiles are pip's own files of settings
// (https://pip.pypa.io/en/stable/topics/configuration).
func pipFiles(environ []string) []lang.File {
	var out []lang.File
	dirs := lang.Lookup(environ, "XDG_CONFIG_DIRS")
	if dirs == "" {
		dirs = "/etc/xdg"
	}
	for dir := range strings.SplitSeq(dirs, string(filepath.ListSeparator)) {
		out = append(out, lang.File{Name: "pip.conf of the machine", Path: filepath.Join(dir, "pip", "pip.conf")})
	}
	out = append(out, lang.File{Name: "pip.conf of the machine", Path: "/etc/pip.conf"})
	home := lang.Lookup(environ, "HOME")
	config := lang.Lookup(environ, "XDG_CONFIG_HOME")
	if home != "" {
		out = append(out, lang.File{Name: "pip.conf of the user", Path: filepath.Join(home, ".pip", "pip.conf")})
		if config == "" {
			config = filepath.Join(home, ".config")
		}
	}
	if config != "" {
		out = append(out, lang.File{Name: "pip.conf of the user", Path: filepath.Join(config, "pip", "pip.conf")})
	}
	if venv := lang.Lookup(environ, "VIRTUAL_ENV"); venv != "" {
		out = append(out, lang.File{Name: "pip.conf of the environment", Path: filepath.Join(venv, "pip.conf")})
	}
	if named := lang.Lookup(environ, "PIP_CONFIG_FILE"); named == os.DevNull {
		return nil
	} else if named != "" {
		out = append(out, lang.File{Name: "pip.conf that PIP_CONFIG_FILE names", Path: named})
	}
	return out
}
