//go:build bench

package bench

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"github.com/kn-lite/kn-lite/test/bases"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// TestBuild is the loop that a function author lives in: a Go function built
// and pushed again, with nothing changed and with one line changed; and a CI
// machine's first build, with no cache but the downloaded modules. ko builds the
// same program.
func TestBuild(t *testing.T) {
	runs := 5
	if full() {
		runs = 21
	}
	knLite, ko, edit := buildContenders(t)

	measure(t, runs, knLite, ko)
	compare(t, "nothing changed", knLite, ko)
	atMost(t, 1.1, knLite, ko)

	for c, change := range edit {
		c.results, c.before = nil, change
	}
	measure(t, runs, knLite, ko)
	compare(t, "one line changed", knLite, ko)
	// A tenth of allowance for the noise of a machine that does other things
	// too; the published ratio is that of the full size.
	limit := 1.25
	if full() {
		limit = 1.1
	}
	atMost(t, limit, knLite, ko)

	for _, c := range []*contender{knLite, ko} {
		c.results, c.before = nil, withoutCaches(c, edit[c])
	}
	// Each run compiles the standard library twice over.
	measure(t, max(3, runs/5), knLite, ko)
	compare(t, "cold", knLite, ko)
	atMost(t, limit, knLite, ko)
}

// withoutCaches gives a contender's next run new, empty caches. The line changes
// too, to what it never was: else kn-lite finds the result in the registry.
func withoutCaches(c *contender, edit func(*testing.T, int)) func(*testing.T, int) {
	env := c.env
	return func(t *testing.T, run int) {
		t.Helper()
		edit(t, 1000+run)
		c.env = append(slices.Clone(env), "GOCACHE="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir())
	}
}

func buildContenders(t *testing.T) (knLite, ko *contender, edit map[*contender]func(*testing.T, int)) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")

	tools, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	env := slices.Concat(tools, toolenv.Home(t.TempDir()), []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(),
		"KN_LITE_REGISTRY=" + host + "/bench",
		"KO_DOCKER_REPO=" + host + "/ko", "KO_DEFAULTBASEIMAGE=" + host + "/base:latest",
	})

	dir := t.TempDir()
	create := exec.CommandContext(t.Context(), program(t, "kn-lite"), "func", "create", "hello", "-l", "go")
	create.Dir, create.Env = dir, env
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("func create: %v\n%s", err, out)
	}
	function := filepath.Join(dir, "hello")
	knLite = &contender{name: "kn-lite", dir: function, env: env, args: []string{program(t, "kn-lite"), "build", "--push"}}

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
	// Without an SBOM, which kn-lite does not make here either.
	ko = &contender{name: "ko", dir: app, env: env, args: []string{program(t, "ko"), "build", "--bare", "--sbom=none", "--platform=linux/amd64", "."}}

	return knLite, ko, map[*contender]func(*testing.T, int){
		knLite: rewrite(filepath.Join(function, "handle.go"), "Hello"),
		ko:     rewrite(filepath.Join(app, "main.go"), "Hello"),
	}
}

// rewrite gives the greeting another word before each run.
func rewrite(file, word string) func(*testing.T, int) {
	return func(t *testing.T, run int) {
		t.Helper()
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		next := fmt.Sprintf("Hello %d", run)
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
