package node

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/build/lang"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

// A project is either JavaScript or TypeScript, never both.
func TestDetectTypeScript(t *testing.T) {
	both := fstest.MapFS{"package.json": {}, "tsconfig.json": {}}
	for _, tt := range []struct {
		files            fstest.MapFS
		node, typescript bool
	}{
		{both, false, true},
		{fstest.MapFS{"package.json": {}}, true, false},
		{fstest.MapFS{"tsconfig.json": {}}, false, false},
	} {
		if n, ts := (Language{}).Detect(tt.files), (TypeScript{}).Detect(tt.files); n != tt.node || ts != tt.typescript {
			t.Errorf("%v: node %v, typescript %v", tt.files, n, ts)
		}
	}
}

// copies stands in for a compiler: the build script of the test project.
const copies = `{"scripts":{"build":"node make.js","start":"node build/index.js"}}`

func typescript(t *testing.T, files map[string]string) (*lang.Project, lang.Layer, error) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("there is no " + tool)
		}
	}
	p, _ := open(t, files)
	plan, err := TypeScript{}.Plan(context.Background(), p)
	if err != nil {
		return p, lang.Layer{}, err
	}
	layers, err := TypeScript{}.Layers(context.Background(), p, plan, lang.Target{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	return p, layers[len(layers)-1], nil
}

func TestBuildScript(t *testing.T) {
	files := map[string]string{
		"package.json": copies, "package-lock.json": `{"lockfileVersion":3,"packages":{"":{}}}`, "tsconfig.json": "{}", "source.ts": "let a: number",
		"make.js":     "const fs = require('fs'); fs.mkdirSync('build'); fs.writeFileSync('build/index.js', fs.readFileSync('source.ts') + ' // made')",
		".funcignore": "*.ts\n/make.js\ntsconfig.json\n", ".env": "SECRET=canary",
	}
	p, application, err := typescript(t, files)
	if err != nil {
		t.Fatal(err)
	}
	made, cleanup, err := application.Files(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range made {
		names = append(names, f.Path)
		if f.Path != "app/build/index.js" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil || string(text) != "let a: number // made" {
			t.Errorf("%q, %v", text, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(names, []string{"app/build", "app/build/index.js", "app/package-lock.json", "app/package.json"}) {
		t.Errorf("in the image: %v", names)
	}
	if err := cleanup(); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{filepath.Join(p.Dir, "build"), filepath.Join(p.Dir, "node_modules")} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("the build wrote %s into the project", dir)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(p.CacheDir, "node", "*")); len(left) > 0 {
		t.Errorf("left in the cache: %v", left)
	}

	_, again, err := typescript(t, files)
	if err != nil || again.Key != application.Key || again.Key == "" {
		t.Errorf("the key of the same files differs: %q, %q, %v", application.Key, again.Key, err)
	}
	files["source.ts"] = "let b: number"
	if _, other, _ := typescript(t, files); other.Key == application.Key {
		t.Error("the key does not see the sources, which the ignore file keeps out of the image")
	}
}

// A rule of the project wins over the list of likely secrets, for the build script
// and for the image.
func TestSecretsThatARuleNames(t *testing.T) {
	files := map[string]string{
		"package.json": copies, "package-lock.json": `{"lockfileVersion":3,"packages":{"":{}}}`, "tsconfig.json": "{}",
		"make.js": "const fs = require('fs'); fs.mkdirSync('build'); fs.writeFileSync('build/index.js', fs.existsSync('certs/ca.pem') + ' ' + fs.existsSync('.env.production') + ' ' + fs.existsSync('.env'))",
		".npmrc":  "fund=false\n", "certs/ca.pem": "canary", ".env.production": "TOKEN=canary", ".env": "TOKEN=canary",
		".funcignore": "*.ts\n/make.js\n!certs/ca.pem\n!.env.production\n",
	}
	p, application, err := typescript(t, files)
	if err != nil {
		t.Fatal(err)
	}
	made, cleanup, err := application.Files(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]bool{}
	for _, f := range made {
		in[f.Path] = true
	}
	if !in["app/certs/ca.pem"] || !in["app/.env.production"] || in["app/.env"] || !in["app/.npmrc"] {
		t.Errorf("in the image: %v", in)
	}
	if err := cleanup(); err != nil {
		t.Error(err)
	}
	warned := strings.Join(p.Report.(*progresstest.Recorder).Texts(progresstest.Warn), "\n")
	for _, want := range []string{"left out of the image as likely secrets: .env (its name)", "in the image because .funcignore names them: .env.production, certs/ca.pem"} {
		if !strings.Contains(warned, want) {
			t.Errorf("warnings = %q, without %q", warned, want)
		}
	}
	files[".env.production"] = "TOKEN=other"
	if _, again, err := typescript(t, files); err != nil || again.Key == application.Key {
		t.Errorf("the key does not see a file that a rule brings back: %v", err)
	}
}

func TestBuildScriptFails(t *testing.T) {
	_, application, err := typescript(t, map[string]string{"package.json": copies, "package-lock.json": `{"lockfileVersion":3,"packages":{"":{}}}`, "tsconfig.json": "{}", "make.js": "console.log('src/index.ts(5,3): error TS2322'); process.exit(2)"})
	if err != nil {
		t.Fatal(err)
	}
	_, cleanup, err := application.Files(context.Background())
	if fault.KindOf(err) != fault.Build || !strings.Contains(err.Error(), "the build script failed\nsrc/index.ts(5,3): error TS2322") {
		t.Errorf("err = %v", err)
	}
	if err := cleanup(); err != nil {
		t.Error(err)
	}
}

func TestNoBuildScript(t *testing.T) {
	_, _, err := typescript(t, map[string]string{"package.json": `{"scripts":{"start":"node x"}}`, "tsconfig.json": "{}"})
	if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "there is no build script") || !strings.Contains(fault.HintOf(err), "scripts.build=tsc") {
		t.Errorf("err = %v", err)
	}
}

// The key of the whole build sees what the build script sees.
func TestTypeScriptInputs(t *testing.T) {
	files := map[string]string{"package.json": copies, "package-lock.json": `{"lockfileVersion":3,"packages":{"":{}}}`, "tsconfig.json": "{}", ".funcignore": "src\n"}
	p, _, err := typescript(t, files)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := TypeScript{}.Plan(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	in, err := TypeScript{}.Inputs(context.Background(), p, plan)
	if err != nil || in.Unknown != "" || len(in.Folders) != 1 {
		t.Fatalf("%+v, %v", in, err)
	}
	for name, counts := range map[string]bool{"src": true, "tsconfig.json": true, "node_modules": false, ".git": false} {
		if out, _ := in.Folders[0].Skip(name, false); out == counts {
			t.Errorf("%s: counts %v", name, !out)
		}
	}
	if last := in.Files[len(in.Files)-1].Name; last != ".funcignore" {
		t.Errorf("the rules do not count: %v", in.Files)
	}
	delete(files, "package-lock.json")
	if p, _, err = typescript(t, files); err != nil {
		t.Fatal(err)
	}
	if plan, err = (TypeScript{}).Plan(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	if in, err = (TypeScript{}).Inputs(context.Background(), p, plan); err != nil || in.Unknown == "" {
		t.Errorf("without a lockfile: %+v, %v", in, err)
	}
}
