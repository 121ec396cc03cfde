package sandbox

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// open is Open, which skips where this machine has no sandbox.
func open(t *testing.T, options Options) *Box {
	t.Helper()
	options.Path = os.Getenv("PATH")
	box, err := Open(context.Background(), options)
	if fault.KindOf(err) == fault.Conflict {
		t.Skipf("SKIPPED, no sandbox here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func closeBox(t *testing.T, box *Box) {
	t.Helper()
	if err := box.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestDeadBoxesAreSwept(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	first := open(t, options)
	root := newRoot(t, first)
	second := open(t, options)
	if _, err := os.Stat(root); err != nil {
		t.Errorf("the box of a process that lives was swept: %v", err)
	}
	if first.dir == second.dir {
		t.Fatalf("two processes share %s", first.dir)
	}
	// A killed process leaves its lock to the kernel.
	if err := second.lock.Close(); err != nil {
		t.Fatal(err)
	}
	third := open(t, options)
	if third.dir != second.dir {
		t.Errorf("the third box is %s, want the free one, %s", third.dir, second.dir)
	}
	if _, err := os.Stat(second.work); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the work of a dead process is still there: %v", err)
	}
	closeBox(t, third)
	if err := first.lock.Close(); err != nil {
		t.Fatal(err)
	}
	fourth := open(t, options)
	if _, err := os.Stat(first.work); fourth.dir == first.dir && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the work of a dead process is still there: %v", err)
	}
	closeBox(t, fourth)
}

// What a killed process has left in another box than the next one's goes too.
func TestOtherBoxesAreSwept(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	first, second := open(t, options), open(t, options)
	if err := second.lock.Close(); err != nil {
		t.Fatal(err)
	}
	closeBox(t, first)
	third := open(t, options)
	defer closeBox(t, third)
	if _, err := os.Stat(second.work); third.dir == second.dir || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the work of a dead process is still there: %v", err)
	}
}

// The lock is held as long as anything runs inside, and not only by the process
// that has started it.
func TestWhatRunsHoldsTheBox(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	first := open(t, options)
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ended := make(chan error, 1)
	out, outWriter, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	root := newRoot(t, first)
	go func() {
		ended <- first.Call(ctx, Call{Root: root, Guest: "echo", Args: "x", In: reader, Out: outWriter})
	}()
	if _, err := writer.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it runs
		t.Fatal(err)
	}
	if err := first.lock.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, options)
	if second.dir == first.dir {
		t.Error("a box was taken in which something runs")
	}
	closeBox(t, second)
	cancel()
	<-ended
	third := open(t, options)
	defer closeBox(t, third)
	if third.dir != first.dir {
		t.Errorf("%s is still held", first.dir)
	}
}

func TestHomeIsClosed(t *testing.T) {
	for _, umask := range []int{0, 0o027, 0o077, 0o777} {
		dir := filepath.Join(t.TempDir(), "cache")
		before := syscall.Umask(umask)
		if os.Getuid() == 0 {
			// What the store of layers makes is as the umask has it.
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if umask == 0o777 {
			syscall.Umask(before)
			continue // such a user cannot enter new folders at all
		}
		t.Cleanup(func() { syscall.Umask(before) })
		box := open(t, Options{Dir: dir})
		folder := filepath.Join(box.Home(), "mounts", "x")
		err := box.Folder(folder)
		syscall.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		if err := box.Call(context.Background(), Call{Root: folder, Guest: "look"}); err != nil {
			t.Errorf("umask %o: %v", umask, err)
		}
		info, err := os.Stat(filepath.Join(dir, homeName))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("umask %o: %v, %v", umask, info.Mode(), err)
		}
		closeBox(t, box)
	}
}

func TestPrivateFolder(t *testing.T) {
	top := t.TempDir()
	open := filepath.Join(top, "open")
	if err := errors.Join(os.Mkdir(open, 0o755), os.Chmod(open, 0o777), os.Symlink(open, filepath.Join(top, "link"))); err != nil {
		t.Fatal(err)
	}
	if _, err := privateFolder(filepath.Join(top, "link")); err == nil {
		t.Error("a link is taken for a folder")
	}
	if info, _ := os.Stat(open); info.Mode().Perm() != 0o777 {
		t.Errorf("the link's target was changed: %v", info.Mode())
	}
	if _, err := privateFolder(open); err != nil {
		t.Error(err)
	}
	if info, _ := os.Stat(open); info.Mode().Perm() != 0o700 {
		t.Errorf("a folder that was open has mode %v", info.Mode())
	}
	if os.Getuid() == 0 {
		if err := os.Chown(open, 4711, 4711); err != nil {
			t.Fatal(err)
		}
		if _, err := privateFolder(open); err == nil {
			t.Error("another user's folder is taken")
		}
	}
}

func TestRootsAlone(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("for root only")
	}
	top := t.TempDir()
	good, shared, foreign := filepath.Join(top, "good"), filepath.Join(top, "shared"), filepath.Join(top, "foreign")
	for _, dir := range []string{good, shared, foreign} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(top, "link")
	err := errors.Join(os.Chmod(shared, 0o777), os.Chown(foreign, 4711, 4711), os.Symlink(shared, link))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", "relative", shared, foreign, link, filepath.Join(foreign, "below"), "/etc/passwd"} {
		if rootsAlone(dir) == nil {
			t.Errorf("%q is taken for root's alone", dir)
		}
	}
	if err := errors.Join(rootsAlone(good), rootsAlone(filepath.Join(good, "not", "there"))); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(shared, fs.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	if err := rootsAlone(shared); err != nil {
		t.Errorf("a folder like /tmp: %v", err)
	}
	m := mapping{identity: Shifted}
	if got, err := m.openHome(foreign); err != nil || got != "/var/tmp/kn-lite-sandboxes" {
		t.Errorf("the home for another user's cache folder is %s, %v", got, err)
	}
}

func TestRootUsesTemp(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("everybody else's files are in the cache folder")
	}
	temp := t.TempDir()
	options := Options{Dir: t.TempDir(), Temp: temp}
	box := open(t, options)
	if filepath.Dir(box.work) != temp {
		t.Errorf("the work is in %s", box.work)
	}
	if info, err := os.Stat(box.work); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	newRoot(t, box)
	if err := box.lock.Close(); err != nil { // killed
		t.Fatal(err)
	}
	closeBox(t, open(t, options))
	if entries, err := os.ReadDir(temp); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// Versions before had folders that every user could enter.
func TestEarlierVersionsAreSwept(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	earlier := []string{filepath.Join(dir, "boxes")}
	if os.Getuid() == 0 {
		earlier = append(earlier, filepath.Join(temp, "kn-lite-root"))
	}
	var running string
	for _, at := range earlier {
		for _, sub := range []string{"box-1/root-1/bin", "box-2/root-1/bin", "mounts/shifted/0123/bin"} {
			if err := os.MkdirAll(filepath.Join(at, sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		running = filepath.Join(at, "box-2")
		lock, err := lockFolder(running)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
	}
	closeBox(t, open(t, Options{Dir: dir, Temp: temp}))
	for _, at := range earlier {
		info, err := os.Stat(at)
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is still open: %v", at, err)
		}
		if left, err := os.ReadDir(at); err != nil || len(left) != 1 || left[0].Name() != "box-2" {
			t.Errorf("%s: left are %v, %v", at, left, err)
		}
	}
}

func TestBoxesHaveIDsOfTheirOwn(t *testing.T) {
	options := Options{Dir: t.TempDir()}
	first, second := open(t, options), open(t, options)
	defer closeBox(t, first)
	defer closeBox(t, second)
	if first.ids.identity == Shifted && first.ids.high && first.ids.shiftTo == second.ids.shiftTo {
		t.Errorf("both have the ids from %d on", first.ids.shiftTo)
	}
	m := mapping{identity: Shifted, shiftTo: shiftedTo, shiftCount: idCount}
	if !m.forBox(1).overlaps([]idRange{{shiftedTo + idCount + 5, 1}}) || m.overlaps([]idRange{{100000, 65536}, {shiftedTo + idCount, 10}}) {
		t.Error("overlaps with ranges of other users are not seen")
	}
}

// Whoever cannot reach the folders of the host cannot do so inside either.
func TestOthersDoNotGetIn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs a second user")
	}
	top, err := os.MkdirTemp("/var/tmp", "sandbox-test-*") // t.TempDir may be closed
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	box := open(t, Options{Dir: top})
	defer closeBox(t, box)
	root := newRoot(t, box)
	for _, id := range []uint32{65534, uint32(box.ids.first())} {
		cmd := exec.Command("ls", root)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("user %d sees %s: %s", id, root, out)
		}
	}
}
