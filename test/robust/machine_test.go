//go:build e2e

package robust

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kn-lite/kn-lite/internal/build/basetest"
	"github.com/kn-lite/kn-lite/test/toolenv"
)

// lab is what all builds share: the program, a registry, the tools.
type lab struct {
	program string
	address string // of `kn-lite registry serve`
	env     []string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	tools, err := toolenv.Vars()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{program: filepath.Join(t.TempDir(), "kn-lite"), env: append(tools, "PATH="+os.Getenv("PATH"))}
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", l.program, "../../cmd/kn-lite").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l.serve(t)
	l.seedBase(t)
	return l
}

// serve runs the registry until the test ends.
func (l *lab) serve(t *testing.T) {
	t.Helper()
	cmd := exec.Command(l.program, "registry", "serve", "--address", "127.0.0.1:0")
	cmd.Env = append(slices.Clone(l.env), "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // interrupted on purpose
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	l.address = strings.TrimSpace(line)
}

// seedBase puts an image with the programs of all languages into the registry.
func (l *lab) seedBase(t *testing.T) {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", Config: v1.Config{
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "PYTHON_VERSION=3.11.4", "JAVA_VERSION=21.0.5"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	programs, err := basetest.Layer("base")
	if err != nil {
		t.Fatal(err)
	}
	if image, err = mutate.AppendLayers(image, programs); err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	if _, err := layout.Write(at, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image})); err != nil {
		t.Fatal(err)
	}
	w := &place{lab: l, t: t, dir: at, home: t.TempDir(), cache: t.TempDir(), temp: t.TempDir()}
	if code, _, stderr := w.run("push", "oci:"+at, "--image", l.address+"/base:1"); code != 0 {
		t.Fatal(stderr)
	}
}

// place is where one user works: a project, a cache, a folder for temporary files.
type place struct {
	*lab
	t                                *testing.T
	dir, home, cache, temp, language string
	uid                              uint32
}

func (l *lab) newPlace(t *testing.T, p project) *place {
	t.Helper()
	w := &place{lab: l, t: t, language: p.language, dir: filepath.Join(t.TempDir(), "app"), home: t.TempDir(), cache: t.TempDir(), temp: t.TempDir()}
	p.write(t, w.dir)
	return w
}

// elsewhere is the same project with nothing of an earlier build.
func (w *place) elsewhere(t *testing.T) *place {
	other := *w
	other.t, other.cache, other.home, other.temp = t, t.TempDir(), t.TempDir(), t.TempDir()
	return &other
}

// edit changes the project's source.
func (w *place) edit(word string) {
	w.t.Helper()
	for _, p := range projects() {
		if p.language == w.language {
			if err := os.WriteFile(filepath.Join(w.dir, p.source), []byte(strings.ReplaceAll(p.files[p.source], "WORD", word)), 0o644); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *place) command(args ...string) *exec.Cmd {
	cmd := exec.Command(w.program, args...)
	cmd.Dir = filepath.Dir(w.dir)
	cmd.Env = slices.Concat(w.env, toolenv.Home(w.home), []string{"XDG_CACHE_HOME=" + w.cache, "TMPDIR=" + w.temp, "KN_LITE_REGISTRY=" + w.address})
	for _, language := range []string{"NODE", "PYTHON", "JAVA"} {
		cmd.Env = append(cmd.Env, "KN_LITE_BASE_IMAGE_"+language+"="+w.address+"/base:1")
	}
	if w.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: w.uid, Gid: w.uid}}
	}
	return cmd
}

// run runs the program to its end.
func (w *place) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	cmd := w.command(args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String()), said.String()
}

// build returns the digest of the project's image.
func (w *place) build(args ...string) string {
	w.t.Helper()
	code, stdout, stderr := w.run(append([]string{"build", w.dir, "-o", "oci:" + filepath.Join(w.t.TempDir(), "out")}, args...)...)
	if code != 0 {
		w.t.Fatalf("build %s: exit %d\n%s", w.language, code, stderr)
	}
	_, digest, _ := strings.Cut(stdout, "@")
	return digest
}

// files are those below dir, with what folder of the cache they are in.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(at string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			out = append(out, at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
