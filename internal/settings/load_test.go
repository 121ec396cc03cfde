package settings

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
  Docker.io: [mirror.example:5000/hub]
registryCerts:
  b.example:5000: b.crt,b.key
  a.example: a.pem
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name           string
		vars           map[string]string
		want           Settings
		registry, node string // where func.yaml says nothing
		over           string // the registry where func.yaml says project.example
	}{
		{
			"the file",
			map[string]string{"KN_LITE_CONFIG": file},
			Settings{
				File: file, Namespace: "from-file", InsecureRegistries: []string{"plain.example:5000"},
				RegistryCerts: []string{"a.example=a.pem", "b.example:5000=b.crt,b.key"},
				Mirrors:       map[string][]string{"docker.io": {"mirror.example:5000/hub"}},
			},
			"file.example/team", "registry.example/bases/node:22", "project.example",
		},
		{
			"our variable over func's over the file",
			map[string]string{
				"KN_LITE_CONFIG": file, "KN_LITE_REGISTRY": "env.example", "FUNC_REGISTRY": "func.example",
				"FUNC_NAMESPACE": "func-ns", "KN_LITE_INSECURE_REGISTRIES": "a:1, b:2", "KN_LITE_REGISTRY_CERT": "c=c.pem; d=d.crt,d.key", "KN_LITE_BASE_IMAGE_NODE": "env.example/node",
			},
			Settings{
				File: file, Namespace: "func-ns", InsecureRegistries: []string{"a:1", "b:2"},
				RegistryCerts: []string{"c=c.pem", "d=d.crt,d.key"},
				Mirrors:       map[string][]string{"docker.io": {"mirror.example:5000/hub"}},
			},
			"env.example", "env.example/node", "env.example",
		},
		{
			"no file at all",
			map[string]string{"XDG_CONFIG_HOME": dir + "/none"},
			Settings{File: filepath.Join(dir, "none", "kn-lite", "config.yaml")},
			"", "", "project.example",
		},
		{"no home: no file of the working folder", nil, Settings{}, "", "", "project.example"},
		{"a relative home", map[string]string{"HOME": "here", "XDG_CONFIG_HOME": "there"}, Settings{}, "", "", "project.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Load(env(tt.vars))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(Settings{})); diff != "" {
				t.Error(diff)
			}
			for what, values := range map[string][2]string{
				"registry": {got.Registry(""), tt.registry}, "registry over func.yaml's": {got.Registry("project.example"), tt.over},
				"base of node": {got.BaseImage("node", ""), tt.node}, "base of typescript": {got.BaseImage("typescript", ""), tt.node}, "base of go": {got.BaseImage("go", ""), ""},
			} {
				if values[0] != values[1] {
					t.Errorf("%s: %q, want %q", what, values[0], values[1])
				}
			}
		})
	}
}

// One order for both settings that func.yaml can have: the variable, func.yaml,
// the user's file.
func TestPrecedenceOverTheProject(t *testing.T) {
	file := writeSettings(t, "baseImages: {node: file, typescript: tsfile}\nregistry: file\n")
	for _, tt := range []struct{ variable, project, want string }{
		{"variable", "project", "variable"},
		{"variable", "", "variable"},
		{"", "project", "project"},
		{"", "", "file"},
	} {
		got, err := Load(env(map[string]string{"KN_LITE_CONFIG": file, "KN_LITE_REGISTRY": tt.variable, "KN_LITE_BASE_IMAGE_NODE": tt.variable}))
		if err != nil {
			t.Fatal(err)
		}
		if r, b := got.Registry(tt.project), got.BaseImage("node", tt.project); r != tt.want || b != tt.want {
			t.Errorf("%+v: registry %q, base %q", tt, r, b)
		}
		want := tt.want
		if want == "file" {
			want = "tsfile"
		}
		if b := got.BaseImage("typescript", tt.project); b != want {
			t.Errorf("%+v: base of typescript %q", tt, b)
		}
	}
}

func writeSettings(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// What is in the file and would have no effect is an error with its place.
func TestFileWithoutEffect(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for name, tt := range map[string]struct{ text, at, want, hint string }{
		"a slip":              {"registry: r\nrequireSigne: true\n", ":2:1", `"requireSigne" is not known`, `"requireSigned"`},
		"another case":        {"REQUIRESIGNED: true\n", ":1:1", "is not known", `"requireSigned"`},
		"far from all":        {"colour: blue\n", ":1:1", "is not known", "there are: registry, "},
		"a slip below":        {"baseImages:\n  nodejs: x\n", ":2:3", `"nodejs" is not known`, `"node"`},
		"twice":               {"registry: a\nregistry: b\n", ":2:1", "twice", "keep one"},
		"twice in two cases":  {"mirrors:\n  a.example: [x]\n  A.example: [y]\n", ":3:3", "twice", "upper and lower case"},
		"twice below":         {"mirrors:\n  a: [x]\n  a: [y]\n", ":3:3", "twice", ""},
		"a second document":   {"registry: a\n---\nrequireSigned: true\n", ":3:1", "second YAML document", ""},
		"a list for a value":  {"requireSigned: [true]\n", ":1:16", "one value", ""},
		"a value for a map":   {"mirrors: docker.io\n", ":1:10", "mapping", ""},
		"a map for a list":    {"insecureRegistries: {a: b}\n", ":1:21", "a list", ""},
		"not a mapping":       {"- registry\n", ":1:1", "mapping", ""},
		"neither yes nor no":  {"requireSigned: jawohl\n", "", "neither true nor false", ""},
		"a merge key":         {"x: &x {registry: a}\n<<: *x\n", ":1:1", "is not known", ""},
		"a bomb":              {bomb + "mirrors: {h: *a}\n", ":1:1", "is not known", ""},
		"an alias of a list":  {"insecureRegistries: &l [a, b]\nmirrors:\n  h: *l\n", ":3:6", "list", ""},
		"a list inside a map": {"registryCerts: {h: [a]}\n", ":1:20", "one value", ""},
		"broken":              {"registry: [\n", "", "", "YAML"},
	} {
		_, err := Load(env(map[string]string{"KN_LITE_CONFIG": writeSettings(t, tt.text)}))
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.at+": ") && tt.at != "" || !strings.Contains(err.Error(), tt.want) || !strings.Contains(fault.HintOf(err), tt.hint) {
			t.Errorf("%s: %v (%v), hint %q", name, err, fault.KindOf(err), fault.HintOf(err))
		}
	}
	for name, text := range map[string]string{
		"empty": "", "a comment": "# nothing\n", "null": "null\n", "an end": "registry: a\n...\n", "nothing set": "registry:\nmirrors:\nbaseImages: ~\n",
		"an alias of a value": "registry: &r a\nnamespace: *r\n", "a number": "namespace: 5\n",
	} {
		if _, err := Load(env(map[string]string{"KN_LITE_CONFIG": writeSettings(t, text)})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNamedFileMustBeThere(t *testing.T) {
	_, err := Load(env(map[string]string{"KN_LITE_CONFIG": filepath.Join(t.TempDir(), "none.yaml")}))
	if fault.KindOf(err) != fault.Usage || fault.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if _, err := Load(env(map[string]string{"KN_LITE_CONFIG": t.TempDir()})); fault.KindOf(err) != fault.Usage {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Load(env(map[string]string{"KN_LITE_CONFIG": os.DevNull})); err != nil {
		t.Errorf("no settings on purpose: %v", err)
	}
}

func TestMisspelledVariables(t *testing.T) {
	for _, tt := range []struct{ variable, near string }{
		{"KN_LITE_REQUIRE_SIGNE=true", "KN_LITE_REQUIRE_SIGNED"},
		{"KN_LITE_REQUIRESIGNED=true", "KN_LITE_REQUIRE_SIGNED"},
		{"kn_lite_require_signed=true", "KN_LITE_REQUIRE_SIGNED"},
		{"KNLITE_REGISTRY=x", "KN_LITE_REGISTRY"},
		{"KN_LITE_VERIFYKEY=x", "KN_LITE_VERIFY_KEY"},
		{"KN_LITE_BASE_IMAGE_NODEJS=x", "KN_LITE_BASE_IMAGE_NODE"},
		{"KN_LITE_INSECURE_REGISTRY=x", "KN_LITE_INSECURE_REGISTRIES"},
	} {
		_, err := Load(Sources{Env: func(string) string { return "" }, Vars: []string{"PATH=/bin", tt.variable}})
		if fault.KindOf(err) != fault.Usage || !strings.Contains(fault.HintOf(err), tt.near) {
			t.Errorf("%s: %v, hint %q", tt.variable, err, fault.HintOf(err))
		}
	}
	var all []string
	for _, name := range Variables() {
		all = append(all, name+"=x")
	}
	cfg, err := Load(Sources{Env: func(string) string { return "" }, Vars: append(all, "KN_LITE_COLOUR_OF_THE_SKY=blue", "KN_LITE_SIGNE=")})
	if err != nil || len(cfg.Warnings) != 1 || !strings.Contains(cfg.Warnings[0], "KN_LITE_COLOUR_OF_THE_SKY") {
		t.Errorf("%v, %+v", err, cfg)
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
