package devrun

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kn-lite/kn-lite/internal/fault"
)

// TestRenamer writes names in pieces of every length.
func TestRenamer(t *testing.T) {
	const text = "at /cache/run/app/index.js:1 and /cache/run/apple /cache/ru"
	for size := 1; size <= len(text); size++ {
		var out strings.Builder
		r := newRenamer(&out, []Shown{{From: "/cache/run/app/", To: "/home/me/hello/"}})
		for at := 0; at < len(text); at += size {
			if n, err := r.Write([]byte(text[at:min(at+size, len(text))])); err != nil || n == 0 {
				t.Fatal(n, err)
			}
		}
		r.flush()
		if got, want := out.String(), "at /home/me/hello/index.js:1 and /cache/run/apple /cache/ru"; got != want {
			t.Fatalf("in pieces of %d: %s", size, got)
		}
	}
	var out strings.Builder
	r := newRenamer(&out, []Shown{{From: "/cache", To: "/home"}})
	if _, err := r.Write([]byte("name? ")); err != nil || out.String() != "name? " {
		t.Errorf("a question without a line end: %q %v", out.String(), err)
	}
}

// TestRecords looks for functions that run, have ended, and were killed.
func TestRecords(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	find := func() *Record {
		t.Helper()
		r, err := Find(state, dir)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := find(); r != nil {
		t.Errorf("there is %v", r)
	}
	now := time.Now().UTC().Truncate(0)
	first := Record{Name: "hello", URL: "http://localhost:8080", PID: 1, Dir: dir, Started: now}
	second := Record{Name: "hello", URL: "http://localhost:8081", PID: 2, Dir: dir, Started: now.Add(time.Second)}
	endFirst, err := first.Save(state)
	if err != nil {
		t.Fatal(err)
	}
	endSecond, err := second.Save(state)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if r, err := Find(state, link); err != nil || r == nil || r.URL != second.URL {
		t.Errorf("by a link there is %v %v, want the one that was started last", r, err)
	}
	if err := endSecond(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&first, find()); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(filepath.Join(recordFolder(state, dir), "1.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the record: %v %v", info, err)
	}
	if err := endFirst(); err != nil {
		t.Fatal(err)
	}
	// What a killed process has left is not locked.
	stale := filepath.Join(recordFolder(state, dir), "3.json")
	if err := os.WriteFile(stale, []byte(`{"url": "http://localhost:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := find(); r != nil {
		t.Errorf("there is %v", r)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("what is stale is still there")
	}
}

// TestStages makes folders for programs, and removes those of killed processes.
func TestStages(t *testing.T) {
	cache := t.TempDir()
	abandoned := filepath.Join(cache, "run", "abandoned")
	if err := errors.Join(os.MkdirAll(filepath.Join(abandoned, "app"), 0o755), os.WriteFile(abandoned+stageSuffix, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	one, remove, err := NewStage(cache, "/project")
	if err != nil {
		t.Fatal(err)
	}
	other, removeOther, err := NewStage(cache, "/other")
	if err != nil || one == other {
		t.Fatal(one, other, err)
	}
	if _, err := os.Stat(abandoned); err == nil {
		t.Error("the abandoned one is still there")
	}
	if _, err := os.Stat(one); err != nil {
		t.Error("one in use is gone: ", err)
	}
	if err := errors.Join(remove(), removeOther()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(cache, "run")); err != nil || len(left) > 0 {
		t.Errorf("left are %v %v", left, err)
	}
}

// TestListen takes ports and the ones after them.
func TestListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, text, _ := net.SplitHostPort(taken.Addr().String())
	port, _ := strconv.Atoi(text)
	_, _, err = Listen(t.Context(), port, true)
	if fault.KindOf(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Errorf("the error is %v", err)
	}
	listeners, at, err := Listen(t.Context(), port, false)
	if err != nil || at <= port {
		t.Fatalf("it is %d after %d, %v", at, port, err)
	}
	for _, l := range listeners {
		l.Close()
	}
}

// TestAtPort changes the port that an image has, and nothing else.
func TestAtPort(t *testing.T) {
	got := atPort([]string{"--bind", "0.0.0.0:8080", "--listen=0.0.0.0:8080", "8080", ":8080", "18080", "a:80801"}, 5)
	if diff := cmp.Diff([]string{"--bind", "127.0.0.1:5", "--listen=127.0.0.1:5", "5", ":5", "18080", "a:80801"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestWatch changes files in the ways of editors and tools.
func TestWatch(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	put := func(name string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(time.Now().String()), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"main.go", "deep/er/x.go", "skipped/y.go"} {
		put(at(name))
	}
	manifest := filepath.Join(outside, "go.work")
	put(manifest)
	w := newWatcher()
	defer w.close()
	err := w.watch(&Sources{Folders: []Folder{{Dir: dir, Skip: func(name string, _ bool) (bool, bool) {
		skipped := strings.HasPrefix(name, "skipped") || strings.HasSuffix(name, ".swp")
		return skipped, skipped
	}}}, Files: []string{manifest, filepath.Join(outside, "missing", "file")}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func()
		want   bool
	}{
		{"a write", func() { put(at("main.go")) }, true},
		{"a rename over it", func() {
			put(filepath.Join(outside, "new"))
			if err := os.Rename(filepath.Join(outside, "new"), at("main.go")); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a write after that", func() { put(at("main.go")) }, true},
		{"a deeper file", func() { put(at("deep/er/x.go")) }, true},
		{"a new folder", func() { put(at("new/folder/z.go")) }, true},
		{"a file in the new folder", func() { put(at("new/folder/z.go")) }, true},
		{"a removed file", func() { _ = os.Remove(at("new/folder/z.go")) }, true},
		{"a file of what says what counts", func() { put(manifest) }, true},
		{"its neighbour", func() { put(filepath.Join(outside, "other")) }, false},
		{"an editor's own file", func() { put(at("main.go.swp")) }, false},
		{"what is skipped", func() { put(at("skipped/y.go")); put(at("skipped/new/z.go")) }, false},
		{"a mode", func() { _ = os.Chmod(at("main.go"), 0o600) }, false},
	}
	for _, tt := range tests {
		tt.change()
		wait := 10 * time.Second
		if !tt.want {
			wait = 100 * time.Millisecond
		}
		got := false
		select {
		case <-w.changed:
			got = true
			// All events of one change, also on a slow machine.
			for calm := false; !calm; {
				select {
				case <-w.changed:
				case <-time.After(100 * time.Millisecond):
					calm = true
				}
			}
		case <-time.After(wait):
		}
		if got != tt.want {
			t.Errorf("%s: noticed is %t", tt.name, got)
		}
	}
	if !w.takeDefining() || w.takeDefining() {
		t.Error("the manifest's change is not told from others")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := false
	for range 100 { // whichever comes first
		w.note()
		ended = ended || !w.settle(ctx)
	}
	if !ended {
		t.Error("it does not end with its context")
	}
}

// TestPoll looks at files where the system does not tell of changes.
func TestPoll(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	manifest := filepath.Join(outside, "go.work")
	w := &watcher{changed: make(chan struct{}, 1), stop: make(chan struct{}), sources: &Sources{}}
	defer w.close()
	err := w.watch(&Sources{Files: []string{manifest}, Folders: []Folder{{Dir: dir, Skip: func(name string, _ bool) (bool, bool) { return name == "skipped", true }}}})
	if err == nil {
		t.Error("it does not say that it is slow")
	}
	time.Sleep(100 * time.Millisecond) // for the first look
	for i, name := range []string{filepath.Join(dir, "skipped", "x"), filepath.Join(dir, "deep", "x"), manifest} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
		got := false
		select {
		case <-w.changed:
			got = true
		case <-time.After(time.Duration(2+8*min(i, 1)) * time.Second):
		}
		if got != (i > 0) || w.takeDefining() != (name == manifest) {
			t.Errorf("%s: noticed is %t", name, got)
		}
	}
}
