package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

const (
	// memoryEvery is how often the memory of a container that has a limit is measured.
	memoryEvery = 50 * time.Millisecond
	// memoryRest bounds what that costs: it rests so many times longer than it takes.
	memoryRest = 20
)

// watchMemory ends the container once its processes have more memory than limit. A
// cgroup would do it to the byte; it needs somebody who may make one.
func (c *container) watchMemory(limit int64) {
	proc, err := os.OpenRoot("/proc")
	if err != nil {
		return // a plain container has none of its own
	}
	defer proc.Close()
	timer := time.NewTimer(memoryEvery)
	for {
		<-timer.C
		start := time.Now()
		// Pages that processes share count once, which is more work to find out.
		if sum(proc, resident) > limit && sum(proc, proportional) > limit {
			c.finish(answer{Exit: 128 + int(syscall.SIGKILL), Memory: true})
			return
		}
		timer.Reset(max(memoryEvery, memoryRest*time.Since(start)))
	}
}

// sum adds up what the processes of a container have, but for its first one, which is
// this program.
func sum(proc *os.Root, of func(*os.Root, string) int64) (total int64) {
	dir, err := proc.Open(".")
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 1 {
			total += of(proc, name)
		}
	}
	return total
}

// resident is the memory of a process that no file stands behind: that of files can
// be had again.
func resident(proc *os.Root, pid string) int64 {
	raw, err := proc.ReadFile(pid + "/statm")
	fields := bytes.Fields(raw)
	if err != nil || len(fields) < 3 {
		return 0 // it has ended
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	ofFiles, _ := strconv.ParseInt(string(fields[2]), 10, 64)
	return (pages - ofFiles) * int64(os.Getpagesize())
}

// proportional is the same with shared pages divided among those who have them; it is
// resident where that may not be read.
func proportional(proc *os.Root, pid string) int64 {
	raw, err := proc.ReadFile(pid + "/smaps_rollup")
	if err != nil {
		return resident(proc, pid)
	}
	for line := range bytes.Lines(raw) {
		if value, ok := bytes.CutPrefix(line, []byte("Pss_Anon:")); ok {
			if kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return resident(proc, pid)
}
