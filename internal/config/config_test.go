package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

func env(vars map[string]string) Sources {
	return Sources{Env: func(k string) string { return vars[k] }}
}

func TestLoadPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.yaml")
	text := `registry: file.example/team/
namespace: from-file
insecureRegistries: [plain.example:5000]
baseImages:
  node: registry.example/bases/node:22
mirrors:
  docker.io: [mirror.example:5000/hub]
registryCerts:
  b.example:5000: b.crt,b.key
  a.example: a.pem
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		vars map[string]string
		want Config
	}{
		{
			"the file",
			map[string]string{"KN_LITE_CONFIG": file},
			Config{
				File: file, Registry: "file.example/team", Namespace: "from-file",
				InsecureRegistries: []string{"plain.example:5000"},
				RegistryCerts:      []string{"a.example=a.pem", "b.example:5000=b.crt,b.key"},
				BaseImages:         map[string]string{"node": "registry.example/bases/node:22", "typescript": "registry.example/bases/node:22"},
				Mirrors:            map[string][]string{"docker.io": {"mirror.example:5000/hub"}},
			},
		},
		{
			"our variable over func's over the file",
			map[string]string{
				"KN_LITE_CONFIG": file, "KN_LITE_REGISTRY": "env.example", "FUNC_REGISTRY": "func.example",
				"FUNC_NAMESPACE": "func-ns", "KN_LITE_INSECURE_REGISTRIES": "a:1, b:2", "KN_LITE_REGISTRY_CERT": "c=c.pem; d=d.crt,d.key", "KN_LITE_BASE_IMAGE_NODE": "env.example/node",
			},
			Config{
				File: file, Registry: "env.example", Namespace: "func-ns",
				InsecureRegistries: []string{"a:1", "b:2"},
				RegistryCerts:      []string{"c=c.pem", "d=d.crt,d.key"},
				BaseImages:         map[string]string{"node": "env.example/node", "typescript": "env.example/node"},
				Mirrors:            map[string][]string{"docker.io": {"mirror.example:5000/hub"}},
			},
		},
		{
			"no file at all",
			map[string]string{"XDG_CONFIG_HOME": dir + "/none"},
			Config{File: filepath.Join(dir, "none", "kn-lite", "config.yaml"), BaseImages: map[string]string{}, Mirrors: map[string][]string{}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Load(env(tt.vars))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.InsecureRegistries) == 0 {
				got.InsecureRegistries = nil
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBrokenFileNamesTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("registry: [unclosed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(env(map[string]string{"KN_LITE_CONFIG": file}))
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind != fault.Usage || e.Subject != file {
		t.Fatalf("got %#v, want a usage error about %s", err, file)
	}
}
