package script

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// toolEnv is what toolchains need from the developer's surroundings to be fast
// and to find their registries: caches, proxies, certificates. Everything else,
// KUBECONFIG and DOCKER_CONFIG above all, stays outside of the scripts.
func toolEnv() ([]string, error) {
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOSUMDB", "GOFLAGS").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	values := map[string]string{}
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	// The scripts have a home of their own, so npm's files are named.
	if home, err := os.UserHomeDir(); err == nil {
		values["npm_config_cache"] = filepath.Join(home, ".npm")
		if rc := filepath.Join(home, ".npmrc"); exists(rc) {
			values["npm_config_userconfig"] = rc
		}
	}
	names := []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "GOCOVERDIR"}
	prefixes := []string{"npm_config_", "pip_", "http_proxy", "https_proxy", "no_proxy"}
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

// isolate gives one script a home, settings and caches of its own.
func isolate(e *testscript.Env, tools []string) error {
	home := filepath.Join(e.WorkDir, ".home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	e.Vars = append(e.Vars, tools...)
	e.Vars = append(e.Vars,
		"HOME="+home,
		"USERPROFILE="+home,
		"XDG_CONFIG_HOME="+filepath.Join(home, ".config"),
		"XDG_CACHE_HOME="+filepath.Join(home, ".cache"),
		"XDG_STATE_HOME="+filepath.Join(home, ".local", "state"),
		"XDG_RUNTIME_DIR="+filepath.Join(home, ".run"),
		"LC_ALL=C.UTF-8",
		"TERM=dumb",
	)
	return nil
}

// condition knows [go], [npm] and [root] beside testscript's own.
func condition(name string) (bool, error) {
	switch name {
	case "go", "npm":
		_, err := exec.LookPath(name)
		return err == nil, nil
	case "root":
		return os.Getuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition [%s]", name)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func replaceOnce(text, from, to string) (string, error) {
	if n := strings.Count(text, from); n != 1 {
		return "", fmt.Errorf("%q stands there %d times, want once", from, n)
	}
	return strings.Replace(text, from, to, 1), nil
}
