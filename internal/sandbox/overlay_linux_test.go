package sandbox

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel wants the highest folder first.
func TestLowerFoldersAreOrdered(t *testing.T) {
	if got, want := (layers{lower: []int{3, 4, 5}}).options(), "userxattr,lowerdir=/proc/self/fd/5:/proc/self/fd/4:/proc/self/fd/3"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOpenLayers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("a", filepath.Join(dir, "link")), os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	lower := []string{at("a"), at("b")}
	opened, err := openLayers(&Overlay{Lower: lower, Upper: at("upper"), Work: at("work")})
	if err != nil || len(opened.lower) != 2 || opened.upper < 0 || opened.work < 0 {
		t.Fatalf("%+v, %v", opened, err)
	}
	closeAll(append(opened.lower, opened.upper, opened.work))
	if opened, err = openLayers(&Overlay{Lower: lower}); err != nil || opened.upper != -1 || opened.work != -1 {
		t.Errorf("a read-only one: %+v, %v", opened, err)
	}
	closeAll(opened.lower)
	for name, overlay := range map[string]*Overlay{
		"nothing below":      {Upper: at("upper"), Work: at("work")},
		"too much below":     {Lower: make([]string, MaxLower+1)},
		"not there":          {Lower: []string{at("none")}},
		"a link":             {Lower: []string{at("a"), at("link")}},
		"a file":             {Lower: []string{at("file")}},
		"an upper link":      {Lower: lower, Upper: at("link"), Work: at("work")},
		"no folder for work": {Lower: lower, Upper: at("upper")},
	} {
		if _, err := openLayers(overlay); err == nil {
			t.Errorf("%s: it was opened", name)
		}
	}
}

// All that was opened on the host is closed before a program runs: one that is
// forgotten is a way out of the sandbox.
func TestAllPlacesAreClosed(t *testing.T) {
	p := places{
		stage: 1, root: 2, layers: layers{lower: []int{3, 4}, upper: 5, work: 6}, sources: []int{7, -1, 8},
		mounted: []layers{{}, {lower: []int{9}, upper: -1, work: -1}, {}},
	}
	seen := map[int]bool{}
	for _, fd := range p.all() {
		seen[fd] = true
	}
	for fd := 1; fd <= 9; fd++ {
		if !seen[fd] {
			t.Errorf("%d stays open", fd)
		}
	}
	if seen[0] {
		t.Error("standard input is among them")
	}
}

func TestChannel(t *testing.T) {
	ours, file, err := channelPair()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := openChannel(file)
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ours.send(podRequest{ID: 7, Kill: true}, int(writer.Fd())); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close() // the other end has its own
	var got podRequest
	files, err := theirs.receive(&got)
	if err != nil || got.ID != 7 || !got.Kill || len(files) != 1 {
		t.Fatalf("%+v with %v, %v", got, files, err)
	}
	flags, err := unix.FcntlInt(uintptr(files[0]), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("programs would inherit a file that came in: flags %#x, %v", flags, err)
	}
	received := os.NewFile(uintptr(files[0]), "pipe")
	_, _ = received.WriteString("through")
	_ = received.Close()
	if text, err := io.ReadAll(reader); err != nil || string(text) != "through" {
		t.Errorf("it says %q, %v", text, err)
	}

	long := strings.Repeat("x", maxMessage)
	if err := ours.send(long); err == nil || !strings.Contains(err.Error(), "the longest is") {
		t.Errorf("a message that is too long: %v", err)
	}
	if err := ours.send(long[:maxMessage-2]); err != nil { // with its quotes
		t.Errorf("the longest message: %v", err)
	}
	var text string
	if _, err := theirs.receive(&text); err != nil || len(text) != maxMessage-2 {
		t.Errorf("%d bytes of the longest message, %v", len(text), err)
	}
	// The files of a message that nobody understands are closed.
	before := openFiles(t)
	if err := ours.send("no object", int(reader.Fd())); err != nil {
		t.Fatal(err)
	}
	if files, err := theirs.receive(&got); err == nil || files != nil {
		t.Errorf("%v, %v", files, err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files are open, %d before", after, before)
	}
	_ = ours.close()
	if _, err := theirs.receive(&got); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// The memory of a container is that of its processes without what files give back.
func TestMemoryOfProcesses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"1/statm": "9000 9000 0 0 0 0 0\n", "2/statm": "100 50 20 1 0 10 0\n", "3/statm": "100 40 0 1 0 10 0\n",
		"4/statm": "gone\n", "self/statm": "9000 9000 0\n", "2/smaps_rollup": "Rss: 100 kB\nPss_Anon:            12 kB\n", "3/smaps_rollup": "Pss: 1 kB\n",
	} {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	proc, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	page := int64(os.Getpagesize())
	if got, want := sum(proc, resident), 70*page; got != want { // 50-20 and 40; not our own first process
		t.Errorf("resident: %d, want %d", got, want)
	}
	if got, want := sum(proc, proportional), 12<<10+40*page; got != want { // what a kernel does not say is taken as resident
		t.Errorf("proportional: %d, want %d", got, want)
	}
	if got := resident(proc, "5"); got != 0 {
		t.Errorf("a process that has ended has %d bytes", got)
	}
}

// A mount point appears where there is none, as the kind of thing that is mounted on it.
func TestMountPoints(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]Mount{"a/folder": {}, "b/file": {File: true}, "c/content": {Content: []byte("x")}, "there": {File: true}} {
		m.Target = filepath.Join(dir, name)
		if err := m.stub(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(m.Target)
		if err != nil || info.IsDir() != (m.Content == nil && !m.File) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "there")); err != nil || string(text) != "text" {
		t.Errorf("what is there was changed: %q, %v", text, err)
	}
	if err := (Mount{Target: filepath.Join(dir, "there", "below")}).stub(); err == nil {
		t.Error("a folder was made below a file")
	}
}
