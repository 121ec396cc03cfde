package credentials

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// FuzzDockerConfig: whatever a config.json holds, a host has one credential, the same
// each time, or an error that names the file.
func FuzzDockerConfig(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"auths":null}`, `{"auths":{"registry.example":{"auth":"YWRhOmxvdmVsYWNl"}}}`, `{"auths":{"registry.example":{"auth":"YWRh"}}}`,
		`{"auths":{"registry.example":{"username":"ada","password":"lovelace"},"registry.example/team":{"auth":"dGVhbTp4"}}}`,
		`{"auths":{"https://registry.example/v1/":{"username":"a"},"https://registry.example/v2/":{"username":"b"},"http://registry.example":{"username":"c"}}}`,
		`{"auths":{"registry.example":{"auth":"YWRhOmxvdmVsYWNlAAA="}}}`, `{"auths":{"registry.example":{"identitytoken":"t","registrytoken":"r"}}}`, `{"auths":{"":{}}}`, "\x00", `{"auths":{"registry.example":[]}}`,
	} {
		f.Add([]byte(seed), "registry.example", "team/app")
	}
	f.Fuzz(func(t *testing.T, raw []byte, host, repository string) {
		file := filepath.Join(t.TempDir(), "config.json")
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		at := place{path: file, label: "the file", named: true}
		config, err := readDockerConfig(at)
		if err != nil {
			if fault.KindOf(err) != fault.Auth {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		config.CredsStore, config.CredHelpers = "", nil // programs: not in this test
		first, firstErr := config.credential(t.Context(), at, host, repository)
		for range 8 {
			again, err := config.credential(t.Context(), at, host, repository)
			if again != first || (err == nil) != (firstErr == nil) {
				t.Fatalf("%q: %s has %+v, and then %+v", raw, host, first, again)
			}
		}
	})
}
