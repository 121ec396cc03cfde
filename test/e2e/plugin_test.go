//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pluginProject is a Go program without a func.yaml's language, and a PATH with the
// plugin of the documentation on it.
func pluginProject(t *testing.T) (s *sandbox, bin string) {
	t.Helper()
	s = newSandbox(t)
	bin = t.TempDir()
	s.Dir = filepath.Join(s.Dir, "app")
	kanikoGo(s)
	for _, name := range []string{"app", "Dockerfile"} {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile("../../internal/builder/plugin/testdata/kn-lite-builder-shell")
	if err == nil {
		err = os.WriteFile(filepath.Join(bin, "kn-lite-builder-shell"), raw, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.env, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") })
	s.knLiteEnv = []string{"PATH=" + bin + string(os.PathListSeparator) + strings.TrimPrefix(s.env[i], "PATH=")}
	return s, bin
}

// TestPlugin: a builder of thirty lines builds, is pushed and deployed, and answers.
func TestPlugin(t *testing.T) {
	s, _ := pluginProject(t)
	list := s.knLite(0, "builder", "list", "-o", "name").Stdout
	if !strings.Contains(list, "\nshell\n") || !strings.Contains(list, "kaniko\n") {
		t.Errorf("the builders are %q", list)
	}
	if out := s.knLite(0, "__complete", "build", "--builder", "").Stdout; !strings.Contains(out, "shell\n") {
		t.Errorf("completion offers %q", out)
	}
	s.knLite(0, "deploy", "--builder", "shell")
	s.answers(s.host("app"), func(body string) bool { return body == "hello from Go\n" })
	image := s.kubectl("-n", s.Namespace, "get", "ksvc", "app", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	local := s.knLite(0, "build", "--builder", "shell", "-o", "oci:"+t.TempDir()).Stdout
	if _, digest, _ := strings.Cut(strings.TrimSpace(local), "@"); !strings.HasSuffix(image, "@"+digest) {
		t.Errorf("deployed is %s, built again %s", image, local)
	}
	var check struct{ OK bool }
	if err := json.Unmarshal([]byte(s.knLite(0, "builder", "check", "shell", "-o", "json").Stdout), &check); err != nil || !check.OK {
		t.Errorf("the plugin of the documentation fails its check: %v", err)
	}
	s.knLite(2, "build", "--builder", "shell", "--platform", "linux/s390x", "--push")
}

// TestPluginBroken: each is refused with its name, nothing is pushed, and nothing of it
// runs any more.
func TestPluginBroken(t *testing.T) {
	s, bin := pluginProject(t)
	shell, err := os.ReadFile(filepath.Join(bin, "kn-lite-builder-shell"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		script string
		code   int
		want   string
	}{
		"hangs":          {"#!/bin/sh\nsleep 601\n", 8, "did not end before the deadline"},
		"lies":           {strings.Replace(string(shell), `"digest":"sha256:%s"}\n' "$digest"`, `"digest":"sha256:%064d"}\n' 0`, 1), 7, "says that it has built sha256:0000"},
		"writes-outside": {string(shell) + "\necho mine > \"$KN_LITE_BUILDER_SOURCE/mine\"\n", 7, "mine of the project was written"},
		"leaves-child":   {string(shell) + "\nsleep 602 > /dev/null 2>&1 &\n", 7, "left processes running"},
	} {
		if err := os.WriteFile(filepath.Join(bin, "kn-lite-builder-"+name), []byte(test.script), 0o755); err != nil {
			t.Fatal(err)
		}
		args := []string{"deploy", "--builder", name}
		if name == "hangs" {
			args = []string{"build", "--push", "--builder", name, "--timeout", "3s"}
		}
		r := s.knLite(test.code, args...)
		if !strings.Contains(r.Stderr, "kn-lite-builder-"+name+": ") || !strings.Contains(r.Stderr, test.want) {
			t.Errorf("%s: stderr does not name it and say %q", name, test.want)
		}
		if err := os.RemoveAll(filepath.Join(s.Dir, "mine")); err != nil {
			t.Fatal(err)
		}
	}
	if services := s.names("ksvc"); len(services) > 0 {
		t.Errorf("there are %v", services)
	}
	for _, command := range []string{"sleep 601", "sleep 602"} {
		if out, err := exec.Command("pgrep", "-fx", command).Output(); err == nil {
			t.Errorf("%s runs: %s", command, out)
		}
	}
	r := s.knLite(2, "build", "--builder", "shel", "--push")
	if !strings.Contains(r.Stderr, `did you mean "shell"?`) {
		t.Error("a mistyped plugin gets no hint")
	}
}

// TestPluginInterrupted: Ctrl-C and a kill end the plugin with all that it has started.
func TestPluginInterrupted(t *testing.T) {
	s, bin := pluginProject(t)
	script := "#!/bin/sh\nsleep 603 &\necho \"child $! of $$\" >&2\necho it runs >&2\nwait\n"
	if err := os.WriteFile(filepath.Join(bin, "kn-lite-builder-slow"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGKILL: -1} {
		cmd := exec.CommandContext(t.Context(), s.program(t, "kn-lite"), "-n", s.Namespace, "build", "--builder", "slow", "--push")
		cmd.Dir, cmd.Env = s.Dir, slices.Concat(s.env, s.knLiteEnv)
		said := &waitFor{text: []byte("it runs\n"), found: make(chan struct{})}
		cmd.Stderr = said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-said.found:
		case <-time.After(time.Minute):
			t.Fatal("the plugin did not begin")
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s: exit code %d, want %d", signal, got, code)
		}
		var child, parent int
		_, after, _ := strings.Cut(string(said.all), "child ")
		if _, err := fmt.Sscanf(after, "%d of %d", &child, &parent); err != nil {
			t.Fatalf("the plugin said %q: %v", said.all, err)
		}
		if signal == syscall.SIGKILL {
			// The plugin itself ends with kn-lite; what it has started is not known to the system.
			s.eventually(5*time.Second, "the plugin ends with kn-lite", func() string { return running(parent) })
			_ = syscall.Kill(child, syscall.SIGKILL)
			continue
		}
		if still := running(parent) + running(child); still != "" {
			t.Errorf("%s: %s", signal, still)
		}
	}
}

// running says that a process is there, and no zombie.
func running(pid int) string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || strings.Contains(string(raw), ") Z ") {
		return ""
	}
	return fmt.Sprintf("process %d runs. ", pid)
}
