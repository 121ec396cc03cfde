// Package toolenv is the part of a developer's environment that toolchains
// need to be fast and to find their registries, for tests that give their
// child processes a home of their own.
package toolenv

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Vars returns caches, proxies and certificates as sorted KEY=value entries.
// Everything else, KUBECONFIG and DOCKER_CONFIG above all, is left out. It
// fails when there is no go command to ask.
func Vars() ([]string, error) {
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GOFLAGS").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	// npm finds its files through HOME, which the tests replace. Maven does not: to
	// Java the home is that of the user database.
	if home, err := os.UserHomeDir(); err == nil {
		values["npm_config_cache"] = filepath.Join(home, ".npm")
		if rc := filepath.Join(home, ".npmrc"); exists(rc) {
			values["npm_config_userconfig"] = rc
		}
		// So do cargo and rustup, whose cargo is a launcher for what stands there.
		values["CARGO_HOME"] = filepath.Join(home, ".cargo")
		if toolchains := filepath.Join(home, ".rustup"); exists(toolchains) {
			values["RUSTUP_HOME"] = toolchains
		}
	}
	names := []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "GOCOVERDIR", "CARGO_HOME", "JAVA_HOME", "MAVEN_OPTS", "MAVEN_ARGS"}
	prefixes := []string{"npm_config_", "pip_", "cargo_http_", "cargo_net_", "rustup_", "http_proxy", "https_proxy", "no_proxy"}
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		lower := strings.ToLower(name)
		if slices.Contains(names, name) || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(lower, p) }) {
			values[name] = value
		}
	}
	var env []string
	for name, value := range values {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env, nil
}

// Home returns the variables that give a program a home, settings and caches
// of its own below dir.
func Home(dir string) []string {
	return []string{
		"HOME=" + dir,
		"USERPROFILE=" + dir,
		"XDG_CONFIG_HOME=" + filepath.Join(dir, ".config"),
		"XDG_CACHE_HOME=" + filepath.Join(dir, ".cache"),
		"XDG_STATE_HOME=" + filepath.Join(dir, ".local", "state"),
		"XDG_RUNTIME_DIR=" + filepath.Join(dir, ".run"),
		"LC_ALL=C.UTF-8",
		"TERM=dumb",
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
