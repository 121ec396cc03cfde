//go:build e2e

package dockerfiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/registry/regtest"
	"github.com/kn-lite/kn-lite/test/bases"
)

// Two users of this machine who own nothing. In the copy of /etc that the builds
// see, the first one has ranges of user and group ids for newuidmap.
const ranged, plain = 58231, 58232

// ownersMatter are the Dockerfiles whose result a user without ranges cannot
// have: in the sandbox there is one user, and what RUN does about others has no
// effect or is refused.
func ownersMatter() map[string]string {
	return map[string]string{
		"copy-chown":      "a link's owner is lost: only files and folders hold it in an attribute",
		"copy-stage":      "RUN changes an owner, and chmod 4755 after it",
		"run-chmod-base":  "RUN changes an owner",
		"run-owners":      "RUN changes owners",
		"run-tar":         "tar in RUN sets owners",
		"run-home":        "the user of USER writes a file",
		"run-user":        "the user of USER writes a file",
		"run-user-number": "the user of USER writes a file",
	}
}

// TestSameForEveryUser builds the corpus as root, as a user with ranges of ids
// and as one without: the digest does not depend on who builds. The gate builds those
// whose owners matter and a sixth of the others, FULL=1 all.
func TestSameForEveryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can build as other users")
	}
	if _, err := exec.LookPath("newuidmap"); err != nil {
		t.Fatal("no newuidmap: apt-get install uidmap")
	}
	m := newMachine(t)
	all := basics()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	full := os.Getenv("FULL") == "1"
	for i, name := range names {
		if _, matters := ownersMatter()[name]; i%6 != 0 && !matters && !full {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.ReplaceAll(all[name], "BASE", m.base)
			root, said, err := m.build(t, name, text, 0)
			if err != nil {
				t.Fatalf("root: %v\n%s", err, said)
			}
			got, said, err := m.build(t, name, text, ranged)
			if err != nil || got != root {
				t.Errorf("a user with ranges: %s, want %s, %v\n%s", got, root, err, said)
			}
			got, said, err = m.build(t, name, text, plain)
			why, matters := ownersMatter()[name]
			switch {
			case matters && err == nil && got == root:
				t.Errorf("a user without ranges has the same digest, although %s", why)
			case matters && !strings.Contains(said, "one user only"):
				t.Errorf("a user without ranges is not warned:\n%s", said)
			case !matters && (err != nil || got != root):
				t.Errorf("a user without ranges: %s, want %s, %v\n%s", got, root, err, said)
			}
		})
	}
	t.Logf("%d Dockerfiles, 3 users, %d of them need the ids that only two have", len(names), len(ownersMatter()))
}

// machine is what the three users share.
type machine struct {
	dir, base, program string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "kn-lite-users-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	m := &machine{dir: dir, program: filepath.Join(dir, "kn-lite")}
	program, err := os.ReadFile("../../bin/kn-lite")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(m.program, program, 0o755))
	}
	if err != nil {
		t.Fatalf("no kn-lite to test: run `make build` (%v)", err)
	}
	address, stop, err := regtest.Listen(regtest.New(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	m.base = address + "/busybox:1"
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	base, err := bases.Busybox(context.Background(), filepath.Join(cache, "kn-lite-test-bases"))
	if err == nil {
		err = bases.Push(context.Background(), base, m.base)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The machine's own /etc stays as it is: the builds see a copy.
	etc := filepath.Join(dir, "etc")
	if out, err := exec.Command("cp", "-a", "/etc", etc).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	add(t, filepath.Join(etc, "passwd"), fmt.Sprintf("kn-ranged:x:%d:%d::/nonexistent:/bin/sh\nkn-plain:x:%d:%d::/nonexistent:/bin/sh\n", ranged, ranged, plain, plain))
	for _, file := range []string{"subuid", "subgid"} {
		add(t, filepath.Join(etc, file), "kn-ranged:700000000:65536\n")
	}
	folder := filepath.Join(dir, "context")
	writeContext(t, folder)
	for _, uid := range []int{0, ranged, plain} {
		home := m.home(uid)
		if err := errors.Join(os.MkdirAll(home, 0o755), os.Chown(home, uid, uid)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *machine) home(uid int) string { return filepath.Join(m.dir, fmt.Sprint("home-", uid)) }

func add(t *testing.T, file, lines string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fs.FileMode(0o644))
	if err == nil {
		_, err = f.WriteString(lines)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// build builds a Dockerfile as a user and returns the image's digest.
func (m *machine) build(t *testing.T, name, text string, uid int) (digest, said string, err error) {
	t.Helper()
	file := filepath.Join(m.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	home := m.home(uid)
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c",
		fmt.Sprintf(`mount --bind %s /etc && exec setpriv --reuid %d --regid %d --clear-groups -- "$@"`, filepath.Join(m.dir, "etc"), uid, uid), "sh",
		m.program, "build", filepath.Join(m.dir, "context"), "--builder", "dockerfile", "--no-start-check", "--file", file, "--image", "registry.example/app:1", "-o", "oci:"+filepath.Join(home, name))
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	_, digest, _ = strings.Cut(strings.TrimSpace(stdout.String()), "@")
	return digest, stderr.String(), err
}
