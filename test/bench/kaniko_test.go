//go:build bench

package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kn-lite/kn-lite/internal/sandbox"
)

// kaniko unpacks images over / and deletes what is there, so it needs a / that
// nobody misses. It gets an empty one in kn-lite's own sandbox (new user, mount
// and pid namespaces, the host's files detached), and is started there by this
// program, which first makes sure that it is where it should be.
const (
	kanikoOutside = "bench-kaniko"        // FOLDER ARGS…: opens a sandbox and runs the next one in it
	kanikoInside  = "bench-kaniko-inside" // NONCE ARGS…: checks, and becomes kaniko
	kanikoTools   = "/bench"
)

// kanikoRoot is all that kaniko's root holds at the start, sorted.
func kanikoRoot() []string {
	return []string{"bench", "context", "dev", "kaniko", "nonce", "proc", "sys"}
}

func TestMain(m *testing.M) {
	if code, ours := sandbox.Inside(os.Args, os.Stdin, os.Stdout, nil); ours {
		os.Exit(code)
	}
	var err error
	switch {
	case len(os.Args) > 2 && os.Args[1] == kanikoOutside:
		err = sandboxKaniko(os.Args[2], os.Args[3:])
	case len(os.Args) > 1 && os.Args[1] == timeCommand:
		err = runTimed(os.Args[2:])
	case len(os.Args) > 2 && os.Args[1] == kanikoInside:
		err = becomeKaniko(os.Args[2], os.Args[3:])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func kaniko(t *testing.T, host, dir string) *dockerfileBuild {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tools := filepath.Join(dir, "tools")
	for from, to := range map[string]string{self: "bench.test", program(t, "kaniko"): "executor"} {
		if err := copyProgram(from, filepath.Join(tools, to)); err != nil {
			t.Fatal(err)
		}
	}
	b := &dockerfileBuild{}
	b.open(t, dir)
	b.contender = &contender{name: "kaniko", dir: dir, env: []string{"PATH=" + os.Getenv("PATH")}}
	b.commands = func(keep bool) [][]string {
		args := []string{
			filepath.Join(tools, "bench.test"), kanikoOutside, dir,
			"--force", "--context", "dir:///context", "--destination", host + "/kaniko:1", "--insecure", "--insecure-pull", "--verbosity", "error",
		}
		if keep {
			args = append(args, "--cache", "--cache-copy-layers", "--cache-repo", host+"/kaniko/cache")
		}
		return [][]string{args}
	}
	return b
}

func copyProgram(from, to string) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// sandboxKaniko runs kaniko with args on the context in dir.
func sandboxKaniko(dir string, args []string) (err error) {
	ctx := context.Background()
	box, err := sandbox.Open(ctx, sandbox.Options{Dir: filepath.Join(dir, "sandbox"), Path: os.Getenv("PATH")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close(ctx)) }()
	root, err := box.Root()
	if err != nil {
		return err
	}
	// What is mounted on has to be there.
	for _, name := range kanikoRoot() {
		if name != "nonce" {
			err = errors.Join(err, box.Folder(filepath.Join(root, name)))
		}
	}
	if err = errors.Join(err, os.WriteFile(filepath.Join(root, "nonce"), nil, 0o644)); err != nil {
		return err
	}
	nonce := rand.Text()
	return box.Call(ctx, sandbox.Call{Root: root, Out: os.Stderr, Err: os.Stderr, Command: &sandbox.Command{
		Args: append([]string{kanikoTools + "/bench.test", kanikoInside, nonce}, args...),
		// The first is what programs of the image need.
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"},
		Dir: "/",
		Mounts: []sandbox.Mount{
			{Target: kanikoTools, Source: filepath.Join(dir, "tools"), ReadOnly: true},
			{Target: "/context", Source: filepath.Join(dir, "context"), ReadOnly: true},
			{Target: "/nonce", Content: []byte(nonce), Mode: 0o444, ReadOnly: true},
			{Target: "/kaniko", Mode: 0o755},
		},
	}})
}

// becomeKaniko refuses to start kaniko anywhere but in the sandbox: with the
// nonce of this very run at hand, in a root with nothing in it but what was put
// there, among the few processes of a pid namespace, and as a user who is
// somebody else on the host.
func becomeKaniko(nonce string, args []string) error {
	said, err := os.ReadFile("/nonce")
	if err != nil {
		return fmt.Errorf("kaniko would run outside of its sandbox: %w", err)
	}
	if nonce == "" || string(said) != nonce {
		return fmt.Errorf("kaniko would run outside of its sandbox: the nonce is %q", said)
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, kanikoRoot()) {
		return fmt.Errorf("kaniko would run outside of its sandbox: / holds %q", names)
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if f := bytes.Fields(users); len(f) < 3 || string(f[1]) == "0" || os.Getppid() != 1 {
		return fmt.Errorf("kaniko would run outside of its sandbox: users %q, parent %d", strings.TrimSpace(string(users)), os.Getppid())
	}
	program := kanikoTools + "/executor"
	return syscall.Exec(program, append([]string{program}, args...), os.Environ())
}
