//go:build bench

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kn-lite/kn-lite/test/buildkit"
)

// buildkitDockerfile has a daemon of its own, which runs already when a build
// begins. With empty caches it is a new one.
func buildkitDockerfile(t *testing.T, host, dir string) *dockerfileBuild {
	t.Helper()
	bin := filepath.Dir(program(t, "buildkitd"))
	b := &dockerfileBuild{}
	b.open(t, dir)
	var daemon *buildkit.Daemon
	stop := func(t *testing.T) {
		t.Helper()
		if daemon == nil {
			return
		}
		if err := daemon.Close(); err != nil {
			t.Error(err)
		}
		daemon = nil
	}
	empty := b.forget
	b.forget = func(t *testing.T) {
		t.Helper()
		stop(t)
		empty(t)
		var err error
		if daemon, err = buildkit.Start(t.Context(), bin, b.caches, host); err != nil {
			t.Fatal(err)
		}
	}
	b.contender = &contender{
		name: "buildkit", dir: dir, env: environment(t),
		server: func(t *testing.T) func() measured {
			t.Helper()
			return watch(t, daemon.PID())
		},
	}
	b.commands = func(bool) [][]string {
		return [][]string{daemon.Build(b.folder, filepath.Join(b.folder, "Dockerfile"), "type=image,push=true,name="+host+"/buildkit:1")}
	}
	b.forget(t)
	t.Cleanup(func() { stop(t) })
	return b
}

// watch returns what a process has used since now, with those that it has
// started and waited for.
func watch(t *testing.T, pid int) func() measured {
	t.Helper()
	// proc(5): the peak begins again at what the process has.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	before := cpuOf(t, pid)
	return func() measured { return measured{cpu: cpuOf(t, pid) - before, peak: peakOf(t, pid)} }
}

// cpuOf is the processor time of a process and of the children that it has
// waited for, in the kernel's ticks of 10 ms.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name of the program is in parentheses and may have blanks.
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	if len(fields) < 15 {
		t.Fatalf("/proc/%d/stat: %q", pid, raw)
	}
	var ticks int
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, numberErr := strconv.Atoi(string(field))
		ticks, err = ticks+n, errors.Join(err, numberErr)
	}
	if err != nil {
		t.Fatalf("/proc/%d/stat: %v", pid, err)
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
