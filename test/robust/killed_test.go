//go:build e2e

package robust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kill runs the program and kills it after a part of the time that it is expected
// to take. It reports whether it was killed before it ended.
func (w *place) kill(after time.Duration, args ...string) bool {
	w.t.Helper()
	cmd := w.command(args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended
	defer timer.Stop()
	// Tools that it has started go on, and hold its stderr.
	cmd.WaitDelay = time.Second
	_ = cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// moments is how many times each command is killed.
func moments() int {
	if os.Getenv("FULL") != "" {
		return 50
	}
	return 3
}

// killedAt calls kill at moments that are spread over took, until it has been
// killed as often as it should.
func killedAt(t *testing.T, took time.Duration, kill func(n int, after time.Duration) bool) {
	t.Helper()
	killed, ended := 0, 0
	for killed < moments() {
		part := (float64(killed) + rand.Float64()) / float64(moments())
		// What ended before its moment is tried again, earlier.
		after := time.Duration(part * float64(took) / float64(1+ended/4))
		if kill(killed+ended, after) {
			killed++
		} else if ended++; ended > 10*moments() {
			t.Fatalf("%d times it had ended before its moment, and %d times it was killed", ended, killed)
		}
	}
	t.Logf("killed %d times within %v; %d times it had ended before", killed, took.Round(time.Millisecond), ended)
}

// testKilled kills builds that push.
func testKilled(t *testing.T, l *lab) {
	for _, p := range projects() {
		if p.slow {
			continue
		}
		t.Run(p.language, func(t *testing.T) {
			w := l.newPlace(t, p)
			w.build()
			before := files(t, w.cache)
			w.edit("next")
			start := time.Now()
			right := w.build()
			took := time.Since(start)
			killedAt(t, took, func(n int, after time.Duration) bool {
				// What is known of this build is forgotten, what broken off ones left is not.
				for _, at := range files(t, w.cache) {
					if !slices.Contains(before, at) && !unfinished.MatchString(filepath.Base(at)) {
						_ = os.Remove(at) // a tool may have been faster
					}
				}
				tag := fmt.Sprintf("%s/killed/%s%d:1", l.address, p.language, n)
				killed := w.kill(after, "build", w.dir, "--push", "--image", tag)
				l.checkTag(t, tag)
				if got := w.build(); got != right {
					t.Errorf("after a build that was killed after %v: %s, not %s", after, got, right)
				}
				return killed
			})
			w.checkSwept()
		})
	}
}

// testKilledPush kills what only pushes: the blobs of an image that is there.
func testKilledPush(t *testing.T, l *lab) {
	p := projects()[1]
	w := l.newPlace(t, p)
	random := make([]byte, 6<<20)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	put(t, filepath.Join(w.dir, "large.bin"), string(random))
	run := func(args ...string) {
		t.Helper()
		if code, _, stderr := w.run(args...); code != 0 {
			t.Fatalf("%v: exit %d\n%s", args, code, stderr)
		}
	}
	run("build", w.dir)
	start := time.Now()
	run("push", w.dir, "--image", l.address+"/pushed/first:1")
	took := time.Since(start)
	killedAt(t, took, func(n int, after time.Duration) bool {
		tag := fmt.Sprintf("%s/pushed/n%d:1", l.address, n)
		killed := w.kill(after, "push", w.dir, "--image", tag)
		l.checkTag(t, tag)
		run("push", w.dir, "--image", tag)
		if !l.checkTag(t, tag) {
			t.Errorf("after a push that was killed after %v, the next one has left no tag", after)
		}
		return killed
	})
}

// testKilledWrite kills builds while they write to folders and files.
func testKilledWrite(t *testing.T, l *lab) {
	w := l.newPlace(t, projects()[1])
	random := make([]byte, 8<<20)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	put(t, filepath.Join(w.dir, "large.bin"), string(random))
	for what, args := range map[string][]string{
		"folder": {"-o", "oci:" + filepath.Join(w.home, "out")},
		"file":   {"-o", "tar:" + filepath.Join(w.home, "out.tar")},
		"kept":   nil,
	} {
		args := append([]string{"build", w.dir}, args...)
		run := func() {
			t.Helper()
			if code, _, stderr := w.run(args...); code != 0 {
				t.Fatalf("%s: exit %d\n%s", what, code, stderr)
			}
		}
		dirs := []string{w.home, filepath.Join(w.dir, ".kn-lite")}
		run()
		for n := range moments() {
			w.edit(fmt.Sprint(what, n))
			cmd := w.command(args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for begun := time.Now(); writing(t, dirs) == "" && time.Since(begun) < time.Minute; {
				time.Sleep(100 * time.Microsecond)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed on purpose
		}
		if writing(t, dirs) == "" {
			t.Errorf("%s: nothing was left, so nothing was killed while it was written", what)
		}
		// What was left is old some day; it is then taken away by the next build.
		age(t, w.dir, w.home)
		run()
		if at := writing(t, dirs); at != "" {
			t.Errorf("%s: %s stays for ever", what, at)
		}
	}
}

// writing is what a build has not finished to write in one of dirs, "" for nothing.
func writing(t *testing.T, dirs []string) string {
	t.Helper()
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if unfinished.MatchString(e.Name()) {
				return filepath.Join(dir, e.Name())
			}
		}
	}
	return ""
}

// unfinished are the names of what is still being written.
var unfinished = regexp.MustCompile(`^\.new-|^build-|^install-|^\.kn-lite-|^\.func-`)

// age makes all below dirs a month old.
func age(t *testing.T, dirs ...string) {
	t.Helper()
	then := time.Now().Add(-30 * 24 * time.Hour)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(at string, entry os.DirEntry, err error) error {
			if err == nil && entry.Type()&os.ModeSymlink == 0 {
				err = os.Chtimes(at, then, then)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// checkSwept lets a month go by: then the next build leaves in the cache what one
// from nothing leaves there, and not more.
func (w *place) checkSwept() {
	w.t.Helper()
	age(w.t, w.cache)
	w.edit("a month later")
	w.build()
	fresh := w.elsewhere(w.t)
	fresh.build()
	want := map[string]bool{}
	for _, at := range files(w.t, fresh.cache) {
		want[at[len(fresh.cache):]] = true
	}
	for _, at := range files(w.t, w.cache) {
		// Tools look after their own folders.
		if name := at[len(w.cache):]; !want[name] && !strings.Contains(name, "/target-") {
			w.t.Errorf("%s stays in the cache for ever", name)
		}
	}
	if left := files(w.t, w.temp); len(left) > 0 {
		for _, at := range left {
			if !strings.Contains(at, "/go-build") && !strings.Contains(at, "/pip-") {
				w.t.Errorf("%s stays in the folder for temporary files", at)
			}
		}
	}
}
