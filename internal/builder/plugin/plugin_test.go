//go:build unix

package plugin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/builder/plugin"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/function"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// fixture is a plugin called demo that is a shell script, a project, and an image
// that is ready to be copied.
type fixture struct {
	t      *testing.T
	layout string
	digest string
	limits plugin.Limits
	report progresstest.Recorder
	r      builder.Request
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, layout: t.TempDir(), limits: plugin.Limits{Grace: 200 * time.Millisecond, Linger: 300 * time.Millisecond}}
	image := testImage(t, "amd64")
	path, err := layout.Write(f.layout, empty.Index)
	if err == nil {
		err = path.AppendImage(image)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	f.digest = digest.String()
	f.r = builder.Request{
		Dir: t.TempDir(), CacheDir: t.TempDir(), Progress: &f.report, Tag: "registry.example/me/app:v1",
		Project: &function.Function{Name: "app", Runtime: "go"},
		Environ: []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LAYOUT=" + f.layout, "DIGEST=" + f.digest,
			"KN_LITE_SIGN_PASSWORD=of-the-key", "KN_LITE_BUILDER_OUTPUT=/elsewhere",
		},
		BuildEnv: []string{"GREETING=hello=you"}, Epoch: time.Unix(1000, 0),
	}
	f.write("main.go", "package main\n")
	return f
}

func testImage(t *testing.T, arch string) v1.Image {
	t.Helper()
	image, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", arch
	config.Config.Entrypoint = []string{"/app"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

func (f *fixture) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.r.Dir, name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// build runs script as the plugin.
func (f *fixture) build(ctx context.Context, script string) (*builder.Result, error) {
	f.t.Helper()
	bin := f.t.TempDir()
	file := filepath.Join(bin, "kn-lite-builder-demo")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		f.t.Fatal(err)
	}
	found, err := plugin.Find(bin, "demo")
	if err != nil || found == nil {
		f.t.Fatalf("found %v, %v", found, err)
	}
	b := plugin.New(&builder.Host{Now: time.Now, Version: "v9"}, *found, f.limits)
	if err := b.Check(f.r); err != nil {
		return nil, err
	}
	return b.Build(ctx, f.r)
}

// leftBehind returns what is left of runs in the cache.
func (f *fixture) leftBehind() []string {
	left, err := filepath.Glob(filepath.Join(f.r.CacheDir, "plugins", "demo", "run-*"))
	if err != nil {
		f.t.Fatal(err)
	}
	return left
}

const good = `cp -R "$LAYOUT"/. "$KN_LITE_BUILDER_OUTPUT"; printf '{"protocol":1,"digest":"%s"}' "$DIGEST"`

func TestPluginBuilds(t *testing.T) {
	f := newFixture(t)
	seen := t.TempDir()
	f.r.Environ = append(f.r.Environ, "SEEN="+seen)
	result, err := f.build(t.Context(), `
cat > "$SEEN/request"; env > "$SEEN/env"; pwd > "$SEEN/pwd"
echo '{"type":"start","task":1,"label":"compile","total":20}' >&2
echo '{"type":"progress","task":1,"bytes":20}' >&2
echo '{"type":"done","task":1,"text":"compiled"}' >&2
echo '{"type":"warning","text":"careful"}' >&2
echo '{"unknown":"object"}' >&2
echo plain output >&2
`+good)
	if err != nil {
		t.Fatal(err)
	}
	if result.Digest.String() != f.digest || result.Pushed || !result.Loaded() || len(result.Builds) != 1 || len(result.Builds[0].Layers) != 2 {
		t.Errorf("the result is %+v", result)
	}
	if layers, err := result.Image.Layers(); err != nil || len(layers) != 2 {
		t.Errorf("%d layers, %v", len(layers), err)
	}
	lines := f.report.Lines()
	for _, want := range []string{"start compile", "done compiled", "warn careful", `output {"unknown":"object"}`, "output plain output"} {
		if !slices.Contains(lines, want) {
			t.Errorf("nobody reported %q, but %q", want, lines)
		}
	}
	raw, err := os.ReadFile(filepath.Join(seen, "request"))
	if err != nil {
		t.Fatal(err)
	}
	var request map[string]any
	if err := json.Unmarshal(raw, &request); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"protocol": "1", "protocols": "[1]", "command": "build", "version": "v9", "source": f.r.Dir, "image": f.r.Tag,
		"platforms": "[linux/amd64]", "function": "map[name:app runtime:go]", "buildEnv": "map[GREETING:hello=you]", "sourceDateEpoch": "1000",
	} {
		if got := fmt.Sprint(request[key]); got != want {
			t.Errorf("request: %s is %s, want %s", key, got, want)
		}
	}
	env, err := os.ReadFile(filepath.Join(seen, "env"))
	if err != nil || strings.Contains(string(env), "of-the-key") || strings.Contains(string(env), "/elsewhere") {
		t.Errorf("%v; the environment is\n%s", err, env)
	}
	if err := result.Close(); err != nil {
		t.Error(err)
	}
	if left := f.leftBehind(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestBrokenPlugins: each is refused by its name with what is wrong, leaves no folder
// and no process.
func TestBrokenPlugins(t *testing.T) {
	// The manifest is the only blob with mediaType and layers in it.
	const manifest = `m="$KN_LITE_BUILDER_OUTPUT/blobs/sha256/${DIGEST#sha256:}"; `
	for name, test := range map[string]struct {
		script string
		change func(f *fixture)
		kind   fault.Kind
		want   string
	}{
		"hangs": {"sleep 600", func(f *fixture) { f.limits.Timeout = 100 * time.Millisecond }, fault.Timeout, "did not end within 100ms"},
		"hangs and will not be stopped": {
			`trap '' TERM; while :; do sleep 1; done`, func(f *fixture) { f.limits.Timeout = 100 * time.Millisecond }, fault.Timeout, "did not end within",
		},
		"fails":              {"echo no such thing >&2; exit 1", nil, fault.Build, "exit code 1; its last lines:\nno such thing"},
		"fails in words":     {`echo '{"type":"error","error":{"message":"no package.json","reason":"not-found","hint":"npm init"}}' >&2; exit 1`, nil, fault.NotFound, "no package.json"},
		"cannot do it":       {`echo '{"type":"error","error":{"message":"no arm64 here"}}' >&2; exit 2`, nil, fault.Usage, "no arm64 here"},
		"other protocol":     {"exit 3", nil, fault.Conflict, "does not speak version 1"},
		"is killed":          {"kill -9 $$", nil, fault.Build, "ended by a signal"},
		"says nothing":       {`cp -R "$LAYOUT"/. "$KN_LITE_BUILDER_OUTPUT"`, nil, fault.Build, "wrote nothing to its standard output"},
		"prints junk":        {"echo built it; " + good, nil, fault.Build, "not the expected JSON object"},
		"prints junk behind": {good + "; echo done", nil, fault.Build, "more on its standard output"},
		"floods stdout":      {"yes | head -c 5000000; " + good, nil, fault.Build, "more than 65536 bytes"},
		"answers in another protocol": {
			`cp -R "$LAYOUT"/. "$KN_LITE_BUILDER_OUTPUT"; echo '{"protocol":2}'`, nil, fault.Build, "version 2 of the protocol",
		},
		"lies about its digest": {good, func(f *fixture) {
			f.r.Environ = append(f.r.Environ, "DIGEST=sha256:"+strings.Repeat("0", 64))
		}, fault.Build, "says that it has built sha256:0000"},
		"leaves nothing":       {`echo '{"protocol":1,"digest":"'$DIGEST'"}'`, nil, fault.Build, "not an OCI layout"},
		"changes the manifest": {manifest + good + `; chmod u+w "$m"; echo >> "$m"`, nil, fault.Build, "has the content of"},
		"leaves out a blob":    {manifest + good + `; for b in "$KN_LITE_BUILDER_OUTPUT"/blobs/sha256/*; do [ "$b" = "$m" ] || rm "$b"; done`, nil, fault.Build, "no such file"},
		"changes every blob":   {manifest + good + `; for b in "$KN_LITE_BUILDER_OUTPUT"/blobs/sha256/*; do [ "$b" = "$m" ] || { chmod u+w "$b"; echo >> "$b"; }; done`, nil, fault.Build, "blob sha256:"},
		"leaves a link":        {good + `; ln -s /etc/passwd "$KN_LITE_BUILDER_OUTPUT/blobs/more"`, nil, fault.Build, "neither a folder nor a regular file"},
		"leaves a link for blobs": {
			good + `; cp -R "$KN_LITE_BUILDER_OUTPUT/blobs" away; rm -r "$KN_LITE_BUILDER_OUTPUT/blobs"; ln -s "$PWD/away" "$KN_LITE_BUILDER_OUTPUT/blobs"`, nil, fault.Build, "neither a folder nor a regular file",
		},
		"leaves a pipe":    {good + `; rm "$KN_LITE_BUILDER_OUTPUT/index.json"; mkfifo "$KN_LITE_BUILDER_OUTPUT/index.json"`, nil, fault.Build, "neither a folder nor a regular file"},
		"two images":       {good + `; tr -d '\n' < "$LAYOUT/index.json" | sed 's/"manifests": *\[\(.*\)\]/"manifests":[\1,\1]/' > "$KN_LITE_BUILDER_OUTPUT/index.json"`, nil, fault.Build, "names 2 images"},
		"another platform": {good, func(f *fixture) { f.r.Platforms = []v1.Platform{{OS: "linux", Architecture: "arm64"}} }, fault.Build, "asked for an image for linux/arm64, and built one for linux/amd64"},
		"not all platforms": {good, func(f *fixture) {
			f.r.Platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
		}, fault.Build, "asked for an image for linux/arm64"},
		"writes beside":         {`echo x > "$KN_LITE_BUILDER_OUTPUT/../more"; ` + good, nil, fault.Build, "outside of its output folder: more"},
		"changes the project":   {`echo "// more" >> "$KN_LITE_BUILDER_SOURCE/main.go"; ` + good, nil, fault.Build, "main.go of the project was changed"},
		"writes to the project": {`mkdir "$KN_LITE_BUILDER_SOURCE/target"; ` + good, nil, fault.Build, "target of the project was written"},
		"removes from it":       {`rm "$KN_LITE_BUILDER_SOURCE/main.go"; ` + good, nil, fault.Build, "main.go of the project was removed"},
		"fills its folder":      {`while :; do head -c 1000000 /dev/zero >> "$KN_LITE_BUILDER_OUTPUT/big"; sleep 0.01; done`, func(f *fixture) { f.limits.Bytes = 8 << 20 }, fault.Build, "hold more than 8 MiB"},
		"fills it at the end":   {`head -c 9000000 /dev/zero > "$KN_LITE_BUILDER_OUTPUT/big"; ` + good, func(f *fixture) { f.limits.Bytes = 8 << 20 }, fault.Build, "more than"},
		"leaves a child":        {`sleep 600 & ` + good, nil, fault.Build, "left processes running"},
		"leaves a silent child": {`sleep 600 < /dev/null > /dev/null 2>&1 & ` + good, nil, fault.Build, "left processes running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			if test.change != nil {
				test.change(f)
			}
			started := time.Now()
			result, err := f.build(t.Context(), test.script)
			if result != nil || err == nil || fault.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "kn-lite-builder-demo") {
				t.Errorf("got %v, %v (%v)", result, err, fault.KindOf(err))
			}
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
			if left := f.leftBehind(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			f.noProcess()
		})
	}
}

// noProcess looks for processes of the plugin.
func (f *fixture) noProcess() {
	f.t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, file := range environs {
		if raw, err := os.ReadFile(file); err == nil && strings.Contains(string(raw), "LAYOUT="+f.layout) {
			f.t.Errorf("%s is of the plugin, and runs", file)
		}
	}
}

// TestPluginLeavesASession: also a process that has moved to a session of its own is
// found and ended.
func TestPluginLeavesASession(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil || runtime.GOOS != "linux" {
		t.Skip("no setsid here")
	}
	f := newFixture(t)
	_, err := f.build(t.Context(), `setsid sleep 600 > /dev/null 2>&1 < /dev/null & `+good)
	if err == nil || !strings.Contains(err.Error(), "left processes running, which were stopped: sleep") {
		t.Error(err)
	}
	f.noProcess()
}

// TestPluginInterrupted: what the plugin has started ends with it.
func TestPluginInterrupted(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(300*time.Millisecond, cancel)
	_, err := f.build(ctx, `trap '' TERM; sleep 600 & wait; sleep 600`)
	if err == nil || ctx.Err() == nil || err.Error() != context.Canceled.Error() {
		t.Errorf("got %v", err)
	}
	if left := f.leftBehind(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	f.noProcess()
}

func TestPluginCannotStart(t *testing.T) {
	f := newFixture(t)
	bin := t.TempDir()
	file := filepath.Join(bin, "kn-lite-builder-demo")
	if err := os.WriteFile(file, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := plugin.New(&builder.Host{Now: time.Now}, plugin.Found{Name: "demo", File: file}, f.limits)
	if _, err := b.Build(t.Context(), f.r); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
	if left := f.leftBehind(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestPluginIndex builds for two platforms.
func TestPluginIndex(t *testing.T) {
	f := newFixture(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: testImage(t, "arm64")}, mutate.IndexAddendum{Add: testImage(t, "amd64")})
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err == nil {
		err = path.AppendIndex(index)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	f.r.Platforms = []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
	f.r.Environ = append(f.r.Environ, "LAYOUT="+dir, "DIGEST="+digest.String())
	result, err := f.build(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if result.Index == nil || len(result.Builds) != 2 || result.Builds[0].Platform.Architecture != "amd64" {
		t.Errorf("the result is %+v", result)
	}
	if err := result.Close(); err != nil {
		t.Error(err)
	}
}

func TestPluginRefusesOptions(t *testing.T) {
	for field, change := range map[string]func(r *builder.Request){
		"Dockerfile.Secrets": func(r *builder.Request) { r.Dockerfile.Secrets = map[string][]byte{"a": nil} },
		"Dockerfile.Offline": func(r *builder.Request) { r.Dockerfile.Offline = true },
		"Pod.Image":          func(r *builder.Request) { r.Pod.Image = "x" },
	} {
		f := newFixture(t)
		change(&f.r)
		if _, err := f.build(t.Context(), good); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// TestExample builds with the plugin that the documentation shows.
func TestExample(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it uses GNU tar")
	}
	f := newFixture(t)
	f.write("main.go", "package main\n\nfunc main() {}\n")
	f.write("go.mod", "module app\n\ngo 1.26\n")
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		f.r.Environ = append(f.r.Environ, name+"="+strings.TrimSpace(string(out)))
	}
	script, err := os.ReadFile("testdata/kn-lite-builder-shell")
	if err != nil {
		t.Fatal(err)
	}
	var digests []string
	for range 2 {
		result, err := f.build(t.Context(), string(script))
		if err != nil {
			t.Fatalf("%v\n%q", err, f.report.Lines())
		}
		digests = append(digests, result.Digest.String())
		if err := result.Close(); err != nil {
			t.Error(err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("two builds gave %q", digests)
	}
	f.r.Platforms = []v1.Platform{{OS: "linux", Architecture: "s390x"}}
	if _, err := f.build(t.Context(), string(script)); fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "one platform at a time") {
		t.Error(err)
	}
}
