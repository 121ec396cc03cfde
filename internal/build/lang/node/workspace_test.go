package node

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
)

func TestFoldersOfAWorkspace(t *testing.T) {
	for _, tt := range []struct {
		patterns []string
		folder   string
		want     bool
	}{
		{[]string{"packages/*"}, "packages/app", true},
		{[]string{"./packages/*/"}, "packages/app", true},
		{[]string{"packages/*"}, "packages/app/examples/x", false},
		{[]string{"packages/*"}, "packages", false},
		{[]string{"packages/**"}, "packages/a/b/c", true},
		{[]string{"**"}, "x", true},
		{[]string{"apps/*", "!apps/old"}, "apps/old", false},
		{[]string{"apps/*", "!**/test/**"}, "apps/test/x", false},
		{[]string{"shop"}, "shop", true},
		{[]string{"["}, "shop", false},
		{nil, "shop", false},
	} {
		if got := matchesFolder(tt.patterns, tt.folder); got != tt.want {
			t.Errorf("%v matches %s: %v", tt.patterns, tt.folder, got)
		}
	}
}

func TestPackagesInTheirOrder(t *testing.T) {
	of := func(name string, dependencies, development []string) member {
		m := member{Name: name}
		m.Dependencies, m.DevDependencies = map[string]string{}, map[string]string{}
		for _, d := range dependencies {
			m.Dependencies[d] = "workspace:*"
		}
		for _, d := range development {
			m.DevDependencies[d] = "workspace:*"
		}
		return m
	}
	members := map[string]member{
		"apps/web": of("web", []string{"@shop/ui", "react"}, []string{"@shop/lint"}), "apps/api": of("api", nil, nil),
		"libs/ui": of("@shop/ui", []string{"@shop/base"}, nil), "libs/base": of("@shop/base", []string{"@shop/ui"}, nil), // a circle
		"libs/lint": of("@shop/lint", nil, nil), "libs/none": of("", nil, nil),
	}
	if got := closure(members, "apps/web", false); !slices.Equal(got, []string{"libs/base", "libs/ui", "apps/web"}) {
		t.Errorf("in the image: %v", got)
	}
	if got := closure(members, "apps/web", true); !slices.Equal(got, []string{"libs/lint", "libs/base", "libs/ui", "apps/web"}) {
		t.Errorf("for the build: %v", got)
	}
}

// shop is a workspace of three packages, one of which has to be built.
func shop() map[string]string {
	return map[string]string{
		"packages/app/package.json":   `{"name":"app","version":"1.0.0","scripts":{"start":"node index.js"},"dependencies":{"lib":"WHICH"}}`,
		"packages/app/index.js":       "require('lib')",
		"packages/app/func.yaml":      "name: app",
		"packages/app/.funcignore":    "notes.txt",
		"packages/app/notes.txt":      "not for the image",
		"packages/lib/package.json":   `{"name":"lib","version":"1.0.0","main":"dist/index.js","scripts":{"build":"node make.js"}}`,
		"packages/lib/make.js":        "const fs = require('fs'); fs.mkdirSync('dist'); fs.writeFileSync('dist/index.js', 'made of ' + fs.readFileSync('../../shared.txt'))",
		"packages/other/package.json": `{"name":"other","version":"1.0.0","scripts":{"build":"exit 1"},"dependencies":{"nowhere":"1"}}`,
		"packages/other/.env":         "SECRET=1",
		"shared.txt":                  "what all share",
	}
}

var inTheImage = []string{
	"app/packages", "app/packages/app", "app/packages/app/index.js", "app/packages/app/package.json",
	"app/packages/lib", "app/packages/lib/dist", "app/packages/lib/dist/index.js", "app/packages/lib/make.js", "app/packages/lib/package.json",
}

func checkShop(t *testing.T, folder string, files map[string]string) map[string]string {
	t.Helper()
	got, said, err := imageIn(t, folder, files)
	if err != nil {
		t.Fatal(err)
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(got)), func(name string) bool { return strings.Contains(name, "node_modules") })
	if diff := cmp.Diff(inTheImage, names); diff != "" {
		t.Errorf("in the image (-want +got):\n%s", diff)
	}
	if text := got["app/packages/lib/dist/index.js"]; text != "made of what all share" {
		t.Errorf("the library is %q", text)
	}
	if advice := strings.Join(said.Texts(progresstest.Note), "\n"); !strings.Contains(advice, "the packages that it depends on, too: packages/lib") {
		t.Errorf("advice = %q", advice)
	}
	return got
}

func TestPackageOfAnNpmWorkspace(t *testing.T) {
	files := shop()
	files["package.json"] = `{"private":true,"workspaces":["packages/*"]}`
	files["packages/app/package.json"] = strings.Replace(files["packages/app/package.json"], "WHICH", "1.0.0", 1)
	files["packages/other/package.json"] = `{"name":"other","version":"1.0.0","scripts":{"build":"exit 1"}}`
	files["package-lock.json"] = `{"lockfileVersion":3,"packages":{"":{"workspaces":["packages/*"]},
		"node_modules/app":{"resolved":"packages/app","link":true},"node_modules/lib":{"resolved":"packages/lib","link":true},"node_modules/other":{"resolved":"packages/other","link":true},
		"packages/app":{"version":"1.0.0","dependencies":{"lib":"1.0.0"}},"packages/lib":{"version":"1.0.0"},"packages/other":{"version":"1.0.0"}}}`
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm")
	}
	got := checkShop(t, "packages/app", files)
	if link := got["app/node_modules/lib"]; link != "../packages/lib" {
		t.Errorf("node_modules/lib leads to %q", link)
	}
}

func TestPackageOfAPnpmWorkspace(t *testing.T) {
	toolOf(t, "pnpm", "")
	files := shop()
	files["pnpm-workspace.yaml"] = "packages:\n  - packages/*\n"
	files["package.json"] = `{"private":true}`
	files["packages/app/package.json"] = strings.Replace(files["packages/app/package.json"], "WHICH", "workspace:*", 1)
	files["packages/other/package.json"] = `{"name":"other","version":"1.0.0","scripts":{"build":"exit 1"}}`
	files["pnpm-lock.yaml"] = `lockfileVersion: '9.0'

settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false

importers:

  .: {}

  packages/app:
    dependencies:
      lib:
        specifier: workspace:*
        version: link:../lib

  packages/lib: {}

  packages/other: {}
`
	got := checkShop(t, "packages/app", files)
	if link := got["app/packages/app/node_modules/lib"]; link != "../../lib" {
		t.Errorf("node_modules/lib leads to %q", link)
	}
}

// A folder that no pattern names, one with a lock of its own and one in another
// repository are no packages of what is above.
func TestNoPackageOfAWorkspace(t *testing.T) {
	for name, more := range map[string]map[string]string{
		"not named":          {"package.json": `{"workspaces":["libs/*"]}`},
		"a lock of its own":  {"package.json": `{"workspaces":["packages/*"]}`, "packages/app/package-lock.json": `{"packages":{}}`},
		"another repository": {"package.json": `{"workspaces":["packages/*"]}`, "packages/.git": "gitdir: x"},
		"no workspaces":      {"package.json": `{"workspaces":[]}`},
		"broken":             {"package.json": `{`},
	} {
		files := map[string]string{"packages/app/package.json": `{"scripts":{"start":"node x.js"}}`}
		maps.Copy(files, more)
		_, said, err := imageIn(t, "packages/app", files)
		if err != nil || strings.Contains(strings.Join(said.Texts(progresstest.Note), ""), "workspace") {
			t.Errorf("%s: %v, %v", name, err, said.Texts(progresstest.Note))
		}
	}
}
