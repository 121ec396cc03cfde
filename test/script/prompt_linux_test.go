package script

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/kubestub"
)

// terminal is a program on a pseudo-terminal, as a person has it in front of them.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	seen strings.Builder
}

// onTerminal starts kn-lite with a terminal as its streams and its controlling one.
func onTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	p := &terminal{t: t, master: master, slave: slave, cmd: exec.Command("kn-lite", args...)}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir = slave, slave, slave, t.TempDir()
	p.cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "TERM=xterm")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() { kill.Stop() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			p.mu.Lock()
			p.seen.Write(buffer[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

func (p *terminal) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// await waits until a text is on the screen.
func (p *terminal) await(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.screen(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%q is not on the screen:\n%s", text, p.screen())
		}
	}
}

func (p *terminal) enter(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the program's end, and fails if that takes longer than people wait.
func (p *terminal) end(code int) {
	p.t.Helper()
	began := time.Now()
	err := p.cmd.Wait()
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		p.t.Fatal(err)
	}
	if got != code || time.Since(began) > 20*time.Second {
		p.t.Errorf("exit %d after %s, want %d:\n%s", got, time.Since(began), code, p.screen())
	}
	if !p.echoes() {
		p.t.Error("what is typed is not echoed any more")
	}
}

// echoes reports whether the terminal shows what is typed.
func (p *terminal) echoes() bool {
	state, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	return err == nil && state.Lflag&unix.ECHO != 0
}

// promptCluster starts a stand-in for a cluster and returns the environment that leads to it.
func promptCluster(t *testing.T) []string {
	t.Helper()
	manifests, err := os.ReadFile("clusters/hello.yaml")
	if err != nil {
		t.Fatal(err)
	}
	stub, err := kubestub.New(string(manifests))
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, stop := stub.Serve()
	t.Cleanup(stop)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"KUBECONFIG=" + file}
}

// A question on a real terminal takes an answer, an end of input and an interrupt.
func TestConfirmOnATerminal(t *testing.T) {
	t.Parallel()
	const question = "Delete hello with all revisions from namespace demo? [y/N] "
	for _, tt := range []struct {
		name, typed string
		code        int
		gone        bool
	}{
		{"yes", "y\n", 0, true},
		{"no", "\n", 1, false},
		{"another word", "yup\n", 1, false},
		{"end of input", "\x04", 1, false},
		{"Ctrl-C", "\x03", 130, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := promptCluster(t)
			p := onTerminal(t, env, "delete", "hello", "--wait=false")
			p.await(question)
			p.enter(tt.typed)
			p.end(tt.code)
			left := exec.Command("kn-lite", "describe", "hello")
			left.Env = append(env, "HOME="+t.TempDir())
			if gone := left.Run() != nil; gone != tt.gone {
				t.Errorf("it is gone: %v:\n%s", gone, p.screen())
			}
		})
	}
}

func TestSigtermAtAQuestion(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, promptCluster(t), "delete", "hello")
	p.await("[y/N] ")
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.end(143)
}

// Without a terminal, or with --no-input, nobody is asked.
func TestNoQuestionWithNoInput(t *testing.T) {
	t.Parallel()
	p := onTerminal(t, promptCluster(t), "delete", "hello", "--no-input", "--wait=false")
	p.end(0)
	if strings.Contains(p.screen(), "[y/N]") {
		t.Errorf("asked nevertheless:\n%s", p.screen())
	}
}

// A password is asked for without being shown, and the terminal is as before
// whatever comes.
func TestLoginOnATerminal(t *testing.T) {
	t.Parallel()
	server := regtest.New()
	server.Auth, server.User, server.Password = "basic", "ada", "lovelace"
	address, stop, err := regtest.Listen(server, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	secret := func(p *terminal) {
		p.await("Password or access token: ")
		for deadline := time.Now().Add(10 * time.Second); p.echoes() && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		if p.echoes() {
			t.Error("the password would be shown")
		}
	}
	for _, tt := range []struct {
		name, user, password string
		code                 int
		says                 string
	}{
		{"logged in", "ada\n", "lovelace\n", 0, "logged in to " + address},
		{"the wrong password", "ada\n", "babbage\n", 4, ""},
		{"no password", "ada\n", "\n", 2, "a login needs a password"},
		{"no user", "\n", "", 2, "a login needs a user's name"},
		{"Ctrl-C at the user", "\x03", "", 130, "interrupted"},
		{"Ctrl-C at the password", "ada\n", "\x03", 130, "interrupted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := onTerminal(t, nil, "registry", "login", address)
			p.await("User: ")
			p.enter(tt.user)
			if tt.password != "" {
				secret(p)
				p.enter(tt.password)
			}
			p.end(tt.code)
			p.await(tt.says)
			if strings.Contains(p.screen(), strings.TrimSpace(tt.password)) && strings.TrimSpace(tt.password) != "" && tt.password != "\x03" {
				t.Errorf("the screen:\n%s", p.screen())
			}
		})
	}
}
