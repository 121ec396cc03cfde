package devrun

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/kn-lite/kn-lite/internal/regular"
)

// killMarked kills the processes with all marks in their environment: what a program has
// started is in another process group when it has made one, and still has its
// variables. Those of other users cannot be read.
func killMarked(marks ...string) {
	// The pattern has no mistake.
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		raw, err := regular.ReadFile(file)
		without := func(mark string) bool { return !bytes.Contains(raw, []byte(mark)) }
		if err == nil && !slices.ContainsFunc(marks, without) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended meanwhile
		}
	}
}
