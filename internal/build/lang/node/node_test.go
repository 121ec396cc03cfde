package node

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/build/lang/langtest"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// open returns a project of files.
func open(t *testing.T, files map[string]string) (*lang.Project, *progresstest.Recorder) {
	t.Helper()
	dir := t.TempDir()
	langtest.Write(t, dir, files)
	p, said := langtest.Open(t, dir)
	p.Label = ""
	return p, said
}

func TestStart(t *testing.T) {
	cli := "/app/node_modules/faas-js-runtime/bin/cli.js"
	sh := func(script string) []string { return []string{"/bin/sh", "-c", script} }
	tests := []struct {
		script  string
		command []string
		env     []string
	}{
		{"FUNC_LOG_LEVEL=info faas-js-runtime ./index.js", []string{"node", cli, "./index.js"}, []string{"FUNC_LOG_LEVEL=info"}},
		{"node server.js", []string{"node", "server.js"}, nil},
		{"  A=1 B=2   next start -p  8080 ", []string{"next", "start", "-p", "8080"}, []string{"A=1", "B=2"}},
		{"npm run build && node .", sh("npm run build && node ."), nil},
		{"node -e 'x'", sh("node -e 'x'"), nil},
		{"node $MAIN", sh("node $MAIN"), nil},
		{"A=$B node x", sh("A=$B node x"), nil},
		{"A=1", sh("A=1"), nil},
	}
	for _, tt := range tests {
		got := fromScript(strings.TrimSpace(tt.script))
		if diff := cmp.Diff(tt.command, got.command); diff != "" {
			t.Errorf("%s: command (-want +got):\n%s", tt.script, diff)
		}
		if diff := cmp.Diff(tt.env, got.env); diff != "" {
			t.Errorf("%s: env (-want +got):\n%s", tt.script, diff)
		}
	}
}

func TestStartWithoutScript(t *testing.T) {
	file := func(text string) fstest.MapFS { return fstest.MapFS{"index.js": {Data: []byte(text)}} }
	faas := manifest{Dependencies: map[string]string{runtime: "4"}}
	tests := []struct {
		name    string
		m       manifest
		files   fstest.MapFS
		command []string
	}{
		{"handler", faas, file("x"), []string{"node", "/app/node_modules/faas-js-runtime/bin/cli.js", "./index.js"}},
		{"main", manifest{Main: "./lib/app.js"}, fstest.MapFS{"lib/app.js": {}}, []string{"node", "lib/app.js"}},
		{"index", manifest{}, file("listen()"), []string{"node", "index.js"}},
		{"server", manifest{}, fstest.MapFS{"server.js": {}}, []string{"node", "server.js"}},
		{"nothing", manifest{}, fstest.MapFS{}, nil},
		{"main missing", manifest{Main: "x.js"}, file(""), nil},
		{"handle, no runtime", manifest{}, file("module.exports = { handle };"), nil},
		{"handle as module", manifest{}, file("export const handle = async () => 1"), nil},
		{"handle, old way", manifest{}, file("exports.handle = f"), nil},
	}
	for _, tt := range tests {
		got, err := (&project{manifest: tt.m}).chooseStart(tt.files)
		if diff := cmp.Diff(tt.command, got.command); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if (tt.command == nil) != (fault.KindOf(err) == fault.Usage && fault.HintOf(err) != "") {
			t.Errorf("%s: err = %v", tt.name, err)
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	withDependency := `{"dependencies":{"x":"1"},"scripts":{"start":"x"}}`
	tests := []struct {
		name  string
		files map[string]string
		says  string
	}{
		{"no manifest", nil, "there is no package.json"},
		{"broken", map[string]string{"package.json": "{\n  \"main\": ,\n}"}, "package.json:2:11: invalid character ','"},
		{"wrong type", map[string]string{"package.json": "{\"main\": 1}"}, "package.json:1:"},
		{"empty", map[string]string{"package.json": ""}, "unexpected end of JSON input"},
		{"bun", map[string]string{"package.json": withDependency, "bun.lock": ""}, "bun.lock: the layers builder does not install with Bun"},
		{"broken lock", map[string]string{"package.json": withDependency, "package-lock.json": "["}, "package-lock.json"},
		{"linked", map[string]string{"package.json": withDependency, "package-lock.json": `{"packages":{"node_modules/x":{"resolved":"../x","link":true}}}`}, "the dependency x is a folder or file"},
		{"file", map[string]string{"package.json": withDependency, "package-lock.json": `{"packages":{"node_modules/x":{"resolved":"file:x.tgz"}}}`}, "the dependency x is a folder or file"},
	}
	for _, tt := range tests {
		p, _ := open(t, tt.files)
		_, err := inspect(t.Context(), p)
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestStagedManifestHasNoScripts(t *testing.T) {
	p, _ := open(t, map[string]string{"package.json": `{"name":"x","scripts":{"prepare":"husky","start":"node ."},"dependencies":{"y":"1"}}`, ".npmrc": "//reg/:_authToken=canary"})
	found, err := inspect(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	staged, err := found.staged()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(staged, &got); err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(got)); !slices.Equal(keys, []string{"dependencies", "name"}) {
		t.Errorf("keys = %v", keys)
	}
	if string(found.npmrc) != "//reg/:_authToken=canary" {
		t.Error("npm does not get the project's .npmrc")
	}
}

func TestDependenciesKey(t *testing.T) {
	lock := `{"lockfileVersion":3,"packages":{"node_modules/y":{"version":"1.0.0"}}}`
	files := map[string]string{"package.json": `{"scripts":{"start":"node ."},"dependencies":{"y":"1"}}`, "package-lock.json": lock, "index.js": "1"}
	target := lang.Target{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, BaseDigest: "sha256:1", BaseRef: "node:22"}
	key := func(change func(files map[string]string, target *lang.Target)) string {
		files, target := maps.Clone(files), target
		change(files, &target)
		p, _ := open(t, files)
		found, err := inspect(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		l, err := dependencies(context.Background(), p, found, target)
		if err != nil {
			t.Fatal(err)
		}
		return l.Key
	}
	same := key(func(map[string]string, *lang.Target) {})
	if same == "" {
		t.Fatal("there is a lockfile and no key")
	}
	changes := map[string]struct {
		change func(files map[string]string, target *lang.Target)
		same   bool
	}{
		"source": {func(f map[string]string, _ *lang.Target) { f["index.js"] = "2" }, true},
		"script": {func(f map[string]string, _ *lang.Target) {
			f["package.json"] = strings.Replace(f["package.json"], "node .", "node x", 1)
		}, true},
		"lock": {func(f map[string]string, _ *lang.Target) {
			f["package-lock.json"] = strings.Replace(lock, "1.0.0", "1.0.1", 1)
		}, false},
		"base":     {func(_ map[string]string, t *lang.Target) { t.BaseDigest = "sha256:2" }, false},
		"platform": {func(_ map[string]string, t *lang.Target) { t.Platform.Architecture = "arm64" }, false},
		"musl":     {func(_ map[string]string, t *lang.Target) { t.BaseRef = "node:22-alpine" }, false},
		"no lock":  {func(f map[string]string, _ *lang.Target) { delete(f, "package-lock.json") }, false},
	}
	for name, tt := range changes {
		if got := key(tt.change); (got == same) != tt.same {
			t.Errorf("%s: same key: %v, want %v", name, got == same, tt.same)
		}
	}
}

func TestForeignPlatformRunsNoScripts(t *testing.T) {
	p, said := open(t, nil)
	i := &install{project: p, found: &project{manager: manager{name: "npm"}, lockName: "package-lock.json", scripted: []string{"sharp"}}, platform: v1.Platform{OS: "linux", Architecture: "arm64"}, libc: "glibc"}
	args := strings.Join(i.arguments(), " ")
	for _, want := range []string{"ci ", "--omit=dev", "--ignore-scripts", "--os=linux", "--cpu=arm64", "--libc=glibc"} {
		if !strings.Contains(args, want) {
			t.Errorf("%q lacks %s", args, want)
		}
	}
	if len(said.Texts(progresstest.Warn)) != 1 || !strings.Contains(said.Texts(progresstest.Warn)[0], "sharp") {
		t.Errorf("warnings = %v", said.Texts(progresstest.Warn))
	}
}

func TestNoNpm(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	p, _ := open(t, map[string]string{"package.json": "{}"})
	i := &install{project: p, found: &project{manager: manager{name: "npm"}}}
	_, _, err := i.run(context.Background())
	if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Conflict || e.Subject != "npm" || e.Hint == "" {
		t.Errorf("err = %v", err)
	}
}
