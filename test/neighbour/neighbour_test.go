//go:build e2e

// Package neighbour attacks Dockerfile builds as another user of the same machine
// does: it reads what they leave open, and runs the set-uid programs that hostile
// builds leave behind.
package neighbour

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/bases"
)

// Users of this machine who own nothing: the attacker, one who builds, and one
// whose files are as open as an ordinary user's would have to be.
const attacker, ordinary, bystander = 58233, 58234, 58235

// TestNeighbour plays for each kind of victim: a hostile build leaves a set-uid
// program in a cache mount and in its files; another build of the same user is
// under way with sources in a closed folder; a second user reads and changes what
// can be reached. The attack is proved by a copy of the victim's folders with the
// modes that they would have in a place that is open.
func TestNeighbour(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can be three users")
	}
	for _, tt := range []struct {
		name  string
		uid   uint32
		umask string
		temp  bool
	}{
		{"root", 0, "022", false},
		{"root with umask 0", 0, "000", false},
		{"root with TMPDIR", 0, "022", true},
		{"ordinary user", ordinary, "002", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t, tt.uid, tt.umask, tt.temp)
			m.build(t, "hostile")
			running, release := m.start(t, "victim")
			select {
			case <-running:
			case <-time.After(time.Minute):
				t.Fatal("the victim's RUN did not begin")
			}
			program := m.openCopy(t)
			proof := attack(t, m.attack, attacker, m.open)
			for _, want := range []string{"SETUID", "WROTE", "CANARY " + m.open} {
				if !strings.Contains(proof, want) {
					t.Fatalf("the attack has no effect on folders that are open, want %q:\n%s", want, proof)
				}
			}
			// As the second user, and as the very user that the build runs as.
			as := regexp.MustCompile(`RUNS as (\d+)`).FindStringSubmatch(proof)
			if as == nil || as[1] == strconv.Itoa(attacker) {
				t.Fatalf("the set-uid program of the open copy runs as nobody else:\n%s", proof)
			}
			attacks := map[string]string{
				"second user": attack(t, m.attack, attacker, m.cache, m.temp, "/var/tmp/kn-lite-sandboxes", "/var/tmp/kn-lite-root"),
			}
			if tt.uid == 0 { // an ordinary user's builds run as that user
				attacks["set-uid inside"] = m.attackSetUID(t, program)
			}
			for name, said := range attacks {
				for line := range strings.Lines(said) {
					if name == "set-uid inside" && strings.HasPrefix(line, "RUNS as") {
						continue
					}
					t.Errorf("%s: %s", name, line)
				}
			}
			said := release()
			if !strings.Contains(said, "the input is original") {
				t.Errorf("the victim's build: %s", said)
			}
		})
	}
}

type machine struct {
	uid          uint32
	umask        string
	dir          string // open to everybody, as on shared machines
	cache, temp  string
	project      string // closed
	open         string
	attack, base string
	listener     net.Listener
	running, end chan struct{}
}

func newMachine(t *testing.T, uid uint32, umask string, temp bool) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "kn-lite-neighbour-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	m := &machine{
		uid: uid, umask: umask, dir: dir, cache: filepath.Join(dir, "cache"), project: filepath.Join(dir, "project"),
		open: filepath.Join(dir, "open"), attack: filepath.Join(dir, "attack"), running: make(chan struct{}), end: make(chan struct{}),
	}
	must(t, os.Chmod(dir, 0o755))
	for folder, mode := range map[string]os.FileMode{m.cache: 0o755, m.project: 0o700, m.open: 0o755} {
		must(t, os.Mkdir(folder, mode))
		must(t, os.Chown(folder, int(uid), int(uid)))
	}
	if temp {
		m.temp = filepath.Join(dir, "tmp")
		must(t, os.Mkdir(m.temp, 0o777))
		must(t, os.Chmod(m.temp, os.ModeSticky|0o777))
	}
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	for _, at := range []string{m.attack, filepath.Join(m.project, "attack")} {
		must(t, os.WriteFile(at, self, 0o755))
	}
	program, err := os.ReadFile("../../bin/kn-lite")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "kn-lite"), program, 0o755))
	m.serve(t)
	for name, content := range map[string]string{
		victim: "original\n", "source.txt": canary + "\n",
		"hostile": `FROM ` + m.base + `
COPY attack /attack
RUN --mount=type=cache,target=/cache cp /attack /cache/attack && chmod 6755 /cache/attack /attack && echo ` + canary + ` > /cache/canary.txt
`,
		"victim": `FROM ` + m.base + `
COPY input.txt source.txt /src/
COPY --chmod=6755 attack /src/attack
RUN --mount=type=cache,target=/cache wget -qO- http://` + m.listener.Addr().String() + `/
RUN echo "the input is $(cat /src/input.txt)"
`,
	} {
		must(t, os.WriteFile(filepath.Join(m.project, name), []byte(content), 0o600))
	}
	must(t, filepath.WalkDir(m.project, func(at string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(at, int(uid), int(uid))
	}))
	return m
}

// serve brings up the registry with the base, and what the victim's RUN waits for.
func (m *machine) serve(t *testing.T) {
	t.Helper()
	address, stop, err := regtest.Listen(regtest.New(), nil)
	must(t, err)
	t.Cleanup(stop)
	m.base = address + "/busybox:1"
	cache, err := os.UserCacheDir()
	must(t, err)
	base, err := bases.Busybox(context.Background(), filepath.Join(cache, "kn-lite-test-bases"))
	must(t, err)
	must(t, bases.Push(context.Background(), base, m.base))
	m.listener, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(m.running)
		<-m.end
	})}
	go func() { _ = server.Serve(m.listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

func (m *machine) command(ctx context.Context, file string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", "umask "+m.umask+`; exec "$@"`, "sh", filepath.Join(m.dir, "kn-lite"), "build", m.project,
		"--builder", "dockerfile", "--file", filepath.Join(m.project, file), "--image", "registry.example/app:1", "--output", "tar:"+filepath.Join(m.project, "image.tar"), "-v")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.project, "XDG_CACHE_HOME=" + m.cache, "TMPDIR=" + m.temp, "SECRET=" + canary}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: m.uid, Gid: m.uid}}
	return cmd
}

func (m *machine) build(t *testing.T, file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if out, err := m.command(ctx, file).CombinedOutput(); err != nil {
		t.Fatalf("build of %s: %v\n%s", file, err, out)
	}
}

// start begins a build whose RUN waits until release.
func (m *machine) start(t *testing.T, file string) (running <-chan struct{}, release func() (said string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := m.command(ctx, file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &out
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(cancel)
	return m.running, func() string {
		close(m.end)
		if err := <-ended; err != nil {
			t.Errorf("build of %s: %v", file, err)
		}
		return out.String()
	}
}

// openCopy copies the folders of the builds into one that is open, with modes that
// let others in, and returns the set-uid program among them.
func (m *machine) openCopy(t *testing.T) string {
	t.Helper()
	for i, from := range []string{m.cache, m.temp} {
		if from == "" {
			continue
		}
		out, err := exec.Command("cp", "-a", from, filepath.Join(m.open, fmt.Sprint(i))).CombinedOutput()
		if err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
	}
	program := ""
	must(t, filepath.WalkDir(m.open, func(at string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode()
		if entry.IsDir() {
			mode = 0o755
		}
		if mode&os.ModeSetuid != 0 {
			program = at
		}
		if m.uid != 0 {
			// The build's own user needs no attack to change what is theirs.
			err = os.Lchown(at, bystander, bystander)
		}
		if err == nil && mode.Type() != os.ModeSymlink {
			err = os.Chmod(at, mode) // changing the owner takes the bit away
		}
		return err
	}))
	if program == "" {
		t.Fatal("the hostile build left no set-uid program")
	}
	return program
}

// attackSetUID runs the set-uid program as the attacker.
func (m *machine) attackSetUID(t *testing.T, program string) string {
	t.Helper()
	cmd := exec.Command(program, argWrite, m.cache, m.temp, "/var/tmp/kn-lite-sandboxes")
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: attacker, Gid: attacker}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
