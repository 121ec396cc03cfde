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
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kn-lite/kn-lite/internal/fault"
	"github.com/kn-lite/kn-lite/internal/local/pod"
	"github.com/kn-lite/kn-lite/internal/registry"
	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/internal/rootfs"
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
