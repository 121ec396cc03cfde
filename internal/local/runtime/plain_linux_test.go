package runtime

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kn-lite/kn-lite/internal/local/pod"
)

func TestPlainProcesses(t *testing.T) {
	m := newMachineOf(t, true)
	if m.plain == nil {
		t.Fatal("there are namespaces")
	}
	base := layer(t, program(t), file{"etc/", 0o755, 0, ""}, file{"etc/passwd", 0o644, 0, "ada:x:1234:5:Ada:/home/ada:/bin/sh\n"}, file{"data/", 0o755, 0, ""}, file{"data/old", 0o644, 0, "old"}, file{"gone", 0o644, 0, "x"})
	top := layer(t, file{".wh.gone", 0o644, 0, ""}, file{"data/.wh..wh..opq", 0o644, 0, ""}, file{"data/new", 0o644, 0, "new"})
	image := m.pull(m.push("hello:1", v1.Config{User: "ada"}, base, top))
	ports := map[int32]bool{}
	for range 2 {
		s := m.sandbox()
		port := s.Port(8080)
		if port == 8080 || ports[port] || s.Port(8080) != port {
			t.Errorf("port %d", port)
		}
		ports[port] = true
		p := m.start(s, pod.Container{Image: image, User: "ada", Args: []string{"/app", "serve", strconv.Itoa(int(port))}, Dir: "/data"})
		if got := ask(t, s, 8080, "/"); got != "hello" {
			t.Errorf("it says %q", got)
		}
		who := ask(t, s, 8080, "/who")
		if os.Geteuid() == 0 && !strings.HasPrefix(who, "1234 5 [5]/data") {
			t.Errorf("it is %q", who)
		}
		for name, want := range map[string]string{"new": "new", "old": "no such file", "../gone": "no such file"} {
			if got := ask(t, s, 8080, "/read?file="+name); !strings.Contains(got, want) {
				t.Errorf("%s has %q, want %q", name, got, want)
			}
		}
		var out bytes.Buffer
		if code, err := p.Exec(context.Background(), []string{"/app", "say", "hi"}, &out); code != 0 || err != nil || out.String() != "[hi]\n" {
			t.Errorf("exec: %d, %v, %q", code, err, out.String())
		}
		if code := stop(t, p); code != 143 {
			t.Errorf("it ended with %d", code)
		}
	}
	s := m.sandbox()
	if _, err := s.Start(t.Context(), pod.Container{Image: image, Args: []string{"/nothing"}}); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("no such program: %v", err)
	}
	if _, err := s.Start(t.Context(), pod.Container{Image: image, Args: []string{"/app", "sleep"}, Mounts: []pod.Mount{{Target: "/x"}}}); err == nil || !strings.Contains(err.Error(), "namespaces") {
		t.Errorf("a volume: %v", err)
	}
}

// What a plain program has started, in sessions of its own too, ends with it, with
// its pod and with the platform.
func TestPlainFamiliesEndTogether(t *testing.T) {
	m := newMachineOf(t, true)
	image := m.pull(m.push("hello:1", v1.Config{}, layer(t, program(t))))
	for _, how := range []string{"signal", "close", "program"} {
		marker := "plain-family-" + how + strconv.Itoa(os.Getpid())
		s := m.sandbox()
		mode := "sleep"
		if how == "program" {
			mode = "exit"
		}
		p := m.start(s, pod.Container{Image: image, Args: []string{"/app", "family", mode, marker}})
		if how != "program" {
			awaitRunning(t, marker, 2)
		}
		switch how {
		case "signal":
			if err := p.Signal(syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		case "close":
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		select {
		case <-p.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("it does not end")
		}
		awaitRunning(t, marker, 0)
	}
}

func awaitRunning(t *testing.T, word string, want int) {
	t.Helper()
	n := 0
	for range 1000 {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		n = 0
		for _, file := range files {
			if raw, err := os.ReadFile(file); err == nil && bytes.Contains(raw, []byte(word)) {
				n++
			}
		}
		if n == want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%d processes of %s, want %d", n, word, want)
}

// Nothing in a layer leads out of the folder that it is unpacked to.
func TestPlainLayersStayInTheirFolder(t *testing.T) {
	m := newMachineOf(t, true)
	outside := t.TempDir()
	for _, l := range []v1.Layer{
		layer(t, file{"../../escaped", 0o644, 0, "x"}),
		layer(t, link("out", outside), file{"out/escaped", 0o644, 0, "x"}),
		layer(t, link("out", "../../../../../../../../../.."+outside), file{"out/escaped", 0o644, 0, "x"}),
		layer(t, link("etc", "/"), link("hosts", "/etc/hosts"), file{"hosts", 0o644, 0, "x"}),
	} {
		_, err := m.Pull(t.Context(), m.push("hostile:1", v1.Config{}, l), nil)
		if err != nil {
			t.Log(err)
		}
		if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
			t.Errorf("outside there is %v, %v", entries, err)
		}
		found, err := filepath.Glob(filepath.Join(m.options.Dir, "escaped"))
		if err != nil || len(found) > 0 {
			t.Errorf("%q, %v", found, err)
		}
	}
}
