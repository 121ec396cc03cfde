package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// The test binary is its own guest, as kn-lite is.
func TestMain(m *testing.M) {
	guests := map[string]Guest{
		"look": look, "echo": echo, "fail": fail, "users": users, "owners": owners,
		"fill": func(json.RawMessage, io.Reader, io.Writer) (any, error) { return nil, fill() },
	}
	maps.Copy(guests, chainGuests())
	if code, ours := Inside(os.Args, os.Stdin, os.Stdout, guests); ours {
		os.Exit(code)
	}
	if len(os.Args) > 2 && os.Args[1] == argMember {
		member(os.Args[2:])
		return
	}
	if len(os.Args) > 3 && os.Args[1] == argPlatform {
		platform(os.Args[2], os.Args[3:])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == argMounts {
		describe(os.Args[2:])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == argProbe {
		probe(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

type seen struct {
	PID    int
	UID    int
	Groups []int
	Env    []string
	Root   []string
	Host   string
	Files  []string // open files above stderr that are not ours
}

func look(json.RawMessage, io.Reader, io.Writer) (any, error) {
	s := seen{PID: os.Getpid(), UID: os.Getuid(), Env: os.Environ()}
	s.Groups, _ = os.Getgroups()
	s.Host, _ = os.Hostname()
	entries, err := os.ReadDir("/")
	for _, e := range entries {
		s.Root = append(s.Root, e.Name())
	}
	return s, err
}

func echo(raw json.RawMessage, in io.Reader, out io.Writer) (any, error) {
	var word string
	if err := json.Unmarshal(raw, &word); err != nil {
		return nil, err
	}
	n, err := io.Copy(out, in)
	return fmt.Sprintf("%s %d", word, n), err
}

func fail(json.RawMessage, io.Reader, io.Writer) (any, error) {
	return nil, fault.New(fault.Build, "test", "", "the user's mistake")
}

// openBox skips where this machine has no sandbox, and says why.
func openBox(t testing.TB) *Box {
	t.Helper()
	box, err := Open(context.Background(), Options{Dir: t.TempDir(), Path: os.Getenv("PATH")})
	if fault.KindOf(err) == fault.Conflict {
		t.Skipf("SKIPPED, no sandbox here: %v\n%s", err, fault.HintOf(err))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(box.work); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the work of the box is still there: %v", err)
		}
	})
	return box
}

func newRoot(t *testing.T, box *Box) string {
	t.Helper()
	root, err := box.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestGuestSeesNothingOfTheHost(t *testing.T) {
	t.Setenv("KN_LITE_TEST_SECRET", "canary")
	// Whoever starts us may leave files open; a folder would be a way out.
	leaked, err := syscall.Open("/", syscall.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leaked)
	box := openBox(t)
	var got seen
	if err := box.Call(context.Background(), Call{Root: newRoot(t, box), Guest: "look", Reply: &got}); err != nil {
		t.Fatal(err)
	}
	if got.PID != 1 || got.UID != 0 || len(got.Root) != 0 || got.Host != "build" {
		t.Errorf("inside: %+v", got)
	}
	for _, kv := range got.Env {
		t.Errorf("inside the environment has %s", kv)
	}
}

func TestGuestStreams(t *testing.T) {
	box := openBox(t)
	var out bytes.Buffer
	var reply string
	content := strings.Repeat("0123456789", 100_000)
	err := box.Call(context.Background(), Call{Root: newRoot(t, box), Guest: "echo", Args: "n =", Reply: &reply, In: strings.NewReader(content), Out: &out})
	if err != nil || out.String() != content || reply != "n = 1000000" {
		t.Errorf("reply %q, %d bytes, %v", reply, out.Len(), err)
	}
	if err := box.Call(context.Background(), Call{Root: newRoot(t, box), Guest: "fail"}); fault.KindOf(err) != fault.Build || err.Error() != "the user's mistake" {
		t.Errorf("a guest that fails: %v", err)
	}
	if err := box.Call(context.Background(), Call{Root: newRoot(t, box), Guest: "nobody"}); err == nil {
		t.Error("an unknown guest is no error")
	}
}

func TestFilesBelongToTheSandbox(t *testing.T) {
	box := openBox(t)
	root := newRoot(t, box)
	info, err := os.Stat(root)
	if err != nil {
		t.Fatal(err)
	}
	want := uint32(os.Getuid())
	if box.ids.identity == Shifted {
		want = uint32(box.ids.shiftTo)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
		t.Errorf("a root belongs to %d, want %d", got, want)
	}
	mapped, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("identity %s; the test itself runs with the map %s", box.ids.identity, strings.TrimSpace(string(mapped)))
}

func TestCancelledCallEnds(t *testing.T) {
	box := openBox(t)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	reader, writer := io.Pipe() // never written to
	defer writer.Close()
	defer reader.Close()
	started := time.Now()
	err := box.Call(ctx, Call{Root: newRoot(t, box), Guest: "echo", Args: "x", In: reader})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 20*time.Second {
		t.Errorf("err = %v after %v", err, time.Since(started))
	}
}

func TestTypedNameDoesNothing(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{argEnter}
	if err := cmd.Run(); err == nil {
		t.Error("the entrance is open to everybody")
	}
}

func TestRefusedExplains(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EPERM, syscall.EINVAL} {
		got := refused(&os.PathError{Op: "fork/exec", Path: "/proc/self/exe", Err: err})
		if fault.KindOf(got) != fault.Conflict || !strings.Contains(fault.HintOf(got), "{Builder} cluster") || !errors.Is(got, err) {
			t.Errorf("%v: %v (%q)", err, got, fault.HintOf(got))
		}
	}
}

func TestSubordinate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "subuid")
	if err := os.WriteFile(file, []byte("# none\nada:100000:65536\n1001:300000:1000\nbad:x:y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		names []string
		want  idRange
	}{
		{[]string{"1000", "ada"}, idRange{100000, 65536}},
		{[]string{"1001", "bob"}, idRange{300000, 1000}},
	} {
		if got, err := subordinate(file, tt.names); err != nil || got != tt.want {
			t.Errorf("%v: %v, %v", tt.names, got, err)
		}
	}
	for _, name := range []string{"bad", "eve"} {
		if got, err := subordinate(file, []string{name}); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestShiftFor(t *testing.T) {
	for _, tt := range []struct{ uids, gids, first, count int }{
		{1 << 32, 1 << 32, shiftedTo, idCount}, // a machine
		{65536, 65536, 1, 65535},               // a rootless container
		{1, 1, 0, 0},
		{65536, 1, 0, 0},
	} {
		if first, count := shiftFor(tt.uids, tt.gids); first != tt.first || count != tt.count {
			t.Errorf("%d uids, %d gids: %d ids from %d, want %d from %d", tt.uids, tt.gids, count, first, tt.count, tt.first)
		}
	}
	file := filepath.Join(t.TempDir(), "uid_map")
	if err := os.WriteFile(file, []byte("         0       1000          1\n         1     100000      65536\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mappedIDs(file); got != 65537 {
		t.Errorf("%d ids", got)
	}
}
