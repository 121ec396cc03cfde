package registry_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// credentials is an environment whose DOCKER_CONFIG knows one user of host.
func credentials(t testing.TB, user, password string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	writeConfig(t, filepath.Join(dir, "config.json"), map[string]string{host: user + ":" + password})
	return func(name string) string {
		if name == "DOCKER_CONFIG" {
			return dir
		}
		return ""
	}
}

// writeConfig writes a docker config.json with user:password by host.
func writeConfig(t testing.TB, path string, logins map[string]string) {
	t.Helper()
	auths := map[string]any{}
	for host, login := range logins {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	raw, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}
