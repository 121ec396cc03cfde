package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

func TestAnImageRuns(t *testing.T) {
	m := newMachine(t)
	base := layer(t, program(t), file{"etc/", 0o755, 0, ""}, file{"etc/passwd", 0o644, 0, "ada:x:1234:5:Ada:/home/ada:/bin/sh\n"}, file{"gone", 0o644, 0, "x"}, file{"secret", 0o600, 1234, "ada's"})
	top := layer(t, file{".wh.gone", 0o644, 0, ""}, file{"new", 0o644, 0, "new"})
	ref := m.push("hello:1", v1.Config{Entrypoint: []string{"/app"}, Cmd: []string{"serve", "8080"}, User: "ada", WorkingDir: "/work", Env: []string{"A=b"}}, base, top)
	image := m.pull(m.address + "/hello:1")
	if image.Ref != ref || image.User != "ada" || image.Dir != "/work" || !slices.Equal(image.Entrypoint, []string{"/app"}) || image.StopSignal != syscall.SIGTERM {
		t.Errorf("%+v, want %s", image, ref)
	}
	s := m.sandbox()
	c := pod.Container{Name: "user", Image: image, Args: append(image.Entrypoint, image.Cmd...), Env: image.Env, Dir: image.Dir, User: image.User, Groups: []int64{77}}
	p := m.start(s, c)
	if got := ask(t, s, 8080, "/"); got != "hello" {
		t.Errorf("it says %q", got)
	}
	identity, _ := m.box.Identity()
	if got, want := ask(t, s, 8080, "/who"), "1234 5 [5 77]/workhello-1truehello-1/home/ada"; got != want && identity != sandbox.Single {
		t.Errorf("it is %q, want %q", got, want)
	}
	for name, want := range map[string]string{
		"/new": "new", "/gone": "no such file", "/secret": "ada's", "/etc/hostname": "hello-1\n", "/etc/hosts": "127.0.0.1\tlocalhost",
		"/proc/1/comm": "", "/dev/null": "",
	} {
		if got := ask(t, s, 8080, "/read?file="+name); !strings.Contains(got, want) || want == "" && got != "" && name == "/dev/null" {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	if code := stop(t, p); code != 143 {
		t.Errorf("it ended with %d", code)
	}
	// A program with no handler for SIGTERM ends by it, as it does on a terminal.
	m.start(s, c)
	if got := ask(t, s, 8080, "/"); got != "hello" {
		t.Errorf("started again: %q", got)
	}
}

func stop(t testing.TB, p pod.Process) int {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	code, _ := p.Exit()
	return code
}

func TestContainersHaveFilesOfTheirOwnAndSharedVolumes(t *testing.T) {
	m := newMachine(t)
	image := m.pull(m.push("hello:1", v1.Config{}, layer(t, program(t))))
	s := m.sandbox()
	shared, err := s.Volume("shared")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.Volume("secret")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(secret+"/..2026", 0o755), os.WriteFile(secret+"/..2026/key", []byte("k"), 0o400), os.Symlink("..2026", secret+"/..data"), os.Symlink("..data/key", secret+"/key"), s.Own(t.Context(), secret, -1)); err != nil {
		t.Fatal(err)
	}
	mounts := []pod.Mount{
		{Target: "/shared", Source: shared},
		{Target: "/secret", Source: secret, ReadOnly: true},
		{Target: "/etc/key", Source: secret, SubPath: "key", ReadOnly: true},
		{Target: "/dev/log", Source: shared, SubPath: "deep/log"},
	}
	for i, port := range []string{"8080", "8081"} {
		m.start(s, pod.Container{Name: "c" + port, Image: image, Args: []string{"/app", "serve", port}, Mounts: mounts, ReadOnly: i == 1})
	}
	for _, step := range []struct{ port, path, want string }{
		{"8080", "/write?file=/mine", "<nil>"},
		{"8081", "/read?file=/mine", "no such file"},
		{"8081", "/write?file=/mine", "read-only file system"},
		{"8080", "/write?file=/shared/both", "<nil>"},
		{"8081", "/read?file=/shared/both", "written"},
		{"8080", "/read?file=/secret/key", "k"},
		{"8080", "/read?file=/etc/key", "k"},
		{"8080", "/write?file=/secret/key", "read-only file system"},
		{"8080", "/write?file=/dev/log/x", "<nil>"},
		{"8081", "/read?file=/shared/deep/log/x", "written"},
	} {
		var port int32
		fmt.Sscan(step.port, &port)
		if got := ask(t, s, port, step.path); !strings.Contains(got, step.want) {
			t.Errorf("%s%s: %q, want %q", step.port, step.path, got, step.want)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(shared); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a volume is still there: %v", err)
	}
}

func TestPullSaysWhatIsWrong(t *testing.T) {
	m := newMachine(t)
	self := layer(t, program(t))
	m.push("hello:1", v1.Config{}, self)
	for ref, want := range map[string]string{
		m.address + "/hello:2":          "not found",
		m.address + "/nothing:1":        "not found",
		"no-such-host.invalid/hello:1":  "no such host",
		"127.0.0.1:1/hello:1":           "connection refused",
		m.address + "/hello@sha256:abc": "",
		m.address + "/Hello Hello:1":    "",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := m.Pull(ctx, ref, nil)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), want) {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
		cancel()
	}
	m.platform.Architecture = "arm64"
	image := m.push("other:1", v1.Config{}, self)
	m.platform.Architecture = "amd64"
	if _, err := m.Pull(t.Context(), image, nil); err == nil || !strings.Contains(err.Error(), "linux/arm64") {
		t.Errorf("another architecture: %v", err)
	}
}

// Many pulls of one image are one; layers are fetched once, also by another image
// that has them; after a restart nothing is.
func TestLayersAreUnpackedOnce(t *testing.T) {
	m := newMachine(t)
	base := layer(t, program(t))
	ref := m.push("hello:1", v1.Config{}, base)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { m.pull(ref) })
	}
	all.Wait()
	tops := func() int {
		names, err := filepath.Glob(filepath.Join(m.box.Home(), "images", "*", "files", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	if n := tops(); n != 1 {
		t.Errorf("%d layers were unpacked", n)
	}
	second := m.push("hello:2", v1.Config{}, base, layer(t, file{"more", 0o644, 0, "more"}))
	m.pull(second)
	if n := tops(); n != 2 {
		t.Errorf("%d layers were unpacked", n)
	}
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.options.Registry.Transport = failing{}
	m.open()
	image := m.pull(second)
	s := m.sandbox()
	var out bytes.Buffer
	p := m.start(s, pod.Container{Image: image, Args: []string{"/app", "say", "hi"}, Stdout: &out})
	<-p.Done()
	if out.String() != "[hi]\n" {
		t.Errorf("it said %q", out.String())
	}
}

// What nobody uses goes, with the layers that are no other image's; what runs stays.
func TestUnusedImagesAreRemoved(t *testing.T) {
	for _, plain := range []bool{false, true} {
		m := newMachineOf(t, plain)
		base := layer(t, program(t))
		var refs []string
		for _, name := range []string{"used", "runs", "gone"} {
			refs = append(refs, m.push(name+":1", v1.Config{}, base, layer(t, file{name, 0o644, 0, name})))
			m.pull(refs[len(refs)-1])
		}
		m.start(m.sandbox(), pod.Container{Image: pod.Image{Ref: refs[1]}, Args: []string{"/app", "sleep"}})
		_, used, _ := strings.Cut(refs[0], "@")
		if err := m.Collect(t.Context(), func(digest string) bool { return digest == used }); err != nil {
			t.Fatal(err)
		}
		for i, ref := range refs {
			if has := m.images.find(ref) != nil; has != (i < 2) {
				t.Errorf("plain %v: %s is there: %v", plain, ref, has)
			}
		}
		if plain {
			continue
		}
		if names, err := filepath.Glob(filepath.Join(m.box.Home(), "images", "*", "files", "*")); err != nil || len(names) != 3 {
			t.Errorf("layers left: %q, %v", names, err)
		}
		// It comes back when it is wanted.
		m.pull(refs[2])
	}
}

// Pull secrets are for those that bring them, and run no program of this machine.
func TestPullSecrets(t *testing.T) {
	m := newMachine(t)
	ref := m.push("private:1", v1.Config{}, layer(t, program(t)))
	m.registry.User, m.registry.Password, m.registry.Auth = "ada", "pass", "basic"
	if _, err := m.Pull(t.Context(), ref, nil); fault.KindOf(err) != fault.Auth || !strings.Contains(strings.ToLower(err.Error()), "unauthorized") {
		t.Errorf("without a secret: %v", err)
	}
	marker := filepath.Join(t.TempDir(), "ran")
	helper := filepath.Join(t.TempDir(), "docker-credential-evil")
	if err := os.WriteFile(helper, []byte("#!/bin/sh\ntouch "+marker+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(helper)+":"+os.Getenv("PATH"))
	entry := func(user, password, more string) []byte {
		return fmt.Appendf(nil, `{"auths":{%q:{"username":%q,"password":%q}}%s}`, m.address, user, password, more)
	}
	if _, err := m.Pull(t.Context(), ref, [][]byte{entry("ada", "wrong", "")}); fault.KindOf(err) != fault.Auth {
		t.Errorf("with a wrong password: %v", err)
	}
	if _, err := m.Pull(t.Context(), ref, [][]byte{[]byte("no JSON")}); fault.KindOf(err) != fault.Auth {
		t.Errorf("with a damaged secret: %v", err)
	}
	good := entry("ada", "pass", fmt.Sprintf(`,"credsStore":"evil","credHelpers":{%q:"evil"}`, m.address))
	if _, err := m.Pull(t.Context(), ref, [][]byte{good}); err != nil {
		t.Errorf("with the right one: %v", err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a pull secret has run a program of this machine")
	}
}

// The platform's own credentials are there for every image, whatever secrets it has.
func TestCredentialsOfThePlatform(t *testing.T) {
	m := newMachine(t)
	ref := m.push("private:1", v1.Config{}, layer(t, program(t)))
	m.registry.User, m.registry.Password, m.registry.Auth = "kn-lite", "pass", "basic"
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.options.Registry.Auths = [][]byte{fmt.Appendf(nil, `{"auths":{%q:{"username":"kn-lite","password":"pass"}}}`, m.address)}
	m.open()
	for _, secrets := range [][][]byte{nil, {[]byte(`{"auths":{"elsewhere.example":{"username":"a","password":"b"}}}`)}} {
		if _, err := m.Resolve(t.Context(), m.address+"/private:1", secrets); err != nil {
			t.Errorf("with %d secrets: resolve: %v", len(secrets), err)
		}
		if _, err := m.Pull(t.Context(), ref, secrets); err != nil {
			t.Errorf("with %d secrets: pull: %v", len(secrets), err)
		}
	}
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }

// The time from the order to the first answer, as a request to a service at zero
// sees it.
func BenchmarkColdStart(b *testing.B) {
	m := newMachine(b)
	image := m.pull(m.push("hello:1", v1.Config{}, layer(b, program(b))))
	var made, started time.Duration
	for b.Loop() {
		begin := time.Now()
		s, err := m.Sandbox(b.Context(), "default/hello", "hello")
		if err != nil {
			b.Fatal(err)
		}
		made += time.Since(begin)
		m.start(s, pod.Container{Image: image, Args: []string{"/app", "serve", "8080"}})
		started += time.Since(begin)
		if got := ask(b, s, 8080, "/"); got != "hello" {
			b.Fatal(got)
		}
		b.StopTimer()
		if err := s.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
		for m.spares.making || m.spares.ready == nil {
			time.Sleep(time.Millisecond)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(made.Milliseconds())/float64(b.N), "ms-sandbox")
	b.ReportMetric(float64(started.Milliseconds())/float64(b.N), "ms-started")
}
