//go:build bench

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/test/bases"
)

// TestBuild is the loop that a function author lives in: a Go function built
// and pushed again, with nothing changed and with one line changed; and a CI
// machine's first build, with no cache but the downloaded modules. ko builds the
// same program.
func TestBuild(t *testing.T) {
	host := serveRegistry(t)
	env := environment(t,
		"KN_LITE_REGISTRY="+host+"/bench",
		"KO_DOCKER_REPO="+host+"/ko", "KO_DEFAULTBASEIMAGE="+host+"/base:latest",
	)
	function := createFunction(t, "kn-lite", env)
	knLite := &project{
		contender: &contender{name: "kn-lite", dir: function, env: env, commands: [][]string{{program(t, "kn-lite"), "build", "--push"}}},
		edit:      rewrite(filepath.Join(function, "handle.go"), "Hello"),
	}

	// ko wants a base image. One small layer costs it one request that finds the
	// layer there already, as it would with the real one.
	base, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := bases.Push(t.Context(), base, host+"/base:latest"); err != nil {
		t.Fatal(err)
	}
	app := filepath.Join(t.TempDir(), "ko-app")
	if err := os.CopyFS(app, os.DirFS("testdata/ko-app")); err != nil {
		t.Fatal(err)
	}
	ko := &project{
		// Without an SBOM, which kn-lite does not make here either.
		contender: &contender{name: "ko", dir: app, env: env, commands: [][]string{{program(t, "ko"), "build", "--bare", "--sbom=none", "--platform=linux/amd64", "."}}},
		edit:      rewrite(filepath.Join(app, "main.go"), "Hello"),
	}
	// Each cold run compiles the standard library.
	measureBuilds(t, 0.05, []string{"GOCACHE"}, knLite, ko)
}

// TestBuildBesideFunc builds one project, as func itself creates it, with both.
// func's host builder always builds for three platforms, so kn-lite does too.
func TestBuildBesideFunc(t *testing.T) {
	host := serveRegistry(t)
	env := environment(t, "KN_LITE_REGISTRY="+host+"/bench", "FUNC_ENABLE_HOST_BUILDER=true")
	ours, theirs := createFunction(t, "func", env), createFunction(t, "func", env)
	knLite := &project{
		contender: &contender{name: "kn-lite", dir: ours, env: env, commands: [][]string{
			{program(t, "kn-lite"), "build", "--push", "--platform", "linux/amd64,linux/arm64,linux/arm/v7"},
		}},
		edit: rewrite(filepath.Join(ours, "handle.go"), "Received request"),
	}
	peer := &project{
		contender: &contender{name: "func", dir: theirs, env: env, commands: [][]string{
			{program(t, "func"), "build", "--builder", "host", "--registry", host + "/func", "--push"},
		}},
		edit: rewrite(filepath.Join(theirs, "handle.go"), "Received request"),
	}
	// Go's own cache stays: three standard libraries to compile would be all that
	// could be seen.
	measureBuilds(t, 1, nil, knLite, peer)
}

// project is a contender with a line to change in what it builds.
type project struct {
	*contender
	edit func(t *testing.T, run int)
}

// measureBuilds has both build with nothing changed, which is to take at most
// unchanged times the peer's time; with one line changed; and with empty caches:
// the builder's own and what the variables in caches point to.
func measureBuilds(t *testing.T, unchanged float64, caches []string, knLite, peer *project) {
	t.Helper()
	runs := 5
	if full() {
		runs = 21
	}
	both := []*contender{knLite.contender, peer.contender}
	stage := func(what string, runs int, limit float64, before func(*project) func(*testing.T, int)) {
		t.Run(what, func(t *testing.T) {
			for _, p := range []*project{knLite, peer} {
				p.results, p.before = nil, before(p)
			}
			measure(t, runs, both...)
			compare(t, what, both...)
			atMost(t, limit, both[0], both[1])
		})
	}
	stage("nothing changed", runs, unchanged, func(*project) func(*testing.T, int) { return nil })
	// As fast as the peer is the goal; a tenth is the noise of a machine that does
	// other things too.
	stage("one line changed", runs, 1.1, func(p *project) func(*testing.T, int) { return p.edit })
	stage("cold", max(3, runs/5), 1.1, func(p *project) func(*testing.T, int) { return p.withoutCaches(caches) })
}

// withoutCaches gives a contender's next run new, empty caches. The line changes
// too, to what it never was: else kn-lite finds the result in the registry.
func (p *project) withoutCaches(caches []string) func(*testing.T, int) {
	env := p.env
	return func(t *testing.T, run int) {
		t.Helper()
		p.edit(t, 1000+run)
		// func keeps its cache in the project.
		if err := os.RemoveAll(filepath.Join(p.dir, ".func")); err != nil {
			t.Fatal(err)
		}
		p.env = slices.Clone(env)
		for _, name := range append(caches, "XDG_CACHE_HOME") {
			p.env = append(p.env, name+"="+t.TempDir())
		}
	}
}

// createFunction makes the Go function of kn-lite's template, or of func's.
func createFunction(t *testing.T, with string, env []string) (folder string) {
	t.Helper()
	args := map[string][]string{"kn-lite": {"func", "create", "hello", "-l", "go"}, "func": {"create", "-l", "go", "hello"}}[with]
	create := exec.CommandContext(t.Context(), program(t, with), args...)
	create.Dir, create.Env = t.TempDir(), env
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("%s create: %v\n%s", with, err, out)
	}
	return filepath.Join(create.Dir, "hello")
}

// rewrite gives a text of the program another word before each run.
func rewrite(file, word string) func(*testing.T, int) {
	return func(t *testing.T, run int) {
		t.Helper()
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		next := fmt.Sprintf("Run %d", run)
		changed := strings.Replace(string(raw), word, next, 1)
		if changed == string(raw) {
			t.Fatalf("%s: %q is not there", file, word)
		}
		word = next
		if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
