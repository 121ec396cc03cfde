package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kn-lite/kn-lite/internal/build"
	"github.com/kn-lite/kn-lite/internal/build/basetest"
	"github.com/kn-lite/kn-lite/internal/builder"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/image"
	"github.com/kn-lite/kn-lite/internal/progress/progresstest"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/rootfs"
	"github.com/kn-lite/kn-lite/internal/sandbox"
	"github.com/kn-lite/kn-lite/internal/settings"
	"github.com/kn-lite/kn-lite/internal/sign"
)

// TestMain runs the second builds of Verify, and what the platform runs in sandboxes.
func TestMain(m *testing.M) {
	if code, ours := sandbox.Inside(os.Args, os.Stdin, os.Stdout, rootfs.Guests()); ours {
		os.Exit(code)
	}
	if code, ours := build.Again(os.Args, os.Stdin, os.Stdout); ours {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// lab is a registry with a base image for Node.js in it.
type lab struct {
	t      *testing.T
	server *regtest.Server
	host   string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	server := regtest.New()
	host, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if err := pushBase(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	return &lab{t: t, server: server, host: host}
}

// pushBase pushes an image that looks as if it had Node.js in it.
func pushBase(ctx context.Context, host string) error {
	programs, err := basetest.Layer("1")
	if err != nil {
		return err
	}
	base, err := mutate.AppendLayers(empty.Image, programs)
	if err != nil {
		return err
	}
	config, err := base.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	if base, err = mutate.ConfigFile(base, config); err != nil {
		return err
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Push(ctx, base, host+"/base/node:22")
	return err
}

// machine returns the use cases on a machine that nothing has been built on.
func (l *lab) machine() (*App, *progresstest.Recorder) {
	l.t.Helper()
	vars := map[string]string{"HOME": l.t.TempDir(), "KN_LITE_REGISTRY": l.host + "/me"}
	env := func(name string) string { return vars[name] }
	recorder := &progresstest.Recorder{}
	return &App{
		Settings: func() (*settings.Settings, error) { return settings.Load(settings.Sources{Env: env}) },
		Registry: func() (*registry.Client, error) { return registry.New(registry.Options{}) },
		Progress: recorder, Env: env, Now: time.Now, Version: "v1.0.0",
	}, recorder
}

func (l *lab) project() string {
	l.t.Helper()
	dir := l.t.TempDir()
	if err := writeProject(dir); err != nil {
		l.t.Fatal(err)
	}
	return dir
}

func writeProject(dir string) error {
	for name, text := range map[string]string{
		"func.yaml":    "specVersion: 0.36.0\nname: hello\nruntime: node\n",
		"package.json": `{"scripts":{"start":"node index.js"}}`,
		"index.js":     "1",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) options() BuildOptions { return BuildOptions{BaseImage: l.host + "/base/node:22"} }

func (l *lab) build(a *App, r BuildRequest) *BuildResult {
	l.t.Helper()
	got, err := a.Build(l.t.Context(), r)
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

func (l *lab) signatures(ref string) int {
	l.t.Helper()
	client, err := registry.New(registry.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer client.Close()
	found, err := client.Signatures(l.t.Context(), ref)
	if err != nil {
		l.t.Fatal(err)
	}
	return len(found)
}

func (l *lab) key() string {
	l.t.Helper()
	key, err := sign.Generate()
	if err != nil {
		l.t.Fatal(err)
	}
	text, err := key.PEM("")
	if err != nil {
		l.t.Fatal(err)
	}
	file := filepath.Join(l.t.TempDir(), "k.key")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return file
}

func TestBuildThenPush(t *testing.T) {
	l := newLab(t)
	a, _ := l.machine()
	dir := l.project()
	built := l.build(a, BuildRequest{BuildOptions: l.options(), Dir: dir})
	if built.Pushed || built.Unchanged || built.Unnamed || built.Language != "node" || len(built.Platforms) != 1 || built.Tag != l.host+"/me/hello:latest" {
		t.Errorf("built %+v", built)
	}
	if _, ok := l.server.Tag("me/hello", "latest"); ok {
		t.Error("a build that does not push has pushed")
	}
	pushed, err := a.Push(t.Context(), PushRequest{Source: dir})
	if err != nil || pushed.Image != built.Image || pushed.Tag != built.Tag {
		t.Fatalf("pushed %+v, %v, want %s", pushed, err, built.Image)
	}
	if digest, _ := l.server.Tag("me/hello", "latest"); digest != built.Digest {
		t.Errorf("the tag means %s, want %s", digest, built.Digest)
	}
	if again := l.build(a, BuildRequest{BuildOptions: l.options(), Dir: dir}); !again.Unchanged || again.Digest != built.Digest {
		t.Errorf("built again: %+v", again)
	}
	other, _ := l.machine()
	if _, err := other.Push(t.Context(), PushRequest{Source: dir}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("pushed from where nothing was built: %v", err)
	}
}

// TestKnownByDigestAlone is about an image that another machine has pushed: only its
// digest is known here, and whoever needs more than that gets it.
func TestKnownByDigestAlone(t *testing.T) {
	key := ""
	for name, change := range map[string]func(*BuildRequest){
		"tag":    func(r *BuildRequest) { r.Image = r.Image + "-2" },
		"layout": func(r *BuildRequest) { r.Outputs = []Output{{OCILayout, filepath.Join(t.TempDir(), "out")}} },
		"signed": func(r *BuildRequest) { r.SignKey = key },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			key = l.key()
			first, _ := l.machine()
			request := BuildRequest{BuildOptions: l.options(), Dir: l.project(), Image: l.host + "/me/hello:v1", Push: true}
			if name == "signed" {
				request.SignKey = key
			}
			built := l.build(first, request)
			second, recorder := l.machine()
			request.Dir = l.project()
			change(&request)
			got := l.build(second, request)
			if got.Digest != built.Digest {
				t.Errorf("%s, want %s", got.Digest, built.Digest)
			}
			// A layout needs the image itself: nothing is looked for then.
			if got.Unchanged != (name != "layout") {
				t.Errorf("unchanged: %t\n%s", got.Unchanged, strings.Join(recorder.Lines(), "\n"))
			}
			for _, place := range request.Outputs {
				opened, err := image.OpenFile(place.String())
				if err != nil {
					t.Fatal(err)
				}
				if digest, err := opened.Top.Digest(); err != nil || digest.String() != built.Digest || len(opened.Attached) != 2 {
					t.Errorf("the layout has %s with %d documents, %v", digest, len(opened.Attached), err)
				}
			}
			if name == "signed" && l.signatures(got.Image) != 1 {
				t.Errorf("%d signatures", l.signatures(got.Image))
			}
		})
	}
}

// TestUnchangedImageIsGone is about a registry that has lost what this machine knows
// to have pushed there.
func TestUnchangedImageIsGone(t *testing.T) {
	for _, signed := range []bool{false, true} {
		t.Run(fmt.Sprintf("signed %t", signed), func(t *testing.T) {
			l := newLab(t)
			a, recorder := l.machine()
			request := BuildRequest{BuildOptions: l.options(), Dir: l.project(), Push: true}
			if signed {
				request.SignKey = l.key()
			}
			built := l.build(a, request)
			l.remove(built.Digest)
			recorder.Reset()
			again := l.build(a, request)
			if !again.Unchanged || again.Image != built.Image {
				t.Errorf("%+v, want %s, unchanged", again, built.Image)
			}
			if digest, ok := l.server.Tag("me/hello", "latest"); !ok || digest != built.Digest {
				t.Errorf("the tag means %q after the second push:\n%s", digest, strings.Join(recorder.Lines(), "\n"))
			}
			if n := l.signatures(built.Image); n != 0 != signed {
				t.Errorf("%d signatures", n)
			}
		})
	}
}

// remove deletes a manifest.
func (l *lab) remove(digest string) {
	l.t.Helper()
	request, err := http.NewRequestWithContext(l.t.Context(), http.MethodDelete, "http://"+l.host+"/v2/me/hello/manifests/"+digest, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		l.t.Fatalf("the registry deletes nothing: %s", response.Status)
	}
}

func TestExplainAndVerify(t *testing.T) {
	l := newLab(t)
	a, _ := l.machine()
	request := BuildRequest{BuildOptions: l.options(), Dir: l.project()}
	plan, err := a.Explain(t.Context(), request)
	if err != nil || plan.Language != "node" || plan.Key == nil || plan.Digest != (v1.Hash{}) {
		t.Fatalf("before the first build: %+v, %v", plan, err)
	}
	verified, err := a.Verify(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	built := l.build(a, request)
	if built.Digest != verified.Digest {
		t.Errorf("verified %s, built %s", verified.Digest, built.Digest)
	}
	if plan, err = a.Explain(t.Context(), request); err != nil || plan.Digest.String() != built.Digest {
		t.Errorf("after a build: %+v, %v", plan, err)
	}
}

func TestBuildRefused(t *testing.T) {
	l := newLab(t)
	a, _ := l.machine()
	dir, empty, broken := l.project(), filepath.Join(t.TempDir(), "site"), t.TempDir()
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(empty, "Dockerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(broken, "func.yaml"), []byte("name: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		request BuildRequest
		do      func(context.Context, BuildRequest) (*BuildResult, error)
		op      string // "" is any
		kind    fault.Kind
	}{
		"no such builder":              {BuildRequest{Dir: dir, BuildOptions: BuildOptions{Builder: "docker"}}, a.Build, "builder.choose", fault.Usage},
		"a broken platform":            {BuildRequest{Dir: dir, BuildOptions: BuildOptions{Platforms: []string{"linux"}}}, a.Build, "", fault.Usage},
		"a key and no push":            {BuildRequest{Dir: dir, BuildOptions: BuildOptions{SignKey: "k"}}, a.Build, "app.sign", fault.Usage},
		"a key that is not there":      {BuildRequest{Dir: dir, Push: true, BuildOptions: BuildOptions{SignKey: "nowhere"}}, a.Build, "sign.key", fault.Usage},
		"in the cluster without push":  {BuildRequest{Dir: empty, BuildOptions: BuildOptions{Builder: "cluster"}}, a.Build, "app.push", fault.Usage},
		"in the cluster to a folder":   {BuildRequest{Dir: empty, Push: true, Image: l.host + "/me/x", Outputs: []Output{{OCILayout, "x"}}, BuildOptions: BuildOptions{Builder: "cluster"}}, a.Build, "app.push", fault.Usage},
		"no Dockerfile in the cluster": {BuildRequest{Dir: dir, Push: true, BuildOptions: BuildOptions{Builder: "cluster"}}, a.Build, "builder.cluster", fault.NotFound},
		"a Dockerfile verified":        {BuildRequest{Dir: empty}, a.Verify, "app.verify", fault.Usage},
		"pushed without a name":        {BuildRequest{Dir: empty, Push: true}, a.Build, "app.image", fault.Usage},
		"a broken name":                {BuildRequest{Dir: dir, Image: "UPPER/case"}, a.Build, "", fault.Usage},
		"a broken func.yaml":           {BuildRequest{Dir: broken}, a.Build, "", fault.Usage},
		"a Dockerfile's option":        {BuildRequest{Dir: dir, BuildOptions: BuildOptions{Builder: "layers", Dockerfile: builder.DockerfileOptions{Target: "x"}}}, a.Build, "builder.option", fault.Usage},
	} {
		_, err := test.do(t.Context(), test.request)
		if fault.KindOf(err) != test.kind || test.op != "" && opOf(err) != test.op {
			t.Errorf("%s: %s: %v, want %s of kind %s", name, opOf(err), err, test.op, test.kind)
		}
		if err != nil && (strings.Contains(err.Error(), "--") || strings.Contains(fault.HintOf(err), "--")) {
			t.Errorf("%s: a library names a flag: %v (%s)", name, err, fault.HintOf(err))
		}
	}
	if l.server.Count(regtest.PutManifest) != 1 { // the base's
		t.Errorf("something was written: %q", l.server.Log())
	}
}

func opOf(err error) string {
	e, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return ""
	}
	return e.Op
}

// TestSettingsAreNoReasonToRefuse: what the user's settings say for other builds does
// not get in the way of this one.
func TestSettingsAreNoReasonToRefuse(t *testing.T) {
	l := newLab(t)
	a, _ := l.machine()
	a.Settings = func() (*settings.Settings, error) {
		return &settings.Settings{BuilderImage: "r.example/kn-lite", CacheRepository: "r.example/cache"}, nil
	}
	built := l.build(a, BuildRequest{BuildOptions: l.options(), Dir: l.project()})
	if !built.Unnamed || built.Tag != "hello:latest" || !strings.HasPrefix(built.Image, "hello@sha256:") {
		t.Errorf("built %+v", built)
	}
}
