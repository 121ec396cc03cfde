package runtime

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/build/rootfs"
	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// The test's own program is what starts in sandboxes, and the program of its images.
func TestMain(m *testing.M) {
	if code, ours := sandbox.Inside(os.Args, os.Stdin, os.Stdout, rootfs.Guests()); ours {
		os.Exit(code)
	}
	if filepath.Base(os.Args[0]) == "app" {
		app(os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// app is a program of an image.
func app(args []string) {
	switch args[0] {
	case "serve":
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
		mux.HandleFunc("/read", func(w http.ResponseWriter, r *http.Request) {
			raw, err := os.ReadFile(r.URL.Query().Get("file"))
			fmt.Fprintf(w, "%s", raw)
			if err != nil {
				fmt.Fprint(w, err)
			}
		})
		mux.HandleFunc("/write", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, os.WriteFile(r.URL.Query().Get("file"), []byte("written"), 0o600))
		})
		mux.HandleFunc("/who", func(w http.ResponseWriter, _ *http.Request) {
			groups, _ := os.Getgroups()
			slices.Sort(groups)
			dir, _ := os.Getwd()
			host, _ := os.Hostname()
			fmt.Fprint(w, os.Getuid(), os.Getgid(), groups, dir, host, os.Getenv("PATH") != "", os.Getenv("HOSTNAME"), os.Getenv("HOME"))
		})
		fmt.Println(http.ListenAndServe(":"+args[1], mux))
	case "say":
		fmt.Println(args[1:])
	case "fetch": // says what it gets from each URL
		for _, url := range args[1:] {
			client := http.Client{Timeout: 5 * time.Second}
			response, err := client.Get(url)
			var body []byte
			if err == nil {
				body, err = io.ReadAll(response.Body)
			}
			fmt.Printf("%s: %q %v\n", url, body, err)
		}
	case "family": // leaves a process in a session of its own
		cmd := exec.Command(os.Args[0], "sleep", args[2])
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		fmt.Println(cmd.Start())
		if args[1] == "sleep" {
			time.Sleep(time.Hour)
		}
	case "sleep":
		time.Sleep(time.Hour)
	}
}

// machine is a registry and a runtime.
type machine struct {
	*Runtime
	t        testing.TB
	registry *regtest.Server
	address  string
	options  Options
}

func newMachine(t testing.TB) *machine { return newMachineOf(t, false) }

func newMachineOf(t testing.TB, plain bool) *machine {
	t.Helper()
	return newMachineWith(t, Options{noNamespaces: plain})
}

func newMachineWith(t testing.TB, options Options) *machine {
	t.Helper()
	server := regtest.New()
	address, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	m := &machine{t: t, registry: server, address: address, options: options}
	m.options.Dir, m.options.Path, m.options.Warn = t.TempDir(), os.Getenv("PATH"), func(text string) { t.Log(text) }
	m.open()
	t.Cleanup(func() {
		if err := errors.Join(m.Purge(context.Background()), m.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return m
}

func (m *machine) open() {
	m.t.Helper()
	var err error
	m.Runtime, err = New(context.Background(), m.options)
	if fault.KindOf(err) == fault.Conflict {
		m.t.Skipf("SKIPPED, no sandbox here: %v", err)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

type file struct {
	name    string
	mode    int64
	uid     int
	content string // "→" and the target for a link
}

func link(name, target string) file { return file{name, 0o777, 0, "→" + target} }

func layer(t testing.TB, files ...file) v1.Layer {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, f := range files {
		kind := byte(tar.TypeReg)
		if strings.HasSuffix(f.name, "/") {
			kind = tar.TypeDir
		}
		target, isLink := strings.CutPrefix(f.content, "→")
		if isLink {
			kind, f.content = tar.TypeSymlink, ""
		} else {
			target = ""
		}
		err := w.WriteHeader(&tar.Header{Name: f.name, Typeflag: kind, Linkname: target, Mode: f.mode, Uid: f.uid, Size: int64(len(f.content))})
		if err == nil {
			_, err = io.WriteString(w, f.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func program(t testing.TB) file {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	info, _ := debug.ReadBuildInfo()
	if !slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "CGO_ENABLED" && s.Value == "0" }) {
		t.Skip("SKIPPED, the images' program is this test's own, which has to be static: CGO_ENABLED=0")
	}
	return file{"app", 0o755, 0, string(self)}
}

// push makes an image of this machine's architecture.
func (m *machine) push(tag string, config v1.Config, layers ...v1.Layer) string {
	m.t.Helper()
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err == nil {
		var file *v1.ConfigFile
		if file, err = image.ConfigFile(); err == nil {
			file = file.DeepCopy()
			file.OS, file.Architecture, file.Config = m.platform.OS, m.platform.Architecture, config
			image, err = mutate.ConfigFile(image, file)
		}
	}
	if err != nil {
		m.t.Fatal(err)
	}
	client, err := registry.New(registry.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	ref, err := client.Push(context.Background(), image, m.address+"/"+tag)
	if err != nil {
		m.t.Fatal(err)
	}
	return ref
}

func (m *machine) pull(ref string) pod.Image {
	m.t.Helper()
	image, err := m.Pull(context.Background(), ref, nil)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, fault.HintOf(err))
	}
	return image
}

func (m *machine) sandbox() pod.Sandbox {
	m.t.Helper()
	s, err := m.Sandbox(context.Background(), "default/hello", "hello-1")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			m.t.Error(err)
		}
	})
	return s
}

func (m *machine) start(s pod.Sandbox, c pod.Container) pod.Process {
	m.t.Helper()
	p, err := s.Start(context.Background(), c)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, fault.HintOf(err))
	}
	return p
}

// ask asks a server in the sandbox, waiting until it listens.
func ask(t testing.TB, s pod.Sandbox, port int32, path string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx, port) }}}
	defer client.CloseIdleConnections()
	for range 3000 {
		response, err := client.Get("http://pod" + path)
		if errors.Is(err, syscall.ECONNREFUSED) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	t.Fatal("nobody listens")
	return ""
}

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
