package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/app"
	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/term"
)

func TestFuncCreate(t *testing.T) {
	t.Chdir(t.TempDir())
	sys, stdout, stderr := testSystem(t, "func", "create", "apps/hello", "-l", "go", "-o", "json")
	if code := Main(context.Background(), sys); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var got createdProject
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := createdProject{
		APIVersion: "kn-lite.dev/v1", Kind: "Project", Name: "hello", Language: "go", Template: "http", Path: filepath.Join("apps", "hello"),
		Files:    []string{".funcignore", ".gitignore", "README.md", "func.yaml", "go.mod", "handle.go", "handle_test.go"},
		Replaced: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// An interrupt leaves nothing behind and says what it was.
func TestFuncCreateInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sys, stdout, stderr := testSystem(t, "func", "create", "apps/hello", "-l", "go")
	if code := Main(ctx, sys); code != 130 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if left, _ := os.ReadDir("."); len(left) > 0 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("left %v, stdout %q, stderr %q", left, stdout, stderr)
	}
}

func TestServiceName(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := serviceName(""); err == nil || !strings.Contains(err.Error(), "which service?") {
		t.Errorf("nowhere: %v", err)
	}
	if name, err := serviceName("given"); err != nil || name != "given" {
		t.Errorf("given: %q, %v", name, err)
	}
	if _, err := serviceName("Not/One"); err == nil {
		t.Error("a bad name was taken")
	}
	if err := os.WriteFile("func.yaml", []byte("name: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := serviceName(""); err != nil || name != "here" {
		t.Errorf("here: %q, %v", name, err)
	}
}

func TestProjectTellsItsWarnings(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "func.yaml"), []byte("name: a\nx-mine: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sys, _, stderr := testSystem(t)
	project, err := newFactory(sys).App().Project(dir)
	if err != nil || project.Name != "a" {
		t.Fatalf("%+v, %v", project, err)
	}
	if want := "warning: " + filepath.Join(dir, "func.yaml") + `:2:1: unknown key "x-mine"` + "\n"; stderr.String() != want {
		t.Errorf("got %q, want %q", stderr, want)
	}
}

func TestFuncOptions(t *testing.T) {
	checkOptions(t, newFuncCreateCmd,
		optionsCase[funcCreateOptions]{args: "hello", want: funcCreateOptions{Path: "hello", Kind: "http"}},
		optionsCase[funcCreateOptions]{args: "apps/hello -l go -t cloudevents --force", want: funcCreateOptions{Path: "apps/hello", Language: "go", Kind: "cloudevents", Force: true}},
		optionsCase[funcCreateOptions]{args: "", says: "accepts 1 arg"},
	)
	checkOptions(t, newFuncAdoptCmd,
		optionsCase[funcAdoptOptions]{args: "", want: funcAdoptOptions{Dir: "."}},
		optionsCase[funcAdoptOptions]{args: "./apps/shop/ --name store -l python", want: funcAdoptOptions{Dir: "apps/shop", Name: "store", Language: "python"}},
		optionsCase[funcAdoptOptions]{args: "a b", says: "accepts at most 1"},
	)
	checkOptions(t, newFuncValidateCmd,
		optionsCase[funcValidateOptions]{args: "apps/shop --strict", want: funcValidateOptions{Dir: "apps/shop", Strict: true}},
	)
}

// What adopt says of a folder, by what it was taken for.
func TestTellAdopted(t *testing.T) {
	for name, tt := range map[string]struct {
		found   build.Recognised
		written []string
		want    string
	}{
		"code": {
			found: build.Recognised{Language: "node", Style: "Express", Evidence: []string{"package.json", "app.js"}, Command: []string{"npm", "start"}, Base: "node:22", Reads: []string{"views"}, Advice: []string{"set PORT"}, Dockerfile: true},
			want: `✓ Adopted shop: Express (node)
• known by:    package.json, app.js
• starts with: npm start
• on:          node:22; --base-image names another
• with it:     views, which the code names: func.yaml has them put into the image (` + build.KeepVariable + `)
• set PORT
• beside it:   a Dockerfile, which is left alone: set ` + "`runtime: dockerfile`" + `, or build with --builder dockerfile
`,
		},
		"dockerfile": {
			found: build.Recognised{Language: build.DockerfileLanguage, Style: "Dockerfile", Base: "alpine", Beside: []string{"go", "node"}, Advice: []string{"run bundle lock"}}, written: []string{".dockerignore", "Dockerfile"},
			want: `✓ Adopted shop: Dockerfile
• starts with: what its base starts with
• on:          alpine
• wrote:       .dockerignore, Dockerfile, which are yours to change
• run bundle lock
• beside it:   go and node code, which kn-lite can build without the Dockerfile: set ` + "`runtime: go`" + `
`,
		},
	} {
		streams, _, stderr := term.Test()
		tellAdopted(streams, &app.AdoptResult{Recognised: &tt.found, Name: "shop", Written: tt.written})
		if diff := cmp.Diff(tt.want, stderr.String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
